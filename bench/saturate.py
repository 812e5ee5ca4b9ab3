"""``python -m bench.saturate``: the most single pings a server takes, beside what nginx takes on the same core."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

import click
import uvloop

from . import books, catalogue, nginx, wrk
from .command import Run, bench
from .machine import find_program
from .report import say
from .site import Site
from .wrk import Stroke

# A day, as a program that runs for weeks may be told.
NEXT_S: Final = "86400"


@dataclass(slots=True)
class Rounds:
    """What was measured at one number of connections, a value a round."""

    ours: list[Stroke]
    nginx: list[Stroke]
    backlogs: list[int]
    fold_s: list[float]


@bench("saturate")
@click.option(
    "--connections",
    type=click.IntRange(1, 50_000),
    multiple=True,
    help="Of wrk; may be given again.",
)
@click.option("--seconds", type=click.IntRange(1, 600), help="How long each stroke takes.")
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    help="Strokes of each kind; medians count.",
)
@click.option(
    "--licenses", type=click.IntRange(0, 1_000_000), help="Registered before; each ping's is one of them."
)
@click.option(
    "--releases", type=click.IntRange(0, 10_000), help="Registered before; each ping is told of the newest."
)
def main(
    run: Run, connections: tuple[int, ...], seconds: int, rounds: int, licenses: int, releases: int
) -> None:
    """As many single pings as go, over many connections, and nginx `return 204` under the same script in turns.

    wrk with one thread; ping.lua makes another body each time. nginx has the core of our server; a deployment
    (--url) is measured without it, and tells what it has registered. Only answers below 400 count, and their rows must
    be in the table. Admission is on: all pings come from one address, so installs beyond its ceiling are stored as
    unverified, unless their license is registered, which is asked of each.
    """
    find_program("wrk", "wrk")
    with ExitStack() as stack:
        answers = {"next_s": NEXT_S} if releases else {}
        site = stack.enter_context(run.site(**answers))
        if site.is_own and site.database is not None:
            catalogue.fill(site.database, run, licenses, releases)
        beside = stack.enter_context(nginx.answering(run.layout.server)) if site.is_own else None
        for number in connections:
            found = Rounds([], [], [], [])
            for _ in range(rounds):
                say(f"{number:,} connections: {seconds} s of our server, {seconds} s of nginx")
                uvloop.run(_round(run, site, found, number, seconds))
                if beside:
                    found.nginx.append(
                        wrk.run(f"{beside}/v1/ping", run.pings(), number, seconds, run.layout.load)
                    )
            _tell(run, found, number)


async def _round(run: Run, site: Site, found: Rounds, connections: int, seconds: int) -> None:
    """One stroke on our server; nothing else runs in this process meanwhile, so wrk may block it."""
    pings = run.pings()
    async with books.opened(site) as open_books:
        stroke = wrk.run(f"{site.ingest.rstrip('/')}/v1/ping", pings, connections, seconds, run.layout.load)
        found.ours.append(stroke)
        if open_books.has_database:
            found.backlogs.append((await open_books.backlog())[0])
            found.fold_s.append(await open_books.folded())
            await open_books.licenses_counted()
        await open_books.settled()
        rows = await open_books.rows(pings.tag)
        # wrk cuts its connections at the end: what each had in flight may be stored without being answered.
        fits = 0 < stroke.accepted <= rows <= stroke.accepted + connections + stroke.timeouts
        run.report.check(
            f"{connections} connections: {rows:,} rows committed for {stroke.accepted:,} answers "
            f"(and up to {connections} in flight at the end)",
            fits,
        )
        trouble = f"{stroke.refused} refused, {stroke.socket_errors} socket errors, {stroke.timeouts} without an answer"
        if stroke.refused or stroke.socket_errors or stroke.timeouts:
            run.report.check(f"{connections} connections: told of {trouble}", True)


def _tell(run: Run, found: Rounds, connections: int) -> None:
    report, name = run.report, f"{connections:,} connections"

    def figure(key: str, what: str, values: list[float], unit: str) -> float:
        value = median(values)
        report.figure(f"{key}_c{connections}", f"{name}: {what}", value, unit)
        return value

    ours = figure("rate", "durable pings", [stroke.rate for stroke in found.ours], "pings/s")
    if found.nginx:
        other = figure("nginx", "nginx return 204", [stroke.rate for stroke in found.nginx], "requests/s")
        figure("ratio", "durable pings ÷ nginx", [ours / other], "")
    figure("p50_ms", "latency under saturation, median", [stroke.p50_s * 1000 for stroke in found.ours], "ms")
    figure("p99_ms", "latency under saturation, p99", [stroke.p99_s * 1000 for stroke in found.ours], "ms")
    if found.backlogs:
        figure("backlog", "rollup backlog at the end", [float(count) for count in found.backlogs], "pings")
        figure("fold_s", "time to fold it", found.fold_s, "s")


if __name__ == "__main__":
    main()
