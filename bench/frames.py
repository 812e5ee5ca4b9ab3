"""``python -m bench.frames``: how smooth the map on the wall is while pings arrive."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Final

import click
import uvloop
from playwright.async_api import Browser, Page

from callhome.demo.addresses import by_country
from callhome.errors import UsageError

from . import books, chromium
from .command import Run, bench
from .drive import Plan, connected, load_options, tell_own_part, verify
from .machine import Cores, available, pinned
from .report import Report
from .site import Site

# Beyond the first people begin to see it jerk, beyond the second all do.
_LONG_MS: Final = (50.0, 100.0)
# What a wall shows all day, not its first second.
_WARM_UP_S: Final = 3.0
_MAP_S: Final = 30.0
_WALL: Final = {"width": 1920, "height": 1080}
# Sends the time of each frame as long as the page is open: what the eye gets, whoever drew it.
_RECORD: Final = """() => {
  const times = (window.benchFrames = []);
  const frame = (time) => { times.push(time); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


@bench("frames")
@load_options
@click.option("--countries", type=click.IntRange(1, 200), help="From how many countries the pings come.")
def main(run: Run, rate: int, seconds: float, connections: int, countries: int) -> None:
    """The map in a headless Chromium that draws by software, at 1920 x 1080, touring while pings arrive.

    The browser may use all cores, those of the server too. Of a deployment, the map shows one country unless this
    machine is among its trusted proxies.
    """
    plan, cores = Plan(rate, seconds, connections), available()
    with run.site(trusted_proxies="127.0.0.0/8") as site:
        if site.console is None:
            raise UsageError("the map is on the console listener: name it with --console-url")
        uvloop.run(_measure(run, site, plan, countries, cores))


async def _measure(run: Run, site: Site, plan: Plan, countries: int, cores: Cores) -> None:
    pings, report = run.pings(), run.report
    origins = [f"X-Forwarded-For: {address}" for address in addresses(countries)]
    async with AsyncExitStack() as stack:
        with pinned(cores):
            browser = await stack.enter_async_context(chromium.launched())
        open_books = await stack.enter_async_context(books.opened(site))
        load = await stack.enter_async_context(connected(site, pings, plan, origins))
        page = await _open_map(browser, site)
        sending = asyncio.create_task(load.run())
        try:
            await asyncio.sleep(_WARM_UP_S)
            await page.evaluate(_RECORD)
            outcome = await sending
        finally:
            sending.cancel()
        times_ms: list[float] = await page.evaluate("window.benchFrames")
        state = await page.evaluate("document.documentElement.dataset.state")
        report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
        tell_frames(report, times_ms)
        report.check(f"the map was live at the end: {state}", state == "live")
        tell_own_part(report, outcome)
        await verify(report, open_books, pings.tag, outcome)


async def _open_map(browser: Browser, site: Site) -> Page:
    page = await browser.new_page(viewport=_WALL, extra_http_headers={**site.viewer})  # type: ignore[arg-type]
    await page.goto(f"{site.console}/map")
    await page.wait_for_selector("html[data-state=live]", state="attached", timeout=_MAP_S * 1000)
    return page


def tell_frames(report: Report, times_ms: list[float]) -> None:
    """Add the figures of frames that were drawn at ``times_ms``."""
    lengths_ms = sorted(after - before for before, after in pairwise(times_ms))
    report.check(f"frames were drawn: {len(lengths_ms):,}", len(lengths_ms) > 1)
    took_s = sum(lengths_ms) / 1000 or 1.0
    report.figure("frames_hz", "frames a second", len(lengths_ms) / took_s, "frames/s")
    for most_ms in _LONG_MS:
        share = sum(length > most_ms for length in lengths_ms) / max(1, len(lengths_ms))
        report.figure(f"frames_over_{most_ms:g}ms", f"frames over {most_ms:g} ms", 100 * share, "%")
    report.latencies(
        [ms / 1000 for ms in lengths_ms], {"frame_p99_ms": 0.99, "frame_max_ms": 1.0}, "from frame to frame"
    )


def addresses(count: int) -> list[str]:
    """Addresses of ``count`` countries, the same ones each time."""
    return [some[0] for _, some in sorted(by_country().items())[:count]]


if __name__ == "__main__":
    main()
