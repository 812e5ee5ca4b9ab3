"""The map as a kiosk: a screen that nobody operates, for months."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Route

from bench import kiosk
from browser import address_of, arrived, needs_chromium, needs_pages, send, state, view, viewing
from running import running
from walls import FOUR_K, PROXY, colour_of, showing

pytestmark = [needs_chromium, needs_pages]


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
            await page.evaluate("window.marker = true")
            async with page.expect_response(re.compile(r"/map$")):
                await page.clock.fast_forward(11 * 60_000)
            await page.clock.run_for(30_000)
            assert await page.evaluate("window.marker"), "the same build was loaded again"
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


@pytest.mark.long
async def test_hours_on_the_wall_leave_nothing_behind(database: str) -> None:
    """A tour of hours, with changes and restarts, makes the page's heap grow by less than a tenth after the first."""
    await kiosk.register(database)
    async with running(database) as app, viewing(app.addresses.console.url, size=(1280, 720)) as page:
        day = await kiosk.a_day(page, f"{app.addresses.console.url}/map?kiosk", hours=5, speed=300)
    assert day.state == "live"
    assert day.done["restarts"] >= 4
    assert day.done["stops"] > 100
    assert day.growth < 0.1
