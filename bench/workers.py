"""``python -m bench.workers``: two workers beside one, on a machine with cores for them."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Final

import click
import uvloop

from callhome.errors import CallhomeError

from . import books, wrk
from .command import Run, bench
from .drive import Plan, connected, verify
from .machine import Layout, available, find_program
from .report import say
from .site import Site
from .wrk import Stroke

# Two workers, PostgreSQL and the load: on fewer, they would take the time from one another.
CORES: Final = 4
_WORKERS: Final = (1, 2)
# Connections opened at once are spread by a hash: of a few, all may go to one worker. Tried again so often.
_TRIES: Final = 20
_TRIED_S: Final = 1.0
_TRIED_HZ: Final = 100.0


@bench("workers", remote=False)
@click.option("--connections", type=click.IntRange(2, 50_000), help="Of wrk.")
@click.option("--seconds", type=click.IntRange(1, 600), help="How long each stroke takes.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Strokes of each kind; medians count.")
def main(run: Run, connections: int, seconds: int, rounds: int) -> None:
    """As many single pings as go, with one worker and with two, in turns.

    Always on servers of our own. The workers have the first two cores, the load the last, PostgreSQL those between; one
    worker may use both of its cores, too. On fewer than four cores nothing is measured: it is seen that both workers
    take pings, no more.
    """
    find_program("wrk", "wrk")
    if len(available()) < CORES:
        run.report.check(
            f"told that it takes {CORES} cores, and here are {len(available())}: not measured", True
        )
        with run.site(workers="2") as site:
            uvloop.run(_both_take(run, site, connections))
        return
    run = replace(run, layout=spread(run.layout))
    run.report.parameters = {**run.report.parameters, "layout": str(run.layout)}
    strokes: dict[int, list[Stroke]] = {count: [] for count in _WORKERS}
    for _ in range(rounds):
        for count in _WORKERS:
            with run.site(workers=str(count)) as site:
                say(f"{seconds} s of {count} worker{'s' * (count > 1)}")
                strokes[count].append(uvloop.run(_stroke(run, site, connections, seconds)))
    one, two = (median(stroke.rate for stroke in strokes[count]) for count in _WORKERS)
    run.report.figure("rate_1", "durable pings, one worker", one, "pings/s")
    run.report.figure("rate_2", "durable pings, two workers", two, "pings/s")
    run.report.figure("ratio", "two workers ÷ one", two / one, "")


def spread(layout: Layout) -> Layout:
    """The layout with two cores for the workers, where it has one: the second of those for PostgreSQL goes to them."""
    if len(layout.server) > 1 or len(layout.database) < 2:
        return layout
    second = min(layout.database)
    return replace(layout, server=layout.server | {second}, database=layout.database - {second})


async def _stroke(run: Run, site: Site, connections: int, seconds: int) -> Stroke:
    """One stroke; nothing else runs in this process meanwhile, so wrk may block it."""
    pings = run.pings()
    async with books.opened(site) as open_books:
        stroke = wrk.run(f"{site.ingest}/v1/ping", pings, connections, seconds, run.layout.load)
        await open_books.settled()
        rows = await open_books.rows(pings.tag)
        # wrk cuts its connections at the end: what each had in flight may be stored without being answered.
        fits = 0 < stroke.accepted <= rows <= stroke.accepted + connections + stroke.timeouts
        run.report.check(f"{rows:,} rows committed for {stroke.accepted:,} answers", fits)
        await open_books.folded()
    return stroke


async def _both_take(run: Run, site: Site, connections: int) -> None:
    """See that pings reach both workers, over new connections until they have."""
    assert site.console is not None
    async with books.opened(site) as open_books:
        for _ in range(_TRIES):
            pings = run.pings()
            async with connected(site, pings, Plan(_TRIED_HZ, _TRIED_S, connections)) as load:
                outcome = await load.run()
            taken = await received(site.console)
            if len(taken) > 1 and all(taken.values()):
                break
        else:
            raise CallhomeError(f"not both workers take pings: {taken}")
        told = ", ".join(f"worker {name} {count:,.0f}" for name, count in sorted(taken.items()))
        run.report.check(f"both workers take pings: {told}", True)
        await verify(run.report, open_books, pings.tag, outcome)


async def received(console: str) -> dict[str, float]:
    """The pings that each worker has received, by its number. Raises `CallhomeError`; cancelling it is harmless."""
    return {
        sample.labels["worker"]: sample.value
        for sample in await books.samples(console)
        if sample.name == "callhome_received_pings_total" and "worker" in sample.labels
    }


if __name__ == "__main__":
    main()
