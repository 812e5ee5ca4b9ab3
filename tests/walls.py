"""A map with some numbers to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from playwright.async_api import Page

from browser import address_of, send, viewing
from running import running

PROXY: Final = "127.0.0.0/8"
FOUR_K: Final = (3840, 2160)
PHONE: Final = (390, 844)


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
