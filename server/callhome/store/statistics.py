"""What else the pages of statistics show: how far counts reach, releases, updates, comings and goings, cohorts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ..statistics.installs import ActiveDay
from ..statistics.model import Count, Counts, Days, Window
from ..statistics.months import Month, counts
from ..statistics.releases import Release
from .connection import Connection
from .counts import COLUMNS
from .statements import sql


@dataclass(frozen=True, slots=True)
class Standing:
    """As of when the series are, the UTC day that it is now, and of a product the first day that is counted."""

    today: date
    counted_at: datetime | None
    first_day: date | None


async def standing(connection: Connection, products: Sequence[int]) -> Standing:
    """Return how far the series of these products reach. Cancelling it changes nothing."""
    row = await connection.fetchrow(
        "SELECT (now() AT TIME ZONE 'UTC')::date AS today, (SELECT counted_at FROM series_state) AS counted_at, "
        "(SELECT min(month + days[1] - 1) FROM usage_series WHERE product = ANY ($1::integer[]) AND slice = 'all') "
        "AS first_day",
        products,
    )
    assert row is not None, "a row of scalars"
    return Standing(row["today"], row["counted_at"], row["first_day"])


async def every(
    connection: Connection, products: Sequence[int], days: Days
) -> dict[int, dict[Count, Counts]]:
    """Return each count of whole products, day by day. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT product, month, days, installs, users, launches, week_installs, week_users, month_installs, "
        "month_users FROM usage_series WHERE product = ANY ($1::integer[]) AND slice = 'all' AND version = '' "
        "AND build = '' AND country = '' AND os = '' AND month BETWEEN $2 AND $3",
        products,
        days.first_month,
        days.last_month,
    )
    found: dict[int, dict[Count, Counts]] = {}
    for product in products:
        own = [row for row in rows if row["product"] == product]
        unknown = [row["month"] for row in own if row["month_installs"] is None]
        found[product] = {
            Count(measure, window): counts(
                [Month(row["month"], row["days"], row[column]) for row in own if row[column] is not None],
                window,
                days,
                () if window is Window.DAY else unknown,
            )
            for (measure, window), column in COLUMNS.items()
        }
    return found


async def versions_in_use(
    connection: Connection, products: Sequence[int], day: date, *, most: int
) -> dict[int, dict[str, int]]:
    """Return, of each product, the ``most`` versions with the most installs in the 30 days up to a day.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(sql("statistics_versions"), products, day.replace(day=1), day.day, most)
    found: dict[int, dict[str, int]] = {product: {} for product in products}
    for row in rows:
        found[row["product"]][row["version"]] = row["installs"]
    return found


async def registered(
    connection: Connection, products: Sequence[int], until: date
) -> dict[int, list[Release]]:
    """Return the releases of each product up to a day that were registered. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT product, version, min(day) AS day FROM release WHERE product = ANY ($1::integer[]) "
        "AND withdrawn_at IS NULL AND day <= $2 AND channel = 'stable' GROUP BY product, version",
        products,
        until,
    )
    found: dict[int, list[Release]] = {product: [] for product in products}
    for row in rows:
        found[row["product"]].append(Release(row["version"], row["day"], True))
    return found


async def releases(
    connection: Connection, product: int, versions: Sequence[str], until: date
) -> list[Release]:
    """Return the registered releases up to a day, and those ``versions`` that nobody registered, with their first day.

    Cancelling it changes nothing.
    """
    known = (await registered(connection, [product], until))[product]
    names = {release.version for release in known}
    seen = await connection.fetch(
        "SELECT version, min(month + days[1] - 1) AS day FROM usage_series WHERE product = $1 AND slice = 'version' "
        "AND version = ANY ($2::text[]) GROUP BY version",
        product,
        [version for version in versions if version not in names],
    )
    return [*known, *(Release(row["version"], row["day"], False) for row in seen)]


@dataclass(frozen=True, slots=True)
class Flow:
    """Installs that went from one version to another."""

    before: str
    after: str
    installs: int


async def updates(
    connection: Connection, product: int, days: Days, version: str | None, *, limit: int, offset: int
) -> tuple[list[Flow], int, int]:
    """Return the updates within these days, from or to ``version`` if it is given, how many there are, and their sum.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT from_version, to_version, sum(installs)::bigint AS installs, count(*) OVER () AS total, "
        "(sum(sum(installs)) OVER ())::bigint AS whole FROM upgrade_daily "
        "WHERE product = $1 AND day BETWEEN $2 AND $3 AND ($4::text IS NULL OR $4 IN (from_version, to_version)) "
        "GROUP BY from_version, to_version ORDER BY installs DESC, from_version, to_version LIMIT $5 OFFSET $6",
        product,
        days.first,
        days.last,
        version,
        limit,
        offset,
    )
    flows = [Flow(row["from_version"], row["to_version"], row["installs"]) for row in rows]
    if rows or not offset:
        return flows, rows[0]["total"] if rows else 0, rows[0]["whole"] if rows else 0
    _, total, whole = await updates(connection, product, days, version, limit=1, offset=0)
    return [], total, whole


async def moved(connection: Connection, product: int, days: Days) -> dict[date, tuple[int, int, int, int]]:
    """Return new, returned, lost and unverified installs of the days that have any. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT day, new, returned, lost, unverified FROM usage_flow WHERE product = $1 AND day BETWEEN $2 AND $3",
        product,
        days.first,
        days.last,
    )
    return {row["day"]: (row["new"], row["returned"], row["lost"], row["unverified"]) for row in rows}


async def cohorts(
    connection: Connection, product: int, first: date, last: date
) -> dict[date, dict[date, int]]:
    """Return the installs of each cohort from ``first`` on that were active in each month up to ``last``.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT cohort, month, installs FROM usage_cohort WHERE product = $1 AND cohort >= $2 AND month <= $3",
        product,
        first,
        last,
    )
    found: dict[date, dict[date, int]] = defaultdict(dict)
    for row in rows:
        found[row["cohort"]][row["month"]] = row["installs"]
    return found


async def licensed(
    connection: Connection, product: int, hashes: Sequence[bytes], days: Days, *, most: int
) -> list[ActiveDay] | None:
    """Return the active days under these licenses that count within ``days``; ``None`` for more than ``most``.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        sql("statistics_licensed"), product, list(hashes), days.first, days.last, most + 1
    )
    return None if len(rows) > most else [ActiveDay(*row) for row in rows]


async def license_hashes(
    connection: Connection, product: int, license: int | None, customer: str | None
) -> list[bytes]:
    """Return the hashed keys of a license, or of all of a customer, of a product. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT key_hash FROM license WHERE product = $1 AND ($2::integer IS NULL OR id = $2) "
        "AND ($3::text IS NULL OR customer = $3)",
        product,
        license,
        customer,
    )
    return [row["key_hash"] for row in rows]
