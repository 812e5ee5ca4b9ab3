"""The map on the wall in a real browser, with a real server, PostgreSQL and pings."""

from __future__ import annotations

import asyncpg
import pytest

from bench import chromium
from browser import PATIENCE_MS, address_of, arrived, needs_chromium, needs_pages, send, state, view, viewing
from callhome.store import products
from running import running
from signed import SIGNED

pytestmark = [needs_chromium, needs_pages]
PROXY = "127.0.0.0/8"
SIZES = {"a wall": (1920, 1080), "a laptop": (1280, 720), "a phone": (390, 844)}


async def test_every_country_with_counts_is_drawn(database: str) -> None:
    """Countries from which pings came are on the map and in the list; so are all 250 codes on the map."""
    codes = ["DE", "FR", "US", "SG", "FJ"]
    async with running(database, trusted_proxies=PROXY) as app:
        for number, (code, address) in enumerate(zip(codes, address_of(*codes), strict=True)):
            await send(app, address, install=f"install-{code}-{number}")
        async with viewing(app.addresses.console.url, "?tour=off") as page:
            await page.wait_for_selector("#ranking li:nth-child(5)")
            listed = await page.eval_on_selector_all(
                "#ranking button", "all => all.map(b => b.dataset.country)"
            )
            drawn = await page.evaluate("window.callhome.drawn()")
    assert sorted(listed) == sorted(codes)
    assert set(codes) <= set(drawn)
    assert len(drawn) == 250


async def test_a_ping_changes_the_number_on_the_screen(database: str) -> None:
    """While the page is open, a ping raises its country's number, the total and the rank."""
    germany, france = address_of("DE", "FR")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, germany, install="install-1")
        async with viewing(app.addresses.console.url, "?tour=off") as page:
            await page.wait_for_selector('#ranking [data-country=DE][data-value="1"]')
            for number in (2, 3):
                await send(app, france, install=f"install-{number}", users=20)
            await page.wait_for_selector('#ranking li:first-child [data-country=FR][data-value="2"]')
            totals = await page.locator("#totals dd").all_inner_texts()
    assert totals == ["3", "41", "3"]


@pytest.mark.parametrize("code", ["FR", "US", "RU", "FJ", "SG", "NO"])
async def test_the_tour_zooms_to_the_country_itself(database: str, code: str) -> None:
    """At a stop the frame holds the country's main land, and little more of the world; its card is there."""
    (address,) = address_of(code)
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, address)
        async with viewing(app.addresses.console.url) as page:
            world = await arrived(page, None)
            await page.keyboard.press("ArrowRight")
            seen = await arrived(page, code)
            card = await page.inner_text("#card")
    assert seen["holds"]
    frame, main = seen["frame"], seen["main"]
    assert frame["right"] - frame["left"] < 0.9 * (world["frame"]["right"] - world["frame"]["left"])
    middle = (main["left"] + main["right"]) / 2
    assert frame["left"] < middle < frame["right"]
    assert "No. 1" in card
    assert "100%" in card


async def test_the_tour_goes_on_by_itself_until_it_is_paused(database: str) -> None:
    """It moves to the first country without a key; space pauses it, the button says so, and space goes on."""
    (address,) = address_of("FR")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, address)
        async with viewing(app.addresses.console.url) as page:
            await arrived(page, "FR")
            await page.keyboard.press("Space")
            assert not (await view(page))["playing"]
            assert await page.get_attribute("#play", "aria-label") == "Go on with the tour"
            await page.keyboard.press("Space")
            assert (await view(page))["playing"]


async def test_keys_and_buttons_lead_through_products_and_countries(database: str) -> None:
    """Arrows and buttons step, Escape shows the world, p and the menu choose a product, a row visits its country."""
    germany, france = address_of("DE", "FR")
    async with running(database, trusted_proxies=PROXY) as app:
        connection = await asyncpg.connect(database)
        await products.add(connection, "two", "Second")
        await connection.close()
        async with viewing(app.addresses.console.url, "?tour=off") as page:
            await page.wait_for_selector("#choice option[value=two]", state="attached")
            await send(app, germany, install="install-1")
            await send(app, france, product="two", install="install-2")
            await page.wait_for_selector("#ranking button")
            await arrived(page, None)
            await page.keyboard.press("ArrowRight")
            assert (await arrived(page, "DE"))["product"] == "es"
            await page.click("#next")
            assert (await arrived(page, None))["product"] == "two"
            await page.click("#next")
            assert (await arrived(page, "FR"))["product"] == "two"
            await page.click("#previous")
            await arrived(page, None)
            await page.select_option("#choice", "es")
            assert (await arrived(page, None))["product"] == "es"
            await page.click("#ranking [data-country=DE]")
            await arrived(page, "DE")
            await page.keyboard.press("Escape")
            await arrived(page, None)
            await page.focus("body")
            await page.evaluate("document.activeElement.blur()")
            await page.keyboard.press("p")
            assert (await arrived(page, None))["product"] == "two"
            assert await page.inner_text("#product") == "Second"


async def test_a_restart_of_the_server_is_survived(database: str) -> None:
    """Without its server the page says that its numbers are old; once it is back, it goes on with new ones."""
    germany, france = address_of("DE", "FR")
    async with running(database, trusted_proxies=PROXY) as app:
        place = app.addresses.console
        await send(app, germany, install="install-1")
        browsing = viewing(place.url, "?tour=off")
        page = await browsing.__aenter__()
        await state(page, "live")
        await page.wait_for_selector("#ranking [data-country=DE]")
    await state(page, "stale")
    assert (await page.inner_text("#status")).startswith("Numbers of ")
    listen = f"{place.host}:{place.port}"
    async with running(database, trusted_proxies=PROXY, console_listen=listen) as app:
        await state(page, "live")
        assert await page.is_hidden("#status")
        await send(app, france, install="install-2")
        await page.wait_for_selector("#ranking [data-country=FR]")
        await browsing.__aexit__(None, None, None)


async def test_without_its_shapes_the_page_says_so_and_comes_up_later(database: str) -> None:
    """A page that gets no shapes says what is wrong, and loads itself again until they are there."""
    (address,) = address_of("FR")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, address)
        console = app.addresses.console.url
        async with chromium.launched() as browser:
            page = await browser.new_page(extra_http_headers=SIGNED)
            page.set_default_timeout(PATIENCE_MS)
            await page.route("**/atlas-*.json", lambda route: route.fulfill(status=503))
            await page.goto(f"{console}/map?tour=off")
            await state(page, "failed")
            assert "503" in await page.inner_text("#status")
            await page.unroute("**/atlas-*.json")
            await state(page, "live")
            await page.wait_for_selector("#ranking [data-country=FR]")


@pytest.mark.fault(13)
async def test_hostile_names_stay_text(database: str) -> None:
    """Markup in a product's name, a version or a build is shown as it is, and runs nothing."""
    markup = "<img src=x onerror=alert(1)>"
    (address,) = address_of("FR")
    async with running(database, trusted_proxies=PROXY) as app:
        connection = await asyncpg.connect(database)
        await products.add(connection, "es", markup)
        await connection.close()
        await send(app, address, version=markup, build="</li><script>alert(1)</script>")
        async with viewing(app.addresses.console.url, "?stop=FR") as page:
            await arrived(page, "FR")
            await page.wait_for_selector("#product:text-is('<img src=x onerror=alert(1)>')")
            # Versions of the statistics, then, without them, builds of the live counters.
            for rows, shown in (
                ([{"value": markup, "installs": 1}], markup),
                ([], f"{markup} (</li><script>alert(1)</script>)"),
            ):
                answer = {"total": [1], "rows": rows}
                await page.route(
                    "**/api/v1/statistics/**", lambda route, _=0, answer=answer: route.fulfill(json=answer)
                )
                await page.reload()
                await page.wait_for_selector(f"#card li span:text-is('{shown}')")
                assert await page.locator("img, #card script").count() == 0


async def test_a_product_that_is_not_there_is_named(database: str) -> None:
    """An address with a product that isn't registered gets told which ones are."""
    (address,) = address_of("FR")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, address)
        async with viewing(app.addresses.console.url, "?product=nope") as page:
            await page.wait_for_selector("#empty:has-text('There are: es')")
            assert "nope" in await page.inner_text("#empty")


async def test_an_empty_server_says_how_to_begin(database: str) -> None:
    """Without pings there is the command that sends one; with the first ping it goes."""
    (address,) = address_of("FR")
    async with (
        running(database, trusted_proxies=PROXY) as app,
        viewing(app.addresses.console.url, "?tour=off") as page,
    ):
        await page.wait_for_selector("#empty")
        assert "callhome ping --product es --version 1.0" in await page.inner_text("#empty")
        await send(app, address)
        await page.wait_for_selector("#empty", state="hidden")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_nothing_is_wider_than_the_screen(database: str, size: tuple[int, int]) -> None:
    """At any size nobody scrolls sideways, and the map, the controls and the list are there."""
    (address,) = address_of("FR")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, address)
        async with viewing(app.addresses.console.url, "?stop=FR", size) as page:
            await arrived(page, "FR")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            for name in ("#land", "#next", "#ranking", "#card"):
                assert await page.is_visible(name)
