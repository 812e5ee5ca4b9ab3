"""``python -m bench.outage``: PostgreSQL goes away under load, for a minute, and comes back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import click
import uvloop

from . import books
from .command import Run, bench
from .drive import Plan, connected, tell_own_part, verify
from .load import OpenLoop, Outcome
from .outages import Database
from .report import Report, say
from .site import Site

_DURING: Final = {"outage_p50_ms": 0.5, "outage_p99_ms": 0.99, "outage_max_ms": 1.0}


@dataclass(frozen=True, slots=True)
class Outage:
    """When PostgreSQL went away and was back, in seconds from the first ping; how long the spool took to be empty."""

    gone_s: float
    back_s: float
    drain_s: float


@bench("outage", remote=False)
@click.option("--rate", type=click.IntRange(1, 200_000), help="Pings a second.")
@click.option("--connections", type=click.IntRange(1, 50_000), help="Open connections that they share.")
@click.option("--before", type=click.FloatRange(0.1, 600), help="Seconds of load before the outage.")
@click.option("--outage", type=click.FloatRange(0.1, 3600), help="Seconds for which PostgreSQL is away.")
@click.option("--after", type=click.FloatRange(0.1, 3600), help="Seconds of load from its return on.")
def main(run: Run, rate: int, connections: int, before: float, outage: float, after: float) -> None:
    """Single pings at a fixed rate, while PostgreSQL ends as in a crash and is started again a while later.

    Always on servers of our own. An outage costs no ping and no 5xx, and what was spooled is drained, while new pings
    go on, no slower than the outage lasted. Its end is when PostgreSQL takes connections again.
    """
    plan = Plan(rate, before + outage + after, connections)
    with run.breakable() as (site, database):
        uvloop.run(_measure(run, site, database, plan, (before, outage)))


async def _measure(
    run: Run, site: Site, database: Database, plan: Plan, times_s: tuple[float, float]
) -> None:
    pings, report, since_s = run.pings(), run.report, time.time()
    assert site.console is not None
    async with connected(site, pings, plan) as load:
        sending = asyncio.create_task(load.run())
        try:
            outage = await _break(site.console, database, load, *times_s)
            outcome = await sending
        finally:
            sending.cancel()
    told = await books.metrics(site.console)
    spooled = int(told["callhome_spooled_pings_total"])
    _tell(report, outage, outcome, spooled)
    tell_own_part(report, outcome)
    report.check(f"pings were answered from the spool: {spooled:,}", spooled > 0)
    async with books.opened(site, since_s) as open_books:
        await open_books.drained()
        await verify(report, open_books, pings.tag, outcome)


async def _break(
    console: str, database: Database, load: OpenLoop, before_s: float, outage_s: float
) -> Outage:
    """Break the database off and bring it back, under the load; return once the spool is empty."""
    await asyncio.sleep(before_s)
    gone_s = perf_counter()
    await asyncio.to_thread(database.go_away)
    say(f"PostgreSQL is away for {outage_s:g} s")
    await asyncio.sleep(gone_s + outage_s - perf_counter())
    await asyncio.to_thread(database.come_back)
    back_s = perf_counter()
    say("PostgreSQL is back")
    drain_s = await books.drained(console)
    return Outage(gone_s - load.begun_s, back_s - load.begun_s, drain_s)


def _tell(report: Report, outage: Outage, outcome: Outcome, spooled: int) -> None:
    lasted_s = outage.back_s - outage.gone_s
    refused = sum(count for status, count in outcome.statuses.items() if status >= 500)
    report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
    report.figure("outage_s", "outage, recovery of PostgreSQL included", lasted_s, "s")
    report.figure("errors_5xx", "answers 5xx, all the time", refused, "answers")
    report.figure("spooled", "answered from the spool", spooled, "pings")
    report.figure("drain_s", "from PostgreSQL's return to an empty spool", outage.drain_s, "s")
    report.figure("drain", "time to drain ÷ outage", outage.drain_s / lasted_s, "")
    during_s = outcome.latencies(outage.gone_s, outage.back_s)
    report.latencies(during_s, _DURING, "from due to acknowledged, during the outage")
    before_s = outcome.latencies(0.0, outage.gone_s)
    report.latencies(before_s, {"before_p99_ms": 0.99}, "from due to acknowledged, before it")


if __name__ == "__main__":
    main()
