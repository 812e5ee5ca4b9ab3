"""The registry of licenses: added, imported, revoked, found. A change reaches every replica by NOTIFY.

Changes come one after the other: a lock says whose turn it is. What is kept from before can't change meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

import asyncpg

from ..errors import CallhomeError
from ..licenses.badlines import BadLines
from ..licenses.fields import InvalidLicense, Sold
from ..licenses.model import Counts, License, Terms, Use
from . import license_lines
from .connection import Connection
from .license_lines import Changes as Changes
from .registered import product_id
from .statements import sql

LICENSES_LOCK: Final = 0x63616C6C_00000003
# A page of the list: some hundred kilobytes.
PAGE: Final = 1_000
# So many are decoded before others get a turn on the event loop: a millisecond or two.
_CHUNK: Final = 500


class Busy(CallhomeError):
    """Somebody else is changing licenses, such as by a large import."""

    def __init__(self) -> None:
        super().__init__("licenses are being changed by somebody else: try again when that is done")


class UnknownLicense(CallhomeError):
    """No license has this number."""

    def __init__(self, id: int) -> None:
        super().__init__(f"there is no license with the id {id}")


class _DryRun(Exception):
    """Undoes what was done only to see what would be."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which licenses: all that is given must hold. ``customer`` is a part of the name, in any case of letters.

    ``product`` is the product's key; ``ends_from`` and ``ends_until`` belong to the span of days, and what never ends
    is not in it.
    """

    product: str | None = None
    customer: str | None = None
    ends_from: date | None = None
    ends_until: date | None = None
    key_hash: bytes | None = None
    last4: str | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A license with its product's key and how it stands; None and no maximum where it wasn't counted yet."""

    license: License
    product: str
    seats_used: int | None
    used_max: int | None
    max_day: date | None
    is_over: bool

    @property
    def terms(self) -> Terms:
        """What decides its verdict."""
        one = self.license
        return Terms(one.product, one.starts, one.ends, one.grace_days, one.revoked_on, self.is_over)


@dataclass(frozen=True, slots=True)
class UsageDay:
    """The usage of a license on a UTC day, in seats; the columns of license_usage."""

    day: date
    seats_used: int
    held: int
    active: int


async def add(connection: Connection, sold: Sold, given: Iterable[str]) -> tuple[Changes, Listed]:
    """Register a license, or change the one with this key; return which it was, and the license.

    ``given`` names the optional fields that are given; of one that is there the others stay. Raises `InvalidLicense`,
    `UnknownProduct` and `Busy`. Cancelling it: done or not, never half.
    """
    async with _changing(connection):
        await product_id(connection, sold.product)
        bad = BadLines()
        await license_lines.take(connection, [(1, sold)], given)
        await license_lines.refuse(connection, bad)
        for found in bad.found:
            raise InvalidLicense(found.column, found.given, found.expected)
        changes = await license_lines.merge(connection, 1)
        (listed,) = await list_all(connection, Filter(key_hash=sold.key_hash))
    return changes, listed


async def import_many(
    connection: Connection,
    lines: Iterable[tuple[int, Sold]],
    given: Iterable[str],
    bad: BadLines,
    *,
    dry_run: bool = False,
) -> Changes:
    """Register or change all of ``lines`` (number and license, each key once), or none; with ``dry_run`` none, either.

    ``given`` names the optional fields that are given; of licenses that are there the others stay. What is wrong is
    added to ``bad``, to which ``lines`` may add as it is read. Raises ``bad`` if there is anything in it, `Busy`,
    and what ``lines`` raises. Cancelling it imports nothing, or all if it was just done.
    """
    with suppress(_DryRun):
        async with _changing(connection):
            count = await license_lines.take(connection, lines, given)
            await license_lines.refuse(connection, bad)
            if bad:
                raise bad
            changes = await license_lines.merge(connection, count)
            if dry_run:
                raise _DryRun
    return changes


async def revoke(connection: Connection, id: int, on: date | None) -> Listed:
    """Revoke a license from a UTC day on, or with None no more; return it.

    Raises `UnknownLicense` and `Busy`. Cancelling it: done or not, never half.
    """
    async with _changing(connection):
        row = await connection.fetchrow(
            "UPDATE license SET revoked_on = $2, updated_at = now() WHERE id = $1 RETURNING window_days",
            id,
            on,
        )
        if row is None:
            raise UnknownLicense(id)
        await connection.execute(
            "INSERT INTO license_touched (license, day) VALUES ($1, current_date - greatest($2::integer, 30))",
            id,
            row["window_days"],
        )
        await license_lines.notify(connection)
        (listed,) = await list_all(connection, Filter(id=id))
    return listed


async def list_all(
    connection: Connection, which: Filter | None = None, *, after: int = 0, limit: int = PAGE
) -> list[Listed]:
    """Return the licenses with numbers above ``after``, in their order, at most ``limit``.

    Cancelling it changes nothing.
    """
    one = which or Filter()
    rows = await connection.fetch(
        sql("license_list"),
        one.product,
        one.customer,
        one.ends_from,
        one.ends_until,
        one.key_hash,
        one.last4,
        one.id,
        after,
        limit,
    )
    return [_listed(row) for row in rows]


async def usage(connection: Connection, id: int, since: date) -> list[UsageDay]:
    """Return the usage of a license since a UTC day, in order; days without any are left out.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT day, seats_used, held, active FROM license_usage WHERE license = $1 AND day >= $2 ORDER BY day",
        id,
        since,
    )
    return [UsageDay(**row) for row in rows]


async def load_terms(connection: Connection) -> AsyncIterator[tuple[bytes, Terms]]:
    """Yield the key's hash and the terms of every license, as of one moment.

    In chunks, each of which takes the event loop a millisecond or two. Cancelling it, and leaving off, ends its
    transaction.
    """
    async with connection.transaction(readonly=True):
        cursor = await connection.cursor(
            "SELECT l.key_hash, l.product, l.starts, l.ends, l.grace_days, l.revoked_on, "
            "coalesce(s.is_over, false) FROM license l LEFT JOIN license_state s ON s.license = l.id"
        )
        while rows := await cursor.fetch(_CHUNK):
            for key_hash, *terms in rows:
                yield key_hash, Terms(*terms)


@asynccontextmanager
async def _changing(connection: Connection) -> AsyncIterator[None]:
    """A transaction in which nobody else changes licenses."""
    async with connection.transaction():
        try:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LICENSES_LOCK)
        except asyncpg.LockNotAvailableError:
            raise Busy from None
        yield


def _listed(row: asyncpg.Record) -> Listed:
    license = License(
        id=row["id"],
        last4=row["last4"],
        customer=row["customer"],
        product=row["product"],
        seats=row["seats"],
        counts=Counts(row["counts"]),
        use=Use(row["use"]),
        window_days=row["window_days"],
        starts=row["starts"],
        ends=row["ends"],
        grace_days=row["grace_days"],
        overage=row["overage"],
        revoked_on=row["revoked_on"],
    )
    state = (row["seats_used"], row["used_max"], row["max_day"], row["is_over"])
    return Listed(license, row["product_key"], *state)
