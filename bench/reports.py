"""``python -m bench.reports``: how long one summary mail takes, with many installs in the tables."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any, Final

import click
import uvloop

from callhome.cli.progress import step
from callhome.errors import CallhomeError
from callhome.reports.compose import compose
from callhome.reports.figures import Figures
from callhome.reports.model import SECTIONS, Composed, Order, Period
from callhome.store import figures, rollup
from callhome.store.connection import Connection, connect

from .command import Run, bench

# Five million installs take some two minutes.
_FILL_S: Final = 1_200.0
_DAYS: Final = 120
_PERIODS: Final = {"week": 7, "month": 30, "quarter": 90}
# Installs of one kind are active on the same days, so that sums over installs are sums over kinds.
_KINDS: Final = 20_011

# An install is of the kind of its number. Each kind has its rhythm (active every 1 to 60 days, most of them often), a
# first and a last day, a country (two, if it moved on day 100), and a delay with which it takes up a release. 1 in 200
# came once and was never verified. Days count from the first of 120.
_KIND: Final = """
CREATE TEMP TABLE kind AS
SELECT k, p.id AS product, 1 + (k % 97) * (k % 97) * 59 / 9216 AS every,
       CASE WHEN k % 5 = 0 THEN k % 113 ELSE -400 END AS first,
       CASE WHEN k % 200 = 1 THEN k % 113 WHEN k % 7 = 0 THEN 20 + k % 91 ELSE 100000 END AS last,
       k % 200 <> 1 AS verified,
       chr(65 + (k % 83) * (k % 83) / 83 / 26) || chr(65 + (k % 83) * (k % 83) / 83 % 26) AS country,
       k % 50 = 0 AS moves, k % 23 AS delay, 'b' || k % 5 AS build,
       (ARRAY['windows', 'macos', 'linux'])[1 + k % 3] AS os, 1 + k % 50 AS users, 1 + k % 3 AS launches
FROM generate_series(0, $1::integer - 1) k
JOIN product p ON p.key = CASE WHEN k % 10 < 5 THEN $2 ELSE $2 || '-' || k % 3 END
"""
# The days of each kind: with the day before, and what it was on each. The first day of a kind is its first active one.
_DAY: Final = """
CREATE TEMP TABLE kind_day AS
SELECT k, product, d.day, d.prev, verified, os, users, launches, build,
       CASE WHEN moves AND d.day >= 100 THEN 'XX' ELSE country END AS country,
       CASE WHEN moves AND d.prev >= 100 THEN 'XX' ELSE country END AS prev_country,
       '12.' || greatest(0, (d.day - delay) / 15) AS version,
       '12.' || greatest(0, (d.prev - delay) / 15) AS prev_version
FROM kind
CROSS JOIN LATERAL (
    SELECT day, CASE WHEN verified AND day - every >= first THEN day - every END AS prev
    FROM generate_series(0, 119) day
    WHERE CASE WHEN verified THEN (day + k) % every = 0 AND day BETWEEN first AND last ELSE day = last END
) d
"""
_FLEET: Final = """
CREATE TEMP TABLE fleet AS
SELECT k, count(*) AS installs
FROM generate_series(1, $1::integer) i CROSS JOIN LATERAL (SELECT i % $2::integer AS k) n GROUP BY k
"""
_USAGE: Final = """
INSERT INTO usage_daily (day, product, version, build, country, os, verified, installs, users, launches)
SELECT $1::date + day, product, version, build, country, os, verified, sum(installs), sum(users * installs),
       sum(launches * installs)
FROM kind_day JOIN fleet USING (k) GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_AGAIN: Final = """
INSERT INTO usage_again (product, day, prev_day, country, verified, installs, users)
SELECT product, $1::date + day, $1::date + prev, prev_country, verified, sum(installs), sum(users * installs)
FROM kind_day JOIN fleet USING (k) WHERE prev IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""
_UPGRADES: Final = """
INSERT INTO upgrade_daily (day, product, from_version, to_version, installs)
SELECT $1::date + day, product, prev_version, version, sum(installs)
FROM kind_day JOIN fleet USING (k) WHERE prev_version <> version GROUP BY 1, 2, 3, 4
"""
_INSTALL: Final = """
INSERT INTO install (install, product, first_day, last_day, version, build, country, os, users, verified)
SELECT decode(md5(i::text), 'hex'), l.product, $1::date + f.day, $1::date + l.day, l.version, l.build, l.country, l.os,
       l.users, l.verified
FROM generate_series(1, $2::integer) i
JOIN (SELECT DISTINCT ON (k) * FROM kind_day ORDER BY k, day DESC) l ON l.k = i % $3::integer
JOIN (SELECT k, min(day) AS day FROM kind_day GROUP BY k) f ON f.k = l.k
"""
_LICENSES: Final = """
WITH sold AS (
    INSERT INTO license (key_hash, last4, customer, product, seats, ends)
    SELECT decode(md5(i::text), 'hex'), lpad(i::text, 4, '0'), 'Customer ' || i, 1, 1 + i % 90, current_date + i % 400
    FROM generate_series(1, 10000) i RETURNING id
)
INSERT INTO finding (rule, license, product, state, measure, allowed, evidence)
SELECT 'over_seats', id, 1, (ARRAY['open', 'confirmed'])[1 + id % 2], 12, 10, '{}' FROM sold WHERE id % 50 = 0
"""
_RELEASES: Final = """
INSERT INTO release (product, version, day)
SELECT p.id, '12.' || i, $1::date + 15 * i FROM product p CROSS JOIN generate_series(0, 7) i
"""
# The same numbers from the single installs and the rhythm of each, not from any sum.
_RECOUNT: Final = """
SELECT product, count(*) AS installs, sum(users) AS users
FROM generate_series(1, $1::integer) i
JOIN kind ON k = i % $2::integer
WHERE verified AND EXISTS (
    SELECT FROM generate_series($3::integer, $4::integer) day WHERE (day + k) % every = 0 AND day BETWEEN first AND last
)
GROUP BY product
"""


@bench("reports", remote=False)
@click.option("--installs", type=click.IntRange(1, 50_000_000), help="Installs in the tables.")
@click.option("--rounds", type=click.IntRange(1, 20), help="Mails of each length of period; medians count.")
def main(run: Run, installs: int, rounds: int) -> None:
    """One summary mail of all sections: reading its figures, and composing it with pictures and tables.

    Always on a database of our own, filled by SQL with 120 days of three products, installs that come and go, updates,
    licenses and findings.
    """
    with run.postgres() as dsn:
        uvloop.run(_measure(run, dsn, installs, rounds))


async def _measure(run: Run, dsn: str, installs: int, rounds: int) -> None:
    connection = await connect(dsn, "bench")
    try:
        begin = datetime.now(UTC).date() - timedelta(days=_DAYS - 1)
        with step(f"filling in {installs:,} installs"):
            await _fill(connection, run.product, installs, begin)
        for name, days in _PERIODS.items():
            order = Order("Bench", (), SECTIONS, "en", _ending_yesterday(begin, days))
            read_s, compose_s = [], []
            for _ in range(rounds):
                begun_s = time.perf_counter()
                found = await figures.read(connection, order)
                read_at_s = time.perf_counter()
                composed = compose(order, found, "https://callhome.example")
                compose_s.append(time.perf_counter() - read_at_s)
                read_s.append(read_at_s - begun_s)
            both_s = [read + made for read, made in zip(read_s, compose_s, strict=True)]
            run.report.figure(f"{name}_read_s", f"reading the figures of a {name}", median(read_s), "s")
            run.report.figure(f"{name}_compose_s", f"composing the mail of a {name}", median(compose_s), "s")
            run.report.figure(
                f"{name}_s", f"one report of a {name}, {installs:,} installs", median(both_s), "s"
            )
            await _check(run, connection, found, order.period, installs)
        _check_mail(run, composed)
    finally:
        await connection.close()


def _ending_yesterday(begin: date, days: int) -> Period:
    last = begin + timedelta(days=_DAYS - 2)
    return Period(last - timedelta(days=days - 1), last)


async def _fill(connection: Connection, product: str, installs: int, begin: date) -> None:
    kinds = min(_KINDS, installs)

    async def run(statement: str, *given: Any) -> None:
        await connection.execute(statement, *given, timeout=_FILL_S)

    await run(
        "INSERT INTO product (key, name) SELECT $1 || '-' || i, 'Load test ' || i FROM generate_series(0, 2) i",
        product,
    )
    await run(_KIND, kinds, product)
    await run(_DAY)
    await run(_FLEET, installs, kinds)
    for statement in (_USAGE, _AGAIN, _UPGRADES):
        await run(statement, begin)
    await run(_INSTALL, begin, installs, kinds)
    await run(_LICENSES)
    await run(_RELEASES, begin)
    for table in ("install", "usage_daily", "usage_again", "upgrade_daily", "license", "finding"):
        await run(f"VACUUM ANALYZE {table}")
    await run("UPDATE live_seq SET today = today - 1")
    if not await rollup.recount(connection, datetime.now(UTC).date()):
        raise CallhomeError("the live counters can't be recounted: something else is at it")


async def _check(run: Run, connection: Connection, found: Figures, period: Period, installs: int) -> None:
    """Hold installs and users of the period against a count of single installs."""
    begin = datetime.now(UTC).date() - timedelta(days=_DAYS - 1)
    days = ((day - begin).days for day in (period.first_day, period.last_day))
    rows = await connection.fetch(_RECOUNT, installs, min(_KINDS, installs), *days, timeout=_FILL_S)
    counted = (sum(row["installs"] for row in rows), sum(row["users"] for row in rows))
    usages = [product.usage.now for product in found.products]
    told = (sum(usage.installs for usage in usages), sum(usage.users for usage in usages))
    run.report.check(
        f"installs and users of {period.first_day} to {period.last_day}: {told} = {counted}", told == counted
    )


def _check_mail(run: Run, composed: Composed) -> None:
    size = len(composed.html.encode())
    run.report.figure("html_kb", "HTML of the mail", size / 1000, "kB")
    run.report.check(
        f"pictures and tables: {len(composed.images)}, {len(composed.attachments)}", bool(composed.images)
    )


if __name__ == "__main__":
    main()
