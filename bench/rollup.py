"""``python -m bench.rollup``: how far the rollup lags behind the pings, and what a ping costs it."""

from __future__ import annotations

import time
from statistics import median
from typing import Final

import click
import uvloop

from callhome.errors import UsageError
from callhome.ingest.decode import decode_ping
from callhome.ingest.enrich import Enricher
from callhome.store import rollup, schema
from callhome.store.connection import Connection, connect
from callhome.store.ids import id_ms
from callhome.store.writer import BatchWriter

from . import books
from .command import Run, bench
from .drive import Plan, connected, load_options, sampling, verify
from .pings import Pings
from .site import Site

# Ten samples a second: a lag of seconds is not missed, and the queue is read at no cost.
_LOOK_S: Final = 0.1
# As group commit makes them under full load (BATCH_PINGS).
_BATCH_PINGS: Final = 5_000
_DAY_S: Final = 86_400
_FOLD_DATABASE: Final = "bench_fold"


@bench("rollup")
@load_options
@click.option(
    "--fold-pings",
    type=click.IntRange(1, 5_000_000),
    help="Pings of each timed fold.",
)
def main(run: Run, rate: int, seconds: float, connections: int, fold_pings: int) -> None:
    """The rollup: its lag at a fixed rate of pings, and the time a ping costs it.

    Lag is the age of the oldest batch that waits to be folded, by the time in its id; of a deployment, the clocks
    of its server and of this machine must agree. Folds are timed alone, in a database of their own: installs never
    seen before, the same ones a day later, and once more on that day.
    """
    plan = Plan(rate, seconds, connections)
    with run.site() as site:
        uvloop.run(_measure(run, site, plan))
        if site.is_own:
            uvloop.run(_time_folds(run, site, fold_pings))


async def _measure(run: Run, site: Site, plan: Plan) -> None:
    pings, report = run.pings(), run.report
    async with books.opened(site) as open_books:
        if site.database is None:
            raise UsageError("the rollup's queue is in the database: name --database-url")
        watcher = await connect(site.database, "bench watcher")

        async def lag_s() -> float:
            oldest = await rollup.oldest_batch(watcher)
            return max(0.0, time.time() - id_ms(oldest.bytes) / 1000) if oldest else 0.0

        try:
            async with connected(site, pings, plan) as load, sampling(lag_s, _LOOK_S) as lags_s:
                outcome = await load.run()
        finally:
            watcher.terminate()
        report.figure("rate", "acknowledged rate", outcome.rate, "pings/s")
        report.figure("lag_p50_s", "lag, median", median(lags_s), "s")
        report.figure("lag_max_s", "lag, highest", max(lags_s), "s")
        report.figure("fold_rest_s", "from the last answer to an empty queue", await open_books.folded(), "s")
        await verify(report, open_books, pings.tag, outcome)
        if site.is_own:
            summed, counted = await open_books.launches(run.product)
            report.check(
                f"launches in the summaries = in the rows: {summed:,} = {counted:,}", summed == counted
            )


async def _time_folds(run: Run, site: Site, count: int) -> None:
    assert site.database is not None
    administrator = await connect(site.database, "bench")
    try:
        await administrator.execute(f"CREATE DATABASE {_FOLD_DATABASE}")
    finally:
        await administrator.close()
    dsn = f"{site.database.rpartition('/')[0]}/{_FOLD_DATABASE}"
    await schema.upgrade(dsn)
    writer, connection = BatchWriter(dsn), await connect(dsn, "bench")
    try:
        await rollup.prepare(connection)
        today_s = time.time()
        cases = (("new", "new installs", today_s - _DAY_S), ("next_day", "the same a day later", today_s))
        for key, what, at_s in (*cases, ("again", "the same once more that day", today_s)):
            await _fill(writer, run.pings(), count, at_s)
            us = await _fold(connection) / count * 1e6
            run.report.figure(f"fold_{key}_us", f"fold, {what}", us, "µs a ping")
        folded = int(await connection.fetchval("SELECT sum(launches) FROM usage_daily"))
        run.report.check(
            f"each ping folded once: {folded:,} launches of {3 * count:,} pings", folded == 3 * count
        )
    finally:
        await writer.close()
        connection.terminate()


async def _fill(writer: BatchWriter, pings: Pings, count: int, at_s: float) -> None:
    """Store a ping of each of ``count`` installs, in an order of no meaning."""
    enrich = Enricher(b"bench", dict.fromkeys((decode_ping(pings.ping().body).product,), 1))
    # 7,919 is prime: steps of it visit every number of a range that it doesn't divide, scattered.
    order = [(number * 7_919) % count for number in range(count)] if count % 7_919 else range(count)
    rows = [enrich.row(decode_ping(pings.ping(number, at_s).body), "", "ZZ", time.time()) for number in order]
    for first in range(0, count, _BATCH_PINGS):
        await writer.write(rows[first : first + _BATCH_PINGS])


async def _fold(connection: Connection) -> float:
    """Fold until nothing is left; return the seconds it took."""
    begun_s = time.perf_counter()
    more = True
    while more:
        folded = await rollup.fold(connection)
        more = folded is None or folded.more
    return time.perf_counter() - begun_s


if __name__ == "__main__":
    main()
