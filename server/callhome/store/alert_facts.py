"""What the rules of alerts look at, measured: each a query that may run every few seconds, but for a day's counts."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ..alerts.facts import (
    VERSIONS_READ,
    Adoption,
    Confirmed,
    DayCount,
    OverLicense,
    Product,
    Released,
    Seen,
    Versions,
    adoptions,
)
from ..alerts.rules import FINDING_PREFIX
from ..releases.model import STABLE
from . import rollup
from .connection import Connection
from .ids import id_ms

# More findings than these are not confirmed in the seconds between two looks; the rest waits for the next.
_CONFIRMED_AT_ONCE: Final = 1_000
_WEEKS: Final = 4


async def now(connection: Connection) -> datetime:
    """Return the time of the database's clock, since those of replicas differ. Cancelling it changes nothing."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment


async def folded_until(connection: Connection, moment: datetime) -> datetime:
    """Return up to when all that was committed is counted: ``moment``, or when the oldest batch in the queue began.

    Cancelling it changes nothing.
    """
    oldest = await rollup.oldest_batch(connection)
    return moment if oldest is None else min(moment, datetime.fromtimestamp(id_ms(oldest.bytes) / 1_000, UTC))


async def over_licenses(connection: Connection, product: str | None) -> list[OverLicense]:
    """Return the licenses (of one product, or all) that are over their seats now. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT l.id AS license, l.last4, l.customer, p.key, p.name, s.seats_used, "
        "floor(l.seats * l.overage)::bigint AS allowed "
        "FROM license_state s JOIN license l ON l.id = s.license JOIN product p ON p.id = l.product "
        "WHERE s.seats_used > floor(l.seats * l.overage) AND ($1::text IS NULL OR p.key = $1) ORDER BY l.id",
        product,
    )
    return [OverLicense(**_with_product(row)) for row in rows]


async def confirmed_findings(
    connection: Connection, alert: int, product: str | None, since: datetime
) -> list[Confirmed]:
    """Return the findings that are confirmed, since ``since``, and of which the alert has not told.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT f.id AS finding, f.rule, f.cause, p.key, p.name, f.license, l.last4, l.customer, "
        "encode(f.install, 'hex') AS install, f.measure, f.allowed "
        "FROM finding f JOIN product p ON p.id = f.product LEFT JOIN license l ON l.id = f.license "
        "WHERE f.state = 'confirmed' AND f.confirmed_at >= $3 AND ($2::text IS NULL OR p.key = $2) AND NOT EXISTS "
        "(SELECT FROM alert_event e WHERE e.alert = $1 AND e.event = $4 || f.id) "
        "ORDER BY f.confirmed_at, f.id LIMIT $5",
        alert,
        product,
        since,
        FINDING_PREFIX,
        _CONFIRMED_AT_ONCE,
    )
    return [Confirmed(**_with_product(row)) for row in rows]


async def release_adoptions(connection: Connection, product: str | None, today: date) -> list[Adoption]:
    """Return how far each release of the channel stable is adopted (of one product, or all).

    Among the active installs of the last 30 days, by the builds in use; in a thread, off the event loop. Cancelling it
    changes nothing.
    """
    releases = await connection.fetch(
        "SELECT p.key, p.name, r.version, r.day, r.share AS offered_percent "
        "FROM release r JOIN product p ON p.id = r.product WHERE r.withdrawn_at IS NULL AND r.day <= $2 "
        "AND r.channel = $3 AND ($1::text IS NULL OR p.key = $1) ORDER BY p.key, r.id",
        product,
        today,
        STABLE,
    )
    in_use = await connection.fetch(
        "SELECT p.key, v.version, v.installs, v.total FROM product p CROSS JOIN LATERAL ("
        "  SELECT version, sum(installs)::bigint AS installs, (sum(sum(installs)) OVER ())::bigint AS total "
        "  FROM live_build WHERE product = p.id AND installs > 0 GROUP BY version ORDER BY 2 DESC LIMIT $2"
        ") v WHERE p.key = ANY ($1::text[])",
        list({row["key"] for row in releases}),
        VERSIONS_READ,
    )
    installs: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for row in in_use:
        installs.setdefault(row["key"], {})[row["version"]] = row["installs"]
        totals[row["key"]] = row["total"]
    return await asyncio.to_thread(
        adoptions,
        [Released(**_with_product(row)) for row in releases],
        {key: Versions(installs[key], total) for key, total in totals.items()},
    )


async def day_counts(connection: Connection, product: str | None, day: date) -> list[DayCount]:
    """Return the active installs (verified) of a UTC day and of its weekday in the four weeks before, by product.

    A product that wasn't in use in the week that ended four weeks before has no weeks to compare with: it is left out.
    It reads five days of ``usage_daily`` whole: call it once a day. Cancelling it changes nothing.
    """
    days = [day - timedelta(weeks=week) for week in range(_WEEKS + 1)]
    rows = await connection.fetch(
        "SELECT p.key, p.name, u.day, u.installs FROM product p CROSS JOIN LATERAL ("
        "  SELECT d.day, coalesce(sum(installs), 0)::bigint AS installs FROM unnest($2::date[]) d (day) "
        "  LEFT JOIN usage_daily u ON u.day = d.day AND u.product = p.id AND u.verified GROUP BY d.day"
        ") u WHERE ($1::text IS NULL OR p.key = $1) "
        "AND EXISTS (SELECT FROM usage_daily WHERE product = p.id AND day BETWEEN $3 AND $4) "
        "ORDER BY p.key, u.day DESC",
        product,
        days,
        days[-1] - timedelta(days=6),
        days[-1],
    )
    found: dict[Product, list[int]] = {}
    for row in rows:
        found.setdefault(Product(row["key"], row["name"]), []).append(row["installs"])
    return [DayCount(one, counts[0], tuple(counts[1:])) for one, counts in found.items()]


async def seen(connection: Connection, product: str | None) -> Seen | None:
    """Return when pings of a product, or of any, were counted last; None if the product is gone.

    Cancelling it changes nothing.
    """
    if product is None:
        return Seen(None, await connection.fetchval("SELECT max(seen_at) FROM product_seen"))
    row = await connection.fetchrow(
        "SELECT p.key, p.name, s.seen_at FROM product p LEFT JOIN product_seen s ON s.product = p.id WHERE p.key = $1",
        product,
    )
    return None if row is None else Seen(**_with_product(row))


def _with_product(row: Any) -> dict[str, Any]:
    values = dict(row)
    product = Product(values.pop("key"), values.pop("name"))
    return {**values, "product": product}
