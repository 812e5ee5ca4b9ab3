"""The lines of an import, or the one of a command, become licenses: taken in, completed, judged, merged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Final

from ..licenses.badlines import TOLD, BadLine, BadLines
from ..licenses.fields import InvalidLicense, Sold, check_span, quoted
from .connection import Connection
from .products import CATALOG_CHANNEL, LICENSES_CHANGED
from .statements import sql

# So many are read before others get a turn on the event loop: some five milliseconds.
_CHUNK: Final = 250
_COLUMNS: Final = (
    "line", "key_hash", "last4", "customer", "product", "seats", "counts", "use", "window_days", "starts", "ends",
    "grace_days", "overage", "revoked_on",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Changes:
    """How many licenses are new, changed and as they were."""

    new: int
    changed: int
    unchanged: int


async def take(connection: Connection, lines: Iterable[tuple[int, Sold]], given: Iterable[str]) -> int:
    """Bring the lines into ``license_incoming``, completed by what is kept; return how many there are.

    Raises what ``lines`` raises. Needs a transaction; cancelling it breaks that off.
    """
    await connection.execute(sql("license_incoming"))
    said = await connection.copy_records_to_table(
        "license_incoming", records=_records(lines), columns=_COLUMNS
    )
    await connection.execute("ANALYZE license_incoming")
    await connection.execute(sql("license_kept"), list(given))
    return int(said.rpartition(" ")[2])


async def _records(lines: Iterable[tuple[int, Sold]]) -> AsyncIterator[tuple[Any, ...]]:
    for number, (line, sold) in enumerate(lines):
        if number % _CHUNK == 0:
            await asyncio.sleep(
                0
            )  # reading a file of a hundred thousand takes seconds: others get their turn
        yield (
            line, sold.key_hash, sold.last4, sold.customer, sold.product, sold.seats, sold.counts, sold.use,
            sold.window_days, sold.starts, sold.ends, sold.grace_days, sold.overage, sold.revoked_on,
        )  # fmt: skip


async def refuse(connection: Connection, bad: BadLines) -> None:
    """Add to ``bad`` what only the database knows to be wrong. Cancelling it: as `take`."""
    rows = await connection.fetch(sql("license_refused"), TOLD)
    for row in rows:
        if not row["is_known"]:
            expected = "the key of a registered product: `callhome product add KEY` registers one"
            bad.add(BadLine(row["line"], "product", quoted(row["product"]), expected))
            continue
        try:
            check_span(row["starts"], row["ends"])
        except InvalidLicense as error:
            bad.add(BadLine(row["line"], error.field, error.given, error.expected))
    bad.add_uncounted(rows[0]["many"] - len(rows) if rows else 0)


async def merge(connection: Connection, count: int) -> Changes:
    """Make licenses of the ``count`` lines, and notify if that changed any. Cancelling it: as `take`."""
    row = await connection.fetchrow(sql("license_merge"))
    assert row is not None, "a count is a row"
    if row["new"] or row["changed"]:
        await notify(connection)
    return Changes(row["new"], row["changed"], count - row["new"] - row["changed"])


async def notify(connection: Connection) -> None:
    """Tell every replica that licenses have changed, at the commit. Cancelling it: as `take`."""
    await connection.execute("SELECT pg_notify($1, $2)", CATALOG_CHANNEL, LICENSES_CHANGED)
