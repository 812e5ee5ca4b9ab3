"""``python -m bench.ingest``: the latency of single pings at a fixed arrival rate."""

from __future__ import annotations

from typing import Final

import click
import uvloop

from . import books
from .command import Run, bench
from .drive import Plan, connected, load_options, tell_own_part, verify
from .site import Site

QUANTILES: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}


@bench("ingest")
@load_options
@click.option(
    "--warm-up",
    metavar="S",
    type=click.FloatRange(0, 60),
    default=1.0,
    help="First seconds that don't count.",
)
def main(run: Run, rate: int, seconds: float, connections: int, warm_up: float) -> None:
    """Single pings at a fixed rate: how long until they are durable.

    An open loop: each latency counts from when the ping was due, so that waiting is in it. Then the committed
    rows are compared with what was acknowledged; one that is missing or doubled fails the run.
    """
    plan = Plan(rate, seconds, connections)
    with run.site() as site:
        uvloop.run(_measure(run, site, plan, min(warm_up, seconds / 2)))


async def _measure(run: Run, site: Site, plan: Plan, warm_up_s: float) -> None:
    pings, report = run.pings(), run.report
    async with books.opened(site) as open_books:
        async with connected(site, pings, plan) as load:
            outcome = await load.run()
        report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
        report.latencies(outcome.latencies(warm_up_s), QUANTILES, "from due to acknowledged")
        tell_own_part(report, outcome)
        await verify(report, open_books, pings.tag, outcome)


if __name__ == "__main__":
    main()
