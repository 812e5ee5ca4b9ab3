"""``python -m bench.spool``: durable single pings into the spool, beside those into PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Final

import click
import uvloop

from callhome.errors import CallhomeError

from . import books, wrk
from .command import Run, bench
from .machine import find_program
from .outages import Database
from .report import say
from .site import Site, probe
from .wrk import Stroke

# A commit that fails at once, or hangs for SPOOL_AFTER_S, tells the server; twice, on a busy machine.
_NOTICE_S: Final = 30.0


@bench("spool", remote=False)
@click.option("--connections", type=click.IntRange(1, 50_000), help="Of wrk.")
@click.option("--seconds", type=click.IntRange(1, 600), help="How long each stroke takes.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Strokes of each kind; medians count.")
def main(run: Run, connections: int, seconds: int, rounds: int) -> None:
    """As many single pings as go, in turns with PostgreSQL there (answered after COMMIT) and away (after an fsync).

    Always on servers of our own. The server has one core in both. PostgreSQL has a core beside it, or shares that of
    wrk where there are but two: with PostgreSQL away, wrk has that core for itself. After each stroke the spool is
    drained; all that was answered must be in the table.
    """
    find_program("wrk", "wrk")
    into_table, into_spool = list[Stroke](), list[Stroke]()
    drain_hz = list[float]()
    with run.breakable() as (site, database):
        for _ in range(rounds):
            say(f"{connections:,} connections: {seconds} s into PostgreSQL, {seconds} s into the spool")
            into_table.append(uvloop.run(_stroke(run, site, connections, seconds)))
            stroke, took_s = uvloop.run(_away(run, site, database, connections, seconds))
            into_spool.append(stroke)
            drain_hz.append(stroke.accepted / took_s)
    report = run.report
    normal, spooled = (median(stroke.rate for stroke in strokes) for strokes in (into_table, into_spool))
    report.figure("rate", "durable pings, in the table", normal, "pings/s")
    report.figure("rate_spooled", "durable pings, in the spool", spooled, "pings/s")
    report.figure("ratio", "spooled ÷ normal", spooled / normal, "")
    for key, what, strokes in (("table", "in the table", into_table), ("spool", "in the spool", into_spool)):
        p99_ms = median(stroke.p99_s * 1000 for stroke in strokes)
        report.figure(f"p99_{key}_ms", f"latency under saturation, {what}, p99", p99_ms, "ms")
    report.figure("drain_rate", "drained", median(drain_hz), "pings/s")


async def _stroke(run: Run, site: Site, connections: int, seconds: int) -> Stroke:
    """One stroke on the table; nothing else runs in this process meanwhile, so wrk may block it."""
    pings = run.pings()
    async with books.opened(site) as open_books:
        stroke = wrk.run(f"{site.ingest}/v1/ping", pings, connections, seconds, run.layout.load)
        await _check(run, open_books, pings.tag, "table", stroke, connections)
    return stroke


async def _away(
    run: Run, site: Site, database: Database, connections: int, seconds: int
) -> tuple[Stroke, float]:
    """One stroke on the spool, with PostgreSQL away; return how long its draining took, too."""
    assert site.console is not None
    pings, since_s = run.pings(), time.time()
    database.go_away()
    await _noticed(site, site.console, run.product)
    before = await books.metrics(site.console)
    stroke = wrk.run(f"{site.ingest}/v1/ping", pings, connections, seconds, run.layout.load)
    after = await books.metrics(site.console)
    database.come_back()
    took_s = await books.drained(site.console)
    # Else it would compare PostgreSQL with itself.
    spooled = int(after["callhome_spooled_pings_total"] - before["callhome_spooled_pings_total"])
    what = f"all {stroke.accepted:,} answers came from the spool ({spooled:,} pings)"
    run.report.check(what, spooled >= stroke.accepted)
    async with books.opened(site, since_s) as open_books:
        await _check(run, open_books, pings.tag, "spool", stroke, connections)
    return stroke, took_s


async def _noticed(site: Site, console: str, product: str) -> None:
    """Ping until the server spools; raises `CallhomeError`. Cancelling it is harmless."""
    begun_s = time.monotonic()
    while not (await books.metrics(console))["callhome_database_away"]:
        if time.monotonic() - begun_s > _NOTICE_S:
            raise CallhomeError(f"the server did not notice within {_NOTICE_S:g} s that PostgreSQL is away")
        await asyncio.to_thread(probe, site.ingest, product)


async def _check(
    run: Run, open_books: books.Books, tag: str, where: str, stroke: Stroke, connections: int
) -> None:
    """Compare the rows with the answers, once all is stored and counted."""
    await open_books.settled()
    await open_books.folded()
    rows = await open_books.rows(tag)
    # wrk cuts its connections at the end: what each had in flight may be stored without being answered.
    fits = 0 < stroke.accepted <= rows <= stroke.accepted + connections + stroke.timeouts
    run.report.check(
        f"{where}: {rows:,} rows committed for {stroke.accepted:,} answers "
        f"(and up to {connections} in flight at the end)",
        fits,
    )
    if stroke.refused or stroke.socket_errors or stroke.timeouts:
        trouble = f"{stroke.refused} refused, {stroke.socket_errors} socket errors, {stroke.timeouts} without an answer"
        run.report.check(f"{where}: told of {trouble}", True)


if __name__ == "__main__":
    main()
