"""Releases in the database: registered, changed, withdrawn. A change reaches every replica by NOTIFY."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from ..errors import UsageError
from ..releases.checks import InvalidField, check_share, check_url, check_version
from ..releases.model import STABLE, Release, Severity
from ..releases.version import compare, sort_key
from .connection import Connection
from .products import CATALOG_CHANNEL, RELEASES_CHANGED
from .registered import product_id

# What is told of the versions that are there: the newest of them, as many as fit a line.
_NAMED: Final = 5


class UnknownRelease(UsageError):
    """There is no such release; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is given of a release; ``product`` is the product's key.

    None keeps what a release has that is there, or takes the default: today (UTC), normal, no address, all installs,
    over any version. ``""`` takes an address or the oldest version away.
    """

    product: str
    version: str
    channel: str = STABLE
    day: date | None = None
    severity: Severity | None = None
    url: str | None = None
    notes_url: str | None = None
    share: int | None = None
    oldest: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A release with its product's key, and when it was withdrawn (None: it is not)."""

    product: str
    release: Release
    withdrawn_at: datetime | None


def check(given: Given) -> None:
    """Raise `InvalidField` where `add` would without looking into the database."""
    check_version("version", given.version)
    check_version("channel", given.channel)
    for field, value in (("url", given.url), ("notes_url", given.notes_url)):
        if value:
            check_url(field, value)
    if given.share is not None:
        check_share("share", given.share)
    if given.oldest:
        check_version("oldest", given.oldest)
        _check_oldest(given.oldest, given.version)


def _check_oldest(oldest: str, version: str) -> None:
    if compare(oldest, version) >= 0:
        raise InvalidField(
            "oldest", oldest, f"a version older than {version}, since that is what is installed over it"
        )


async def add(connection: Connection, given: Given) -> tuple[bool, Listed]:
    """Register a release, or change the one of this product, channel and version; return whether it is new, and it.

    One that was withdrawn is offered again. Raises `InvalidField` and `UnknownProduct`. Cancelling it: done or not,
    never half.
    """
    check(given)
    async with connection.transaction():
        row = await connection.fetchrow(
            "INSERT INTO release AS r (product, channel, version, day, severity, url, notes_url, share, oldest) VALUES "
            "($1, $2, $3, coalesce($4, (now() AT TIME ZONE 'UTC')::date), coalesce($5, 'normal'), nullif($6, ''), "
            "nullif($7, ''), coalesce($8::smallint, 100), nullif($9, '')) "
            "ON CONFLICT (product, channel, version) DO UPDATE SET day = coalesce($4, r.day), "
            "severity = coalesce($5, r.severity), url = nullif(coalesce($6, r.url), ''), "
            "notes_url = nullif(coalesce($7, r.notes_url), ''), share = coalesce($8::smallint, r.share), "
            "oldest = nullif(coalesce($9, r.oldest), ''), withdrawn_at = NULL "
            "RETURNING xmax = 0 AS new, r.*",
            await product_id(connection, given.product),
            given.channel,
            given.version,
            given.day,
            given.severity,
            given.url,
            given.notes_url,
            given.share,
            given.oldest,
        )
        assert row is not None, "it was inserted or updated"
        await _tell(connection)
    return row["new"], _listed(given.product, row)


async def withdraw(connection: Connection, product: str, version: str, channel: str = STABLE) -> bool:
    """Offer a release to nobody any more; return False if it was withdrawn before.

    Raises `UnknownProduct` and `UnknownRelease`. Cancelling it: done or not, never half.
    """
    async with connection.transaction():
        there = await list_all(connection, product, withdrawn=True)
        found = [each for each in there if (each.release.version, each.release.channel) == (version, channel)]
        if not found:
            raise UnknownRelease(_missing(product, version, channel, [each.release for each in there]))
        done = await connection.fetchval(
            "UPDATE release SET withdrawn_at = now() WHERE id = $1 AND withdrawn_at IS NULL RETURNING true",
            found[0].release.id,
        )
        if done:
            await _tell(connection)
    return bool(done)


async def list_all(
    connection: Connection, product: str | None = None, *, withdrawn: bool = False
) -> list[Listed]:
    """Return the releases by product and channel, the newest version first; of one product if its key is given.

    Those that were withdrawn only with ``withdrawn``. Raises `UnknownProduct`. Cancelling it changes nothing.
    """
    number = None if product is None else await product_id(connection, product)
    rows = await connection.fetch(
        "SELECT p.key, r.* FROM release r JOIN product p ON p.id = r.product "
        "WHERE ($1::integer IS NULL OR r.product = $1) AND ($2 OR r.withdrawn_at IS NULL)",
        number,
        withdrawn,
    )
    found = [_listed(row["key"], row) for row in rows]
    found.sort(key=lambda each: sort_key(each.release.version), reverse=True)
    return sorted(found, key=lambda each: (each.product, each.release.channel))


async def current(connection: Connection) -> list[Release]:
    """Return what may be offered: all releases that were not withdrawn. Cancelling it changes nothing."""
    rows = await connection.fetch("SELECT * FROM release WHERE withdrawn_at IS NULL ORDER BY id")
    return [_release(row) for row in rows]


async def _tell(connection: Connection) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CATALOG_CHANNEL, RELEASES_CHANGED)


def _listed(product: str, row: Any) -> Listed:
    return Listed(product, _release(row), row["withdrawn_at"])


def _release(row: Any) -> Release:
    return Release(
        id=row["id"],
        product=row["product"],
        version=row["version"],
        channel=row["channel"],
        day=row["day"],
        severity=Severity(row["severity"]),
        url=row["url"],
        notes_url=row["notes_url"],
        share=row["share"],
        oldest=row["oldest"],
    )


def _missing(product: str, version: str, channel: str, there: list[Release]) -> str:
    """Says where the version is, or which there are on the channel."""
    begin = f"{product} has no release {version!r} on the channel {channel!r}"
    if elsewhere := sorted(each.channel for each in there if each.version == version):
        return f"{begin}; it has one on {', '.join(elsewhere)}: name it with --channel"
    on_channel = [each.version for each in there if each.channel == channel]
    named = ", ".join(on_channel[:_NAMED]) + (" …" if len(on_channel) > _NAMED else "")
    return f"{begin}; {f'there are {named}' if named else 'there is none'}: `callhome release list {product}` shows all"
