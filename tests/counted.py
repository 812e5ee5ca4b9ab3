"""A server that has counted pings of some weeks, sent through its listener, for pages of statistics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import aiohttp
from playwright.async_api import Page

from browser import address_of, opened, send
from callhome.app import App
from callhome.store.ids import new_id
from running import running, until
from signed import SIGNED

PROXY: Final = "127.0.0.0/8"
DESK: Final = (1280, 900)
PHONE: Final = (390, 844)
HOSTILE: Final = "<img src=x onerror=alert(1)>"
_DAY_S: Final = 86_400
# Yesterday: three installs of 2.0 and one of something hostile. Five weeks ago: two of 1.0, which were updated since.
_STORY: Final = (
    *((ago, "install-1", "1.0" if ago > 12 else "2.0", "DE", "linux") for ago in range(1, 40, 3)),
    *((ago, "install-2", "1.0" if ago > 6 else "2.0", "FR", "windows") for ago in range(1, 40, 4)),
    *((ago, "install-3", "2.0", "FR", "windows") for ago in (1, 2, 3, 8)),
    *((ago, "install-4", HOSTILE, "IS", "macos") for ago in (1, 2)),
)

LAUNCHES: Final = sum(ago <= 30 for ago, *_ in _STORY)


async def answer_of(app: App, path: str) -> Mapping[str, Any]:
    """What the API answers."""
    async with (
        aiohttp.ClientSession(headers=SIGNED) as session,
        session.get(f"{app.addresses.console.url}/api/v1/{path}") as answer,
    ):
        said: Mapping[str, Any] = await answer.json()
        return said


@asynccontextmanager
async def counted(database: str) -> AsyncIterator[App]:
    """The server, once all of the story is counted."""
    async with running(database, trusted_proxies=PROXY) as app:
        places = dict(zip(("DE", "FR", "IS"), address_of("DE", "FR", "IS"), strict=True))
        now_s = time.time()
        for ago, install, version, country, system in sorted(_STORY, reverse=True):
            id_ = UUID(bytes=new_id(now_s - ago * _DAY_S))
            fields = {"install": install, "version": version, "os": system, "id": str(id_), "users": 2}
            await send(app, places[country], **fields)

        async def is_counted() -> bool:
            said = await answer_of(app, "statistics/es")
            month = said.get("installs", {}).get("month", {})
            return bool(month == {"now": 4, "before": 2})

        await until(is_counted)
        yield app


async def shown(page: Page) -> None:
    """Wait until nothing is loading any more."""
    await page.wait_for_selector("main section.card, main .card")
    # Not by wait_for_function, which the policy of the pages forbids.
    is_shown = (
        "document.querySelector('[aria-busy=true]') === null && document.querySelector('nav a') !== null"
    )

    async def whole() -> bool:
        return bool(await page.evaluate(is_shown))

    await until(whole)
    # What is drawn as wide as there is room is drawn in the next frame.
    await asyncio.sleep(0.1)


@asynccontextmanager
async def seen(database: str, path: str, **given: Any) -> AsyncIterator[Page]:
    """A page of a server that has counted the story, once it is shown."""
    async with (
        counted(database) as app,
        opened(app.addresses.console.url, path, **{"size": DESK, **given}) as page,
    ):
        await shown(page)
        yield page
