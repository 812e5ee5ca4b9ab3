"""A page of the console in a real Chromium; whatever goes wrong in it fails the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

import aiohttp
import pytest
from playwright.async_api import Page

from bench import chromium
from callhome.app import App
from callhome.console.pages import FOLDER
from callhome.demo.addresses import by_country
from pages import ROOT
from signed import SIGNED

# A machine that runs other tests beside may take long for a page; a test that waits in vain fails by it.
PATIENCE_MS: Final = 30_000
WALL: Final = (1600, 900)
# What Chromium itself says of a connection that is gone, which is no fault of the page.
_GONE: Final = ("net::ERR_CONNECTION_REFUSED", "net::ERR_CONNECTION_RESET", "WebSocket connection to")

AXE: Final = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
# Levels A and AA of WCAG up to 2.2.
_LEVELS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")

needs_chromium = pytest.mark.skipif(
    chromium.find() is None, reason="needs Chromium: sudo apt-get install chromium"
)
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make page")
needs_pages = pytest.mark.skipif(not (FOLDER / "map.html").exists(), reason="needs the pages: make page")


@asynccontextmanager
async def opened(
    console: str,
    path: str,
    size: tuple[int, int] = WALL,
    headers: Mapping[str, str] = SIGNED,
    fine: tuple[str, ...] = (),
    **given: Any,
) -> AsyncIterator[Page]:
    """A page in a browser of its own. At the end it must have had no error, and asked nobody but its server.

    ``fine`` are parts of errors that are wanted; ``given`` changes the browser's context.
    """
    troubles: list[str] = []
    async with chromium.launched() as browser:
        usual = {"viewport": {"width": size[0], "height": size[1]}, "locale": "en-US"}
        context = await browser.new_context(**{**usual, **given}, extra_http_headers={**headers})
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on(
            "request", lambda asked: troubles.append(asked.url) if _is_foreign(asked.url, console) else None
        )
        await page.goto(f"{console}{path}")
        yield page
    assert not [trouble for trouble in troubles if not any(each in trouble for each in (*_GONE, *fine))]


def _is_foreign(url: str, console: str) -> bool:
    # A picture that the page makes, or saves, is no request.
    return not url.startswith((console, "data:image/svg+xml", f"blob:{console}"))


@asynccontextmanager
async def viewing(
    console: str,
    query: str = "",
    size: tuple[int, int] = WALL,
    headers: Mapping[str, str] = SIGNED,
    **given: Any,
) -> AsyncIterator[Page]:
    """The map in a browser of its own, as `opened`."""
    async with opened(console, f"/map{query}", size, headers, **given) as page:
        await page.wait_for_selector("html[data-state]", state="attached")
        yield page


async def state(page: Page, wanted: str) -> None:
    """Wait until the page is ``connecting``, ``live`` or ``stale``."""
    await page.wait_for_selector(f"html[data-state={wanted}]", state="attached")


async def view(page: Page) -> Mapping[str, Any]:
    """What is seen: product, country, frame."""
    seen: Mapping[str, Any] = await page.evaluate("window.callhome.view()")
    return seen


async def arrived(page: Page, country: str | None) -> Mapping[str, Any]:
    """Wait until the map stands still at a country, or before the world (None); return the view."""
    for _ in range(PATIENCE_MS // 100):
        seen = await view(page)
        if seen["country"] == country and not seen["moving"] and seen["product"]:
            return seen
        await page.wait_for_timeout(100)
    raise AssertionError(f"the map is at {seen}, not at {country}")


async def inaccessible(page: Page) -> list[str]:
    """What axe finds against levels A and AA, each with the elements that it is about."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "levels => axe.run(document, {runOnly: levels, resultTypes: ['violations']})", list(_LEVELS)
    )
    return [
        f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes']]}"
        for each in found["violations"]
    ]


async def send(app: App, address: str, **fields: object) -> None:
    """Send a ping from an address."""
    body = {"product": "es", "version": "1.0", "install": "install-1", **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{app.addresses.ingest.url}/v1/ping", json=body, headers={"X-Forwarded-For": address}
        ) as answer,
    ):
        assert answer.status == 204, await answer.text()


@cache
def _addresses() -> Mapping[str, list[str]]:
    return by_country()


def address_of(*codes: str) -> list[str]:
    """An address of each country."""
    return [_addresses()[code][0] for code in codes]
