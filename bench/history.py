"""Years of a vendor's history in the tables: what some hundred million pings leave, made by SQL in some minutes."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from callhome.cli.progress import step
from callhome.jobs import series as job
from callhome.statistics.model import next_month
from callhome.store import partitions, series
from callhome.store.connection import Connection

# Days with single installs, as many as are kept by default; and months of series in all.
DAYS: Final = 400
MONTHS: Final = 36
PRODUCTS: Final = 20
LICENSES: Final = 10_000
# Installs of one kind are active on the same days, so that sums over installs are sums over kinds.
_KINDS: Final = 100_003
# Sixty million rows, and a month of series of all products, take minutes each.
_FILL_S: Final = 3_600.0

# An install is of the kind of its number: 3 in 100 come every other day, 10 every second week, the rest a few times a
# year. Some come later, some stay away; products, countries and systems are as uneven as in life; each takes up a
# release (one every 15 days) with a delay of its own. 1 in 200 came once and was never verified.
_KIND: Final = """
CREATE TEMP TABLE kind AS
SELECT k, 1 + floor(power(u1, 2) * $2)::integer AS place, every, k % every AS phase,
       CASE WHEN k % 3 = 0 THEN (k * 31) % 380 ELSE 0 END AS first,
       CASE WHEN k % 6 = 0 THEN (k * 31) % 380 + 30 + (k * 17) % 300 ELSE 100000 END AS last,
       k % 200 <> 1 AS verified,
       chr(65 + land / 26) || chr(65 + land % 26) AS country,
       (ARRAY['windows', 'windows', 'windows', 'macos', 'linux', 'android', 'ios'])[1 + (k * 13) % 7] AS os,
       least(200, floor(-ln(1 - u3) * 30))::integer AS delay, 1 + k % 50 AS users, 1 + k % 3 AS launches
FROM (
    SELECT k, CASE WHEN k % 100 < 3 THEN 2 WHEN k % 100 < 13 THEN 15 + k % 5 ELSE 90 + k % 30 END AS every,
           ((k::bigint * 7919) % 100003) / 100003.0 AS u1, ((k::bigint * 104729) % 99991) / 99991.0 AS u2,
           ((k::bigint * 15485863) % 99989) / 99989.0 AS u3
    FROM generate_series(0, $1::integer - 1) k
) random CROSS JOIN LATERAL (SELECT floor(power(u2, 3) * 200)::integer AS land) l
"""
_KIND_DAY: Final = """
CREATE TEMP TABLE kind_day AS
SELECT k, p.id AS product, d.day, lag(d.day) OVER (PARTITION BY k ORDER BY d.day) AS prev, verified, country, os, users,
       launches, '12.' || greatest(0, (d.day - delay) / 15) AS version,
       'b' || 3 * greatest(0, (d.day - delay) / 15) + k % 3 AS build
FROM kind JOIN product p ON p.key = $1 || '-' || place
CROSS JOIN LATERAL (
    SELECT day FROM generate_series(phase, $2::integer - 1, every) day
    WHERE day BETWEEN first AND last AND (verified OR day < first + every)
) d
"""
_KIND_DAY_INDEX: Final = "CREATE INDEX ON kind_day (day); ANALYZE kind_day"
_FLEET: Final = """
CREATE TEMP TABLE fleet AS
SELECT i % $2::integer AS k, count(*) AS installs FROM generate_series(1, $1::integer) i GROUP BY 1
"""
_ACTIVITY: Final = """
INSERT INTO activity (
    install, product, day, launches, at, id, version, build, country, os, license, users, verified, prev_day
)
SELECT decode(md5(i::text), 'hex'), d.product, $1::date + d.day, d.launches, $1::date + d.day + interval '9 hours',
       gen_random_uuid(), d.version, d.build, d.country, d.os,
       CASE WHEN i % 10 < 3 THEN decode(md5('license' || i % 10000), 'hex') END, d.users, d.verified, $1::date + d.prev
FROM kind_day d JOIN generate_series(1, $2::integer) i ON i % $3::integer = d.k
WHERE d.day BETWEEN $4 AND $5
"""
_INSTALL: Final = """
INSERT INTO install (install, product, first_day, last_day, version, build, country, os, license, users, verified)
SELECT decode(md5(i::text), 'hex'), l.product, $1::date + l.first, $1::date + l.day, l.version, l.build, l.country,
       l.os,
       CASE WHEN i % 10 < 3 THEN decode(md5('license' || i % 10000), 'hex') END, l.users, l.verified
FROM generate_series(1, $2::integer) i
JOIN (
    SELECT DISTINCT ON (k) *, min(day) OVER (PARTITION BY k) AS first FROM kind_day ORDER BY k, day DESC
) l ON l.k = i % $3::integer
"""
_SUMMARIES: Final = (
    """
INSERT INTO usage_daily (day, product, version, build, country, os, verified, installs, users, launches)
SELECT $1::date + day, product, version, build, country, os, verified, sum(installs), sum(users * installs),
       sum(launches * installs)
FROM kind_day JOIN fleet USING (k) GROUP BY 1, 2, 3, 4, 5, 6, 7
""",
    """
INSERT INTO usage_again (product, day, prev_day, country, verified, installs, users)
SELECT product, $1::date + day, $1::date + prev, country, verified, sum(installs), sum(users * installs)
FROM kind_day JOIN fleet USING (k) WHERE prev IS NOT NULL GROUP BY 1, 2, 3, 4, 5
""",
    """
INSERT INTO upgrade_daily (day, product, from_version, to_version, installs)
SELECT $1::date + d.day, d.product, p.version, d.version, sum(installs)
FROM kind_day d JOIN kind_day p ON p.k = d.k AND p.day = d.prev JOIN fleet ON fleet.k = d.k
WHERE p.version <> d.version GROUP BY 1, 2, 3, 4
""",
)
_LICENSES: Final = """
INSERT INTO license (key_hash, last4, customer, product, seats)
SELECT decode(md5('license' || i), 'hex'), lpad(i::text, 4, '0'), 'Customer ' || i / 3, p.id, 500
FROM generate_series(0, $2::integer - 1) i JOIN product p ON p.key = $1 || '-1'
"""
_RELEASES: Final = """
INSERT INTO release (product, version, day)
SELECT p.id, '12.' || i, $1::date + 15 * i FROM product p CROSS JOIN generate_series(0, $2::integer / 15 - 1) i
WHERE p.key LIKE $3 || '-%'
"""
# The years before are those that are there once more: of each table its columns that are days, and the others.
_OLDER: Final = {
    "usage_series": (
        ("month",),
        "product, slice, version, build, country, os, days, installs, users, launches, week_installs, week_users, "
        "month_installs, month_users",
    ),
    "usage_cohort": (("month", "cohort"), "product, installs"),
    "usage_flow": (("day",), "product, new, returned, lost, unverified"),
    "upgrade_daily": (("day",), "product, from_version, to_version, installs"),
    "usage_daily": (("day",), "product, version, build, country, os, verified, installs, users, launches"),
}
TABLES: Final = (
    "activity", "install", "usage_daily", "usage_again", "upgrade_daily", "usage_series", "usage_flow", "usage_cohort",
    "license",
)  # fmt: skip


def begin_of(today: date) -> date:
    """The first day with single installs."""
    return today - timedelta(days=DAYS)


async def fill(connection: Connection, product: str, installs: int) -> float:
    """Fill all tables; return how long a month of series of all products took, in seconds (the longest).

    Products are ``product`` with a number behind it. Cancelling it leaves a part.
    """
    today = datetime.now(UTC).date()
    begin, kinds = begin_of(today), min(_KINDS, installs)

    async def run(statement: str, *given: Any) -> None:
        await connection.execute(statement, *given, timeout=_FILL_S)

    await run(
        "INSERT INTO product (key, name) "
        "SELECT $1 || '-' || i, 'Load test ' || i FROM generate_series(1, $2::integer) i",
        product,
        PRODUCTS,
    )
    await run(_KIND, kinds, PRODUCTS)
    await run(_KIND_DAY, product, DAYS)
    await connection.execute(_KIND_DAY_INDEX)
    await run(_FLEET, installs, kinds)
    await _fill_activity(connection, begin, installs, kinds)
    await run(_INSTALL, begin, installs, kinds)
    for statement in _SUMMARIES:
        await run(statement, begin)
    await run(_LICENSES, product, LICENSES)
    await run(_RELEASES, begin, DAYS, product)
    longest_s = await _make_series(connection, begin, today)
    with step("the years before"):
        await _repeat(connection, today)
        for table in TABLES:
            await run(f"VACUUM ANALYZE {table}")
    return longest_s


async def _fill_activity(connection: Connection, begin: date, installs: int, kinds: int) -> None:
    async with connection.transaction():
        await partitions.ensure_activity(connection, [begin + timedelta(days=day) for day in range(DAYS)])
    for first in range(0, DAYS, 50):
        with step(f"activity of days {first} to {first + 49}, of {DAYS}"):
            await connection.execute(_ACTIVITY, begin, installs, kinds, first, first + 49, timeout=_FILL_S)
    await connection.execute("VACUUM ANALYZE activity", timeout=_FILL_S)


async def _make_series(connection: Connection, begin: date, today: date) -> float:
    """Have the job make all months; return how long the longest took, in seconds."""
    longest_s = 0.0
    await series.prepare(connection)
    month = begin.replace(day=1)
    while month <= today:
        await series.touch_month(connection, month)
        with step(f"series of {month:%B %Y}"):
            begun_s = time.perf_counter()
            await job.look(connection)
        longest_s = max(longest_s, time.perf_counter() - begun_s)
        month = next_month(month)
    return longest_s


async def _repeat(connection: Connection, today: date) -> None:
    kept = begin_of(today).replace(day=1)
    number = today.year * 12 + today.month - MONTHS
    oldest = date(number // 12, number % 12 + 1, 1)
    for table, (days, others) in _OLDER.items():
        earlier = [f"({day} - make_interval(years => $1::integer))::date" for day in days]
        statement = (
            f"INSERT INTO {table} ({', '.join(days)}, {others}) SELECT {', '.join(earlier)}, {others} FROM {table} "  # noqa: S608
            f"WHERE {days[0]} >= $2::date AND {earlier[0]} < $2 AND {earlier[0]} >= $3::date ON CONFLICT DO NOTHING"
        )
        for years in (1, 2):
            await connection.execute(statement, years, kept, oldest, timeout=_FILL_S)
