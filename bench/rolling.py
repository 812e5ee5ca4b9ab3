"""``python -m bench.rolling``: every replica is stopped and started again under load, one after the other."""

from __future__ import annotations

import asyncio
import time
from time import perf_counter
from typing import Final

import click
import uvloop

from . import books
from .command import Run, bench
from .drive import Plan, connected, tell_own_part, verify
from .load import OpenLoop, Outcome
from .nginx import balancing
from .replicas import Replica, followed, several
from .report import Report, say
from .site import Site

# When a client that was turned away tries again.
_RETRY_S: Final = 1.0
# Between one replica that is ready again and the next that is stopped: minReadySeconds of the manifests.
_REST_S: Final = 3.0


@bench("rolling", remote=False)
@click.option("--rate", type=click.IntRange(1, 200_000), help="Pings a second.")
@click.option("--connections", type=click.IntRange(1, 50_000), help="Open connections that they share.")
@click.option("--replicas", type=click.IntRange(2, 20), help="How many there are.")
@click.option("--delay", type=click.FloatRange(0, 60), help="CALLHOME_STOP_DELAY_S of each.")
@click.option(
    "--rest", type=click.FloatRange(0, 60), help="Seconds before the first stop and after the last start."
)
def main(run: Run, rate: int, connections: int, replicas: int, delay: float, rest: float) -> None:
    """Single pings at a fixed rate through a balancer, while its servers are restarted one after the other.

    Always on servers of our own. The balancer is an nginx that sends nothing to a server whose /readyz says no, within
    a second or two, and tries no other server by itself. A ping that is turned away is sent once more after a second.
    """
    # A start takes up to five seconds on a busy machine.
    seconds = 2 * rest + replicas * (delay + _REST_S + 10)
    plan = Plan(rate, seconds, connections)
    with (
        run.postgres() as dsn,
        several(dsn, run.layout, replicas, stop_delay_s=str(delay)) as servers,
        balancing(run.layout.load, [server.place for server in servers]) as balancer,
    ):

        async def measure() -> None:
            async with followed(balancer, servers):
                await _measure(run, Site(balancer.url, None, dsn), servers, plan, rest)

        uvloop.run(measure())


async def _measure(run: Run, site: Site, servers: list[Replica], plan: Plan, rest_s: float) -> None:
    pings, report, since_s = run.pings(), run.report, time.time()
    async with connected(site, pings, plan) as load:
        load.retry_s = _RETRY_S
        sending = asyncio.create_task(load.run())
        try:
            took_s = await _restart(servers, load, rest_s)
            outcome = await sending
        finally:
            sending.cancel()
    _tell(report, outcome, took_s)
    report.check(
        f"all restarts within the load: {took_s:.0f} s of {plan.seconds:.0f} s", took_s < plan.seconds
    )
    tell_own_part(report, outcome)
    for server in servers:
        async with books.opened(Site(site.ingest, server.console, site.database), since_s) as open_books:
            await open_books.drained()
            await open_books.settled()
    async with books.opened(site, since_s) as open_books:
        await verify(report, open_books, pings.tag, outcome)


async def _restart(servers: list[Replica], load: OpenLoop, rest_s: float) -> float:
    """Restart all; return when the last was ready, in seconds from the first ping."""
    await asyncio.sleep(rest_s)
    for number, server in enumerate(servers, 1):
        say(f"replica {number} of {len(servers)} is stopped and started")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await asyncio.sleep(_REST_S)
    return perf_counter() - load.begun_s


def _tell(report: Report, outcome: Outcome, took_s: float) -> None:
    failed = len(outcome.latency_s) - len(outcome.acknowledged)
    report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
    report.figure("took_s", "from the first ping until all were restarted", took_s, "s")
    report.figure("retried", "pings turned away at first", len(outcome.retried), "pings")
    report.figure("cut", "of these, their connection closed", outcome.cut, "pings")
    report.figure("refused", "pings turned away again", failed, "pings")
    report.latencies(
        outcome.latencies(), {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}, "from due to acknowledged"
    )


if __name__ == "__main__":
    main()
