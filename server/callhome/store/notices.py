"""Notices in the database: registered and withdrawn. A change reaches every replica by NOTIFY."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import UsageError
from ..releases.checks import InvalidField, check_text, check_url, check_version
from ..releases.model import Level, Notice
from ..releases.version import compare
from .connection import Connection
from .products import CATALOG_CHANNEL, NOTICES_CHANGED
from .registered import product_id

# PostgreSQL's integer.
_HIGHEST_ID: Final = 2**31 - 1


class UnknownNotice(UsageError):
    """There is no notice with this number."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is given of a notice; ``product`` is the product's key, None for every product.

    Versions are included, None is no bound. It is told from ``starts_at`` (None: now) until ``ends_at`` (None: for
    ever), moments with a time zone.
    """

    text: str
    level: Level = Level.INFO
    url: str | None = None
    product: str | None = None
    from_version: str | None = None
    to_version: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A notice with its product's key (None: every product), and when it was withdrawn (None: it is not)."""

    product: str | None
    notice: Notice
    withdrawn_at: datetime | None


def check(given: Given, now: datetime) -> None:
    """Raise `InvalidField` where `add` would without looking into the database; ``now`` has a time zone."""
    check_text("text", given.text)
    if given.url is not None:
        check_url("url", given.url)
    for field, version in (("from_version", given.from_version), ("to_version", given.to_version)):
        if version is not None:
            check_version(field, version)
    first, last = given.from_version, given.to_version
    if given.product is None and (first is not None or last is not None):
        raise InvalidField("product", None, "a product, since versions of several have nothing in common")
    if first is not None and last is not None and compare(first, last) > 0:
        raise InvalidField("to_version", last, f"a version not older than {first}, the first it is for")
    if given.ends_at is not None:
        if given.starts_at is not None and given.ends_at <= given.starts_at:
            raise InvalidField(
                "ends_at", given.ends_at.isoformat(), f"a moment after {given.starts_at.isoformat()}"
            )
        if given.ends_at <= now:
            raise InvalidField("ends_at", given.ends_at.isoformat(), "a moment that is still to come")


async def add(connection: Connection, given: Given) -> Listed:
    """Register a notice and return it. Raises `InvalidField` and `UnknownProduct`.

    Cancelling it: done or not, never half.
    """
    async with connection.transaction():
        # One clock decides, that of PostgreSQL: it stands still within a transaction.
        check(given, await connection.fetchval("SELECT now()"))
        number = None if given.product is None else await product_id(connection, given.product)
        row = await connection.fetchrow(
            "INSERT INTO notice AS n (product, text, level, url, from_version, to_version, starts_at, ends_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, now()), $8) RETURNING *",
            number,
            given.text,
            given.level,
            given.url,
            given.from_version,
            given.to_version,
            given.starts_at,
            given.ends_at,
        )
        assert row is not None, "it was inserted"
        await _tell(connection)
    return _listed(given.product, row)


async def withdraw(connection: Connection, id: int) -> bool:
    """Tell a notice nobody any more; return False if it was withdrawn before.

    Raises `UnknownNotice`. Cancelling it: done or not, never half.
    """
    async with connection.transaction():
        known = 0 < id <= _HIGHEST_ID and await connection.fetchval(
            "SELECT true FROM notice WHERE id = $1", id
        )
        if not known:
            raise UnknownNotice(f"there is no notice {id}: `callhome notice list --all` shows their numbers")
        done = await connection.fetchval(
            "UPDATE notice SET withdrawn_at = now() WHERE id = $1 AND withdrawn_at IS NULL RETURNING true", id
        )
        if done:
            await _tell(connection)
    return bool(done)


async def list_all(connection: Connection, *, over: bool = False) -> list[Listed]:
    """Return the notices in the order of their numbers; those that ended or were withdrawn only with ``over``.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT p.key, n.* FROM notice n LEFT JOIN product p ON p.id = n.product "
        "WHERE $1 OR (n.withdrawn_at IS NULL AND (n.ends_at IS NULL OR n.ends_at > now())) ORDER BY n.id",
        over,
    )
    return [_listed(row["key"], row) for row in rows]


async def current(connection: Connection) -> list[Notice]:
    """Return what is told or will be: neither withdrawn nor ended. Cancelling it changes nothing."""
    return [listed.notice for listed in await list_all(connection)]


async def _tell(connection: Connection) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CATALOG_CHANNEL, NOTICES_CHANGED)


def _listed(product: str | None, row: Any) -> Listed:
    return Listed(product, _notice(row), row["withdrawn_at"])


def _notice(row: Any) -> Notice:
    return Notice(
        id=row["id"],
        product=row["product"],
        text=row["text"],
        level=Level(row["level"]),
        url=row["url"],
        from_version=row["from_version"],
        to_version=row["to_version"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
    )
