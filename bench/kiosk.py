"""``python -m bench.kiosk``: what a day on the wall leaves in the memory of the map's page."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from playwright.async_api import CDPSession, Page

from callhome.demo.addresses import by_country
from callhome.errors import CallhomeError
from callhome.store import products
from callhome.store.connection import connect

from . import chromium
from .command import Run, bench
from .report import Report, say

_WALL: Final = {"width": 1920, "height": 1080}
_MAP_S: Final = 60.0
# A page that leaks keeps what a second collection finds, too.
_COLLECTIONS: Final = 2
_POLL_S: Final = 0.2
PRODUCTS: Final = (
    {"key": "studio", "name": "Example Studio"},
    {"key": "server", "name": "Example Server"},
    {"key": "viewer", "name": "Example Viewer"},
)
# A change every ten seconds of the page's clock is as much as it takes at 300 times the speed.
_EVERY_MS: Final = 10_000
_RESTART_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Sample:
    """The page's memory after a collection: bytes of its JavaScript heap, elements, listeners."""

    hours: float
    heap_bytes: float
    nodes: float
    listeners: float


@dataclass(frozen=True, slots=True)
class Day:
    """What was measured each hour, and what the page has done meanwhile."""

    samples: tuple[Sample, ...]
    done: Mapping[str, int]
    state: str

    @property
    def growth(self) -> float:
        """Of the heap since the first hour, as a share."""
        return self.samples[-1].heap_bytes / self.samples[0].heap_bytes - 1


@bench("kiosk", remote=False)
@click.option("--hours", type=click.FloatRange(2, 240), help="Of the page's clock.")
@click.option("--speed", type=click.IntRange(1, 5_000), help="How much faster it runs.")
def main(run: Run, hours: float, speed: int) -> None:
    """The map as a kiosk, its clock running fast, in a headless Chromium: 24 hours take some five minutes.

    It tours three products, gets a change every ten seconds of its clock from a server within the page, which
    restarts every hour, and asks the real one for its page and the statistics. Its heap is looked at each hour.
    """
    with run.site() as site:
        assert site.console is not None
        assert site.database is not None
        asyncio.run(register(site.database))
        uvloop.run(_measure(run.report, site.console, site.viewer, hours, speed))


async def register(dsn: str) -> None:
    """Have the real server know the products, whose statistics the page asks for. Cancelling it registers some."""
    connection = await connect(dsn, "bench")
    try:
        for product in PRODUCTS:
            await products.add(connection, product["key"], product["name"])
    finally:
        await connection.close()


async def _measure(
    report: Report, console: str, headers: Mapping[str, str], hours: float, speed: int
) -> None:
    async with chromium.launched() as browser:
        page = await browser.new_page(viewport=_WALL, extra_http_headers={**headers})  # type: ignore[arg-type]
        say(f"{hours:g} hours at {speed} times the speed: {hours * 3600 / speed:.0f} s")
        day = await a_day(page, f"{console}/map?kiosk", hours, speed)
    first, last = day.samples[0], day.samples[-1]
    report.figure("heap_growth", "growth of the heap after the first hour", 100 * day.growth, "%")
    report.figure("heap_mb", "heap at the end", last.heap_bytes / 1e6, "MB")
    report.figure("nodes_growth", "growth of elements", 100 * (last.nodes / first.nodes - 1), "%")
    report.figure(
        "listeners", "listeners more than after the first hour", last.listeners - first.listeners, ""
    )
    for key, what in (
        ("stops", "stops shown"),
        ("messages", "changes taken"),
        ("restarts", "restarts survived"),
    ):
        report.figure(key, what, day.done[key], "")
    report.check(f"the map was live at the end: {day.state}", day.state == "live")
    report.check(f"hours lived: {last.hours:.1f}", last.hours >= hours)
    report.check("the tour went on all the time", day.done["stops"] > 20 * hours)
    report.check("the server restarted every hour", day.done["restarts"] >= int(hours) - 1)


async def a_day(page: Page, url: str, hours: float, speed: int) -> Day:
    """Show the map for so many hours of its clock, and look at it at each. Cancelling it leaves the page open."""
    options = {
        "speed": speed,
        "countries": sorted(by_country())[:150],
        "products": PRODUCTS,
        "everyMs": _EVERY_MS,
        "restartMs": _RESTART_MS,
    }
    script = Path(__file__).with_name("kiosk.js").read_text(encoding="utf-8").rstrip()
    await page.add_init_script(f"({script})({json.dumps(options)})")
    await page.goto(url)
    await page.wait_for_selector("html[data-state=live]", state="attached", timeout=_MAP_S * 1000)
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    samples: list[Sample] = []
    patience_s = time.monotonic() + 2 * hours * 3600 / speed + _MAP_S
    while not samples or samples[-1].hours < hours:
        due = len(samples) + 1.0
        while (at := await page.evaluate("day.hours()")) < min(due, hours):
            if time.monotonic() > patience_s:
                raise CallhomeError("the page's clock stands still")
            await asyncio.sleep(_POLL_S)
        samples.append(await _sample(session, at))
    done = await page.evaluate("({ stops: day.stops, messages: day.messages, restarts: day.restarts })")
    return Day(tuple(samples), done, await page.evaluate("document.documentElement.dataset.state"))


async def _sample(session: CDPSession, hours: float) -> Sample:
    for _ in range(_COLLECTIONS):
        await session.send("HeapProfiler.collectGarbage")
    told: dict[str, Any] = await session.send("Performance.getMetrics")
    values = {metric["name"]: float(metric["value"]) for metric in told["metrics"]}
    return Sample(hours, values["JSHeapUsedSize"], values["Nodes"], values["JSEventListeners"])


if __name__ == "__main__":
    main()
