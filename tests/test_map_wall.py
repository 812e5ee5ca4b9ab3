"""The map as a wall: themes, measures, languages, kiosk, and a page that lives for days."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import combinations
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Route

from browser import WALL, address_of, arrived, needs_chromium, needs_pages, send, state, view, viewing
from callhome.store import products
from running import running

pytestmark = [needs_chromium, needs_pages]
PROXY = "127.0.0.0/8"
FOUR_K = (3840, 2160)
PHONE = (390, 844)


@asynccontextmanager
async def showing(database: str, query: str = "", pings: int = 1, **given: Any) -> AsyncIterator[Page]:
    """The map of a server with installs in Germany (3), Iceland (1) and France (2), one of them with 20 users."""
    codes = ["DE", "DE", "DE", "IS", "FR", "FR"]
    async with running(database, trusted_proxies=PROXY) as app:
        for number, address in enumerate(address_of(*codes)):
            for _ in range(pings):
                await send(
                    app, address, install=f"install-{number}", users=20 if codes[number] == "FR" else 1
                )
        async with viewing(app.addresses.console.url, query, **given) as page:
            await page.wait_for_selector("#ranking li:nth-child(3)")
            yield page


async def listed(page: Page) -> list[tuple[str, str]]:
    """The countries of the ranking, with their numbers."""
    rows: list[list[str]] = await page.eval_on_selector_all(
        "#ranking button", "all => all.map(b => [b.dataset.country, b.querySelector('.count').textContent])"
    )
    return [(country, count) for country, count in rows]


async def colour_of(page: Page, selector: str, what: str = "backgroundColor") -> str:
    """A colour that an element is shown with."""
    found: str = await page.locator(selector).evaluate(f"e => getComputedStyle(e).{what}")
    return found


@pytest.mark.parametrize(
    ("query", "system", "theme"),
    [
        ("", "dark", "dark"),
        ("", "light", "light"),
        ("?theme=light", "dark", "light"),
        ("?theme=dark", "light", "dark"),
    ],
)
async def test_the_theme_is_that_of_the_address_or_the_system(
    database: str, query: str, system: str, theme: str
) -> None:
    """Without a word in the address the system's theme is shown, and followed; else that of the address."""
    async with showing(database, query, color_scheme=system) as page:
        assert await page.get_attribute("html", "data-theme") == theme
        bright = await page.evaluate(
            "document.querySelector('#land').getContext('2d').getImageData(2, 2, 1, 1).data[0]"
        )
        assert (bright > 128) is (theme == "light")
        other = "light" if system == "dark" else "dark"
        await page.emulate_media(color_scheme=other)  # type: ignore[arg-type]
        expected = theme if query else other
        await page.wait_for_selector(f"html[data-theme={expected}]")


async def test_each_product_has_its_colour(database: str) -> None:
    """Two products differ in colour, each keeps its own, and the map is painted in it."""
    germany, france = address_of("DE", "FR")
    async with running(database, trusted_proxies=PROXY) as app:
        connection = await asyncpg.connect(database)
        await products.add(connection, "two", "Second")
        await connection.close()
        await send(app, germany, install="install-1")
        async with viewing(app.addresses.console.url, "?tour=off&product=es") as page:
            await page.wait_for_selector("#choice option[value=two]", state="attached")
            await send(app, france, product="two", install="install-2")
            await page.wait_for_selector("#ranking [data-country=DE]")
            colours = []
            for product in ("es", "two", "es"):
                await page.select_option("#choice", product)
                await page.wait_for_selector(f"#ranking [data-country={'DE' if product == 'es' else 'FR'}]")
                colours.append(await colour_of(page, ":root", "getPropertyValue('--accent')"))
    assert colours[0] == colours[2] != colours[1]


async def test_the_measure_is_switched_and_kept_in_the_address(database: str) -> None:
    """Ranking, head, legend and card follow the measure, and the address brings it back."""
    async with showing(database, "?tour=off") as page:
        assert await listed(page) == [("DE", "3"), ("FR", "2"), ("IS", "1")]
        assert await page.inner_text("#ranking-title") == "Active installs, last 30 days"
        await page.select_option("#measure", label="Users, today")
        assert await listed(page) == [("FR", "40"), ("DE", "3"), ("IS", "1")]
        assert await page.inner_text("#ranking-title") == "Users, today"
        assert "measure=users&window=today" in page.url
        await page.keyboard.press("Escape")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("i")
        assert [country for country, _ in await listed(page)] == ["IS", "FR", "DE"]
        assert "inhabitants" in await page.inner_text("#ranking-title")
        assert "100,000 inhabitants" in await page.inner_text("#others")
        assert await page.get_attribute("#per", "aria-pressed") == "true"
        legend = await page.inner_text("#legend")
        await page.reload()
        await page.wait_for_selector("#ranking li:nth-child(3)")
        assert [country for country, _ in await listed(page)] == ["IS", "FR", "DE"]
        assert await page.inner_text("#legend") == legend
        await page.click("#ranking [data-country=IS]")
        await arrived(page, "IS")
        assert "per million inhabitants" in await page.inner_text("#card")
        assert "stop=IS" in page.url


@pytest.mark.parametrize(
    ("query", "locale", "language", "words", "country"),
    [
        ("", "de-AT", "de", "Aktive Installationen, letzte 30 Tage", "Deutschland"),
        ("?lang=fr", "de-AT", "fr", "Installations actives, 30 derniers jours", "Allemagne"),
        ("?lang=ja", "en-US", "en", "Active installs, last 30 days", "ドイツ"),
        ("?lang=%3Cb%3E", "en-US", "en", "Active installs, last 30 days", "Germany"),
    ],
)
async def test_words_and_names_are_in_the_viewers_language(
    database: str, query: str, locale: str, language: str, words: str, country: str
) -> None:
    """The browser's language, or that of the address; names of countries also where the page has no words."""
    async with showing(database, query, locale=locale) as page:
        assert await page.inner_text("#ranking-title") == words
        assert await page.inner_text("#ranking [data-country=DE] .name") == country
        assert await page.get_attribute("html", "lang") == language


async def test_a_kiosk_has_no_pointer_and_no_controls_and_stays_awake(database: str) -> None:
    """Nothing to click on, no pointer, a lock on the screen that is taken again when the page comes back."""
    script = """
      window.locks = []
      const request = async () => { const lock = { released: false }; window.locks.push(lock); return lock }
      Object.defineProperty(navigator, 'wakeLock', { value: { request } })
      window.hide = (hidden) => {
        Object.defineProperty(document, 'visibilityState', { value: hidden ? 'hidden' : 'visible', configurable: true })
        if (hidden) window.locks.forEach((lock) => (lock.released = true))
        document.dispatchEvent(new Event('visibilitychange'))
      }
    """
    async with showing(database, "?kiosk") as page:
        await page.add_init_script(script)
        await page.reload()
        await page.wait_for_selector("#ranking li:nth-child(3)")
        for name in (".controls", ".notice", "#next", "#choice"):
            assert await page.is_hidden(name)
        for name in ("body", "#land", "#ranking button >> nth=0"):
            assert await colour_of(page, name, "cursor") == "none"
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement === document.body")
        assert (await view(page))["playing"]
        assert await page.evaluate("window.locks.length") == 1
        await page.evaluate("window.hide(true)")
        assert await page.evaluate("window.locks.length") == 1
        await page.evaluate("window.hide(false)")
        assert await page.evaluate("window.locks.length") == 2


async def test_letters_of_a_kiosk_are_read_from_five_metres(database: str) -> None:
    """On 65 inches, what matters has capitals of 16 minutes of arc from there; the rest has ten."""
    async with showing(database, "?kiosk&stop=DE&tour=off", size=FOUR_K) as page:
        await arrived(page, "DE")
        sizes = {
            name: float((await colour_of(page, name, "fontSize")).removesuffix("px"))
            for name in (
                "#product",
                "#card h2",
                "#card dd >> nth=0",
                ".ranking .name >> nth=0",
                "#card dt >> nth=0",
            )
        }
    # 16:9 at 65 inches is 809 mm high; capitals are 0.7 of a font's size; a minute of arc at 5 m is 1.454 mm.
    minutes = {name: px / 2160 * 809 * 0.7 / 1.454 for name, px in sizes.items()}
    small = {".ranking .name >> nth=0": 8.5, "#card dt >> nth=0": 7.0}
    assert {name: seen for name, seen in minutes.items() if seen < small.get(name, 15)} == {}


async def test_with_reduced_motion_nothing_flies_and_nothing_pulses(database: str) -> None:
    """The view is there at once, and pings are seen in the numbers alone; without it, they pulse."""
    (germany,) = address_of("DE")
    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, germany, install="install-0")
        pulsed = {}
        for motion in ("reduce", "no-preference"):
            async with viewing(app.addresses.console.url, "?tour=off", reduced_motion=motion) as page:
                await page.wait_for_selector("#ranking button")
                await page.keyboard.press("ArrowRight")
                flown = (await view(page))["moving"]
                await arrived(page, "DE")
                before = await page.locator("#totals dd").nth(2).inner_text()
                await page.evaluate(
                    "window.most = 0; setInterval(() => { window.most = Math.max(window.most, callhome.pulses()) }, 5)"
                )
                await send(app, germany, install="install-0")
                await page.wait_for_function(
                    f"document.querySelectorAll('#totals dd')[2].textContent !== '{before}'"
                )
                await page.wait_for_timeout(100)
                pulsed[motion] = (flown, await page.evaluate("window.most > 0"))
    assert pulsed == {"reduce": (False, False), "no-preference": (True, True)}


async def test_a_new_build_of_the_page_is_loaded_between_two_stops(database: str) -> None:
    """When the server has another build, the page is loaded anew before the tour goes on, and goes on there."""
    (address,) = address_of("DE")

    async def other_build(route: Route) -> None:
        answer = await route.fetch()
        text = re.sub(r"assets/map-[\w-]+\.js", "assets/map-new.js", await answer.text())
        await route.fulfill(response=answer, body=text)

    async def new_script(route: Route) -> None:
        await route.fulfill(
            content_type="text/javascript", body="document.documentElement.dataset.state = 'new'"
        )

    async with running(database, trusted_proxies=PROXY) as app:
        await send(app, address)
        async with viewing(app.addresses.console.url, "?kiosk") as page:
            await page.clock.install()
            await page.reload()
            await state(page, "live")
            await page.wait_for_selector("#ranking button")
            await page.route(re.compile(r"/map(\?.*)?$"), other_build)
            await page.route("**/assets/map-new.js", new_script)
            async with page.expect_response("**/assets/map-new.js"):
                await page.clock.fast_forward(11 * 60_000)
            assert await page.get_attribute("html", "data-state") != "new"
            # In the midst of this it is loaded, which ends what runs in it.
            with suppress(PlaywrightError):
                await page.clock.run_for(30_000)
            await state(page, "new")
            assert await page.evaluate("sessionStorage.getItem('callhome.resume')") == "es"


async def test_who_is_signed_out_is_told_where_to_sign_in(database: str) -> None:
    """A page that a server takes back no more has a link to sign in, which leads back to it."""
    async with running(database, trusted_proxies=PROXY) as app:
        place = app.addresses.console
        browsing = viewing(place.url, "?tour=off")
        page = await browsing.__aenter__()
        await state(page, "live")
        await page.context.set_extra_http_headers({})
    async with running(database, trusted_proxies=PROXY, console_listen=f"{place.host}:{place.port}"):
        await page.wait_for_selector("#status a:text-is('sign in again')")
        assert (
            await page.get_attribute("#status a", "href") == f"{place.url}/sign-in?next=%2Fmap%3Ftour%3Doff"
        )
        await browsing.__aexit__(None, None, None)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [WALL, FOUR_K, PHONE], ids=["a desktop", "a wall", "a phone"])
async def test_nothing_covers_anything_else(database: str, theme: str, size: tuple[int, int]) -> None:
    """At a stop the panels are on the screen, beside one another, in both themes and as a kiosk."""
    query = f"?stop=DE&theme={theme}{'&kiosk' if size == FOUR_K else ''}"
    async with showing(database, query, size=size) as page:
        await arrived(page, "DE")
        names = (".head", "#card", ".ranking", ".foot")
        script = "names => names.map(n => document.querySelector(n).getBoundingClientRect().toJSON())"
        found = list(zip(names, await page.evaluate(script, names), strict=True))
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= size[0] for _, box in found)
        assert [(a, b) for (a, one), (b, other) in combinations(found, 2) if overlap(one, other)] == []


def overlap(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two boxes have more than an edge in common."""
    return all(
        one[at] + one[size] > other[at] + 1 and other[at] + other[size] > one[at] + 1
        for at, size in (("x", "width"), ("y", "height"))
    )
