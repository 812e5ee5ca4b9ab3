"""``python -m bench.promotion``: the primary is gone under load, and its synchronous standby takes over."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from time import perf_counter

import click
import uvloop

from . import books, standby
from .command import Run, bench
from .drive import Plan, connected, tell_own_part, verify
from .load import OpenLoop, Outcome
from .nginx import balancing
from .replicas import Replica, followed, several
from .report import Report, say
from .site import Site
from .standby import Pair


@dataclass(frozen=True, slots=True)
class Promotion:
    """When the primary went away and the standby was promoted, in seconds from the first ping; how long draining took
    after that.
    """

    gone_s: float
    promoted_s: float
    drain_s: float


@bench("promotion", remote=False)
@click.option("--rate", type=click.IntRange(1, 200_000), help="Pings a second.")
@click.option("--connections", type=click.IntRange(1, 50_000), help="Open connections that they share.")
@click.option("--replicas", type=click.IntRange(1, 20), help="How many there are.")
@click.option("--before", type=click.FloatRange(0.1, 600), help="Seconds of load before the primary is gone.")
@click.option("--vacancy", type=click.FloatRange(0, 600), help="Seconds until the standby is promoted.")
@click.option("--after", type=click.FloatRange(0.1, 600), help="Seconds of load after that.")
def main(
    run: Run, rate: int, connections: int, replicas: int, before: float, vacancy: float, after: float
) -> None:
    """Single pings at a fixed rate to several replicas, while the database's primary ends as in a crash.

    Always on servers of our own: a primary whose commits wait for its standby, replicas that know both, and a balancer
    before them. The standby is promoted a while later, as an operator or Kubernetes's would.
    """
    plan = Plan(rate, before + vacancy + after, connections)
    with (
        run.database() as primary,
        standby.pair(run.layout, primary, run.workload.postgres) as pair,
        several(pair.dsn, run.layout, replicas) as servers,
        balancing(run.layout.load, [server.place for server in servers]) as balancer,
    ):

        async def measure() -> None:
            async with followed(balancer, servers):
                await _measure(
                    run, Site(balancer.url, None, pair.dsn), (servers, pair), plan, (before, vacancy)
                )

        uvloop.run(measure())


async def _measure(
    run: Run, site: Site, of: tuple[list[Replica], Pair], plan: Plan, times_s: tuple[float, float]
) -> None:
    pings, report, since_s = run.pings(), run.report, time.time()
    servers, pair = of
    async with connected(site, pings, plan) as load:
        sending = asyncio.create_task(load.run())
        try:
            promotion = await _promote(servers, pair, load, *times_s)
            outcome = await sending
        finally:
            sending.cancel()
    _tell(report, promotion, outcome)
    tell_own_part(report, outcome)
    async with books.opened(site, since_s) as open_books:
        for server in servers:
            await books.drained(server.console)
        await open_books.folded()
        await verify(report, open_books, pings.tag, outcome)


async def _promote(
    servers: list[Replica], pair: Pair, load: OpenLoop, before_s: float, vacancy_s: float
) -> Promotion:
    """End the primary and promote the standby, under the load; return once all spools are empty."""
    await asyncio.sleep(before_s)
    gone_s = perf_counter()
    await asyncio.to_thread(pair.primary.go_away)
    say(f"the primary is gone; its standby is promoted {vacancy_s:g} s later")
    await asyncio.sleep(gone_s + vacancy_s - perf_counter())
    await standby.promote(pair.standby.dsn)
    promoted_s = perf_counter()
    say("the standby is promoted")
    for server in servers:
        await books.drained(server.console)
    drain_s = perf_counter() - promoted_s
    return Promotion(gone_s - load.begun_s, promoted_s - load.begun_s, drain_s)


def _tell(report: Report, promotion: Promotion, outcome: Outcome) -> None:
    refused = sum(count for status, count in outcome.statuses.items() if status >= 500)
    report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
    report.figure("vacancy_s", "without a primary", promotion.promoted_s - promotion.gone_s, "s")
    report.figure("errors_5xx", "answers 5xx, all the time", refused, "answers")
    report.figure("drain_s", "from the promotion to empty spools", promotion.drain_s, "s")
    during_s = outcome.latencies(promotion.gone_s, promotion.promoted_s)
    report.latencies(
        during_s, {"vacancy_p99_ms": 0.99, "vacancy_max_ms": 1.0}, "from due to acknowledged, meanwhile"
    )


if __name__ == "__main__":
    main()
