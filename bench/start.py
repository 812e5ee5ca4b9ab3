"""``python -m bench.start``: how long a server takes to start on a database that is full."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from statistics import median
from typing import Final

import click
import orjson
import uvloop

from callhome.cli.progress import step
from callhome.errors import CallhomeError
from callhome.store import rollup
from callhome.store.connection import connect

from .command import Run, bench
from .site import TOKEN, serving, viewer

# The first snapshot comes within milliseconds of the database's answer.
_LIVE_S: Final = 30.0
# A million rows take some ten seconds.
_FILL_S: Final = 600.0

# Installs seen last on one of 60 days, in 80 countries, with some versions; each with one day of activity.
_ACTIVITY: Final = """
INSERT INTO activity (install, product, day, launches, at, id, version, build, country, os, license, users, verified)
SELECT decode(md5(i::text), 'hex'), p.id, d.day, 1 + i % 3, d.day + interval '1 hour', gen_random_uuid(),
       '9.' || i % 7 || '.' || i % 3, 'b' || i % 20, chr(65 + i % 80 / 26) || chr(65 + i % 80 % 26),
       (ARRAY['windows', 'macos', 'linux'])[1 + i % 3], NULL, 1 + i % 50, true
FROM generate_series(1, $2::integer) i
CROSS JOIN LATERAL (SELECT current_date - i % 60 AS day) d
CROSS JOIN (SELECT id FROM product WHERE key = $1) p
"""
_INSTALL: Final = """
INSERT INTO install
    (install, product, first_day, last_day, version, build, country, os, license, users, verified)
SELECT install, product, day, day, version, build, country, os, license, users, verified FROM activity
"""
_USAGE: Final = """
INSERT INTO usage_daily (day, product, version, build, country, os, verified, installs, users, launches)
SELECT day, product, version, build, country, os, verified, count(*), sum(users), sum(launches)
FROM activity GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_ACTIVE: Final = "SELECT count(*) FROM install WHERE last_day > current_date - 30"


@bench("start", remote=False)
@click.option("--installs", type=click.IntRange(1, 10_000_000), help="Installs in the tables.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Starts; medians count.")
def main(run: Run, installs: int, rounds: int) -> None:
    """From starting `callhome serve` until it takes pings, with many installs in the tables.

    Always on a database of our own, filled by SQL with installs, activity and daily summaries that agree.
    """
    with run.postgres() as dsn:
        with step(f"filling in {installs:,} installs"):
            active = uvloop.run(_fill(dsn, run.product, installs))
        ready_s, live_s = [], []
        for _ in range(rounds):
            begun_s = time.perf_counter()
            with serving(dsn, run.layout) as served:
                counted = _live_installs(served.console)
                live_s.append(time.perf_counter() - begun_s)
                ready_s.append(served.ready_s)
            run.report.check(
                f"live counters after the start: {counted:,} installs of {active:,} active", counted == active
            )
        run.report.figure("ready_s", f"start to ready, {installs:,} installs", median(ready_s), "s")
        run.report.figure("live_s", "start to live counters", median(live_s), "s")


async def _fill(dsn: str, product: str, installs: int) -> int:
    """Fill the tables and recount; return how many installs are active in 30 days."""
    connection = await connect(dsn, "bench")
    try:
        await connection.execute(_ACTIVITY, product, installs, timeout=_FILL_S)
        await connection.execute(_INSTALL, timeout=_FILL_S)
        await connection.execute(_USAGE, timeout=_FILL_S)
        for table in ("activity", "install", "usage_daily"):
            await connection.execute(f"VACUUM ANALYZE {table}", timeout=_FILL_S)
        await connection.execute("UPDATE live_seq SET today = today - 1")
        if not await rollup.recount(connection, datetime.now(UTC).date()):
            raise CallhomeError("the live counters can't be recounted: something else is at it")
        return int(await connection.fetchval(_ACTIVE))
    finally:
        await connection.close()


def _live_installs(console: str) -> int:
    """Active installs of 30 days over all products and countries, as soon as the server tells them."""
    deadline_s = time.monotonic() + _LIVE_S
    while True:
        try:
            request = urllib.request.Request(f"{console}/api/v1/live", headers={**viewer(TOKEN)})
            with urllib.request.urlopen(request, timeout=_LIVE_S) as answer:
                return sum(row[5] for row in orjson.loads(answer.read())["countries"])
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline_s:
                raise CallhomeError(f"no live counters from {console}: {error}") from None
        time.sleep(0.01)


if __name__ == "__main__":
    main()
