"""The map opened to guests: what a browser receives that nobody has signed in with, by every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
from playwright.async_api import Page
from websockets.asyncio.client import connect

from browser import address_of, arrived, needs_chromium, needs_pages, send, viewing
from callhome.app import App
from running import running
from signed import SIGNED

PROXY = "127.0.0.0/8"
# Fiji has fewer than five installs, of a version of its own; France has more.
FRANCE, FIJI = 6, 3
SECRET_VERSION = "7.7.7-pilot"


@asynccontextmanager
async def opened(database: str) -> AsyncIterator[App]:
    """A server whose map guests may see, with installs in both countries."""
    france, fiji = address_of("FR", "FJ")
    async with running(database, trusted_proxies=PROXY, map_guests="true") as app:
        for number in range(FRANCE):
            await send(app, france, install=f"install-f{number}", users=10)
        for number in range(FIJI):
            await send(app, fiji, install=f"install-j{number}", users=417, version=SECRET_VERSION)
        await counted(app)
        yield app


async def counted(app: App, more: int = 0) -> None:
    """Wait until all are counted for who is signed in."""
    url = f"{app.addresses.console.url}/api/v1/live"
    async with aiohttp.ClientSession(headers=SIGNED) as session:
        for _ in range(300):
            async with session.get(url) as answer:
                if sum(row[7] for row in (await answer.json()).get("countries", [])) == FRANCE + FIJI + more:
                    return
            await asyncio.sleep(0.1)
    raise AssertionError("the pings are not counted")


async def test_a_guest_receives_no_number_below_the_floor(database: str) -> None:
    """Neither snapshot nor changes have a number, a version or a sum of a country below five installs."""
    async with opened(database) as app:
        console = app.addresses.console
        async with aiohttp.ClientSession() as session, session.get(f"{console.url}/api/v1/live") as answer:
            etag, said = answer.headers["ETag"], await answer.read()
        async with connect(f"ws://{console}/live", compression=None) as guest:
            first = await guest.recv(decode=False)
            assert first == said
            (fiji,) = address_of("FJ")
            await send(app, fiji, install="install-j0", users=418, version=SECRET_VERSION)
            await counted(app, more=1)
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{console.url}/api/v1/live", headers={"If-None-Match": etag}) as answer,
            ):
                assert answer.status == 304
            (france,) = address_of("FR")
            await send(app, france, install="install-f0", users=10)
            change = orjson.loads(await guest.recv())
    snapshot = orjson.loads(first)
    assert snapshot["countries"] == [["es", "FJ", *[None] * 6], ["es", "FR", 6, 60, 6, 6, 60, 6]]
    assert (snapshot["floor"], snapshot["builds"], snapshot["top"]) == (5, [], [["es", [["1.0", ""]]]])
    # The first that a guest hears of since then is France's ping: nothing came of Fiji's.
    assert (change["seq"], change["countries"]) == (snapshot["seq"] + 1, [["es", "FR", 6, 60, 7, 6, 60, 7]])
    for said in (first, orjson.dumps(change)):
        assert not any(secret in said for secret in (b"417", b"418", b"1251", SECRET_VERSION.encode()))


@needs_chromium
@needs_pages
async def test_the_page_says_fewer_than(database: str) -> None:
    """A guest's page names the country without a number, and sums up what it was told; no statistics are asked for."""
    asked: list[str] = []
    async with opened(database) as app:
        async with viewing(app.addresses.console.url, "?stop=FJ", headers={}) as page:
            page.on("request", lambda request: asked.append(request.url))
            await arrived(page, "FJ")
            assert "Active installs: fewer than 5" in await page.inner_text("#card")
            assert await page.inner_text("#ranking [data-country=FJ] .count") == "< 5"
            assert await page.locator("#totals dd").all_inner_texts() == ["6+", "60+", "6+"]
            assert "fewer than 5" in await page.inner_text("#legend")
            await page.click("#ranking [data-country=FR]")
            await arrived(page, "FR")
            assert "Most used builds, all countries\n1.0" in await page.inner_text("#card")
            assert await tour_stops(page) == {"FR", None}
        assert not [url for url in asked if "/statistics/" in url]


async def tour_stops(page: Page) -> set[str | None]:
    """Where the tour goes."""
    stops = set()
    for _ in range(4):
        await page.keyboard.press("ArrowRight")
        stops.add((await page.evaluate("window.callhome.view()"))["country"])
    return stops


@needs_chromium
@needs_pages
async def test_who_is_signed_in_sees_all(database: str) -> None:
    """The same server tells who is signed in every number."""
    async with opened(database) as app, viewing(app.addresses.console.url, "?stop=FJ") as page:
        await arrived(page, "FJ")
        assert await page.inner_text("#ranking [data-country=FJ] .count") == "3"
        assert await page.locator("#totals dd").first.inner_text() == "9"
