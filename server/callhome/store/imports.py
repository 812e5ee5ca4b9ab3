"""Imports: which files were brought in, how far, and the writing of rows. A chunk and the count of it are one commit.

Rows that are kept singly go into ``ping``, and the rollup counts them as any other. Older ones are folded at once and
leave nothing behind but the summaries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import asyncpg

from . import rollup
from .connection import Connection
from .encoding import PING_COLUMNS, copy_payload, row_id
from .ids import id_ms, new_id
from .partitions import ensure_ping
from .schema import SCHEMA_LOCK
from .statements import sql

# One import at a time: two would only share the one rollup.
IMPORT_LOCK: Final = 0x63616C6C_00000009
# Nobody waits behind who waits for the turn to fold; a recount of millions of installs takes this long.
_TURN_MS: Final = 120_000
# A reader may be in the way of a new partition for long; without it, the rows lie in the default partition.
_PARTITION_TRIES: Final = 3

_ADVANCE: Final = (
    "UPDATE import_run SET done = done + $2, duplicates = duplicates + $3, last_batch = coalesce($4, last_batch), "
    "advanced_at = now() WHERE id = $1"
)
_INCOMING: Final = "CREATE TEMP TABLE IF NOT EXISTS import_incoming (LIKE ping) ON COMMIT DELETE ROWS"
_INSERT_NEW: Final = (
    "INSERT INTO ping SELECT * FROM import_incoming ORDER BY id, install ON CONFLICT (id, install) DO NOTHING"
)
_INSERT_BATCH: Final = (
    "INSERT INTO batch (id, first_id, last_id, received, duplicates) VALUES ($1, $2, $3, $4, $5)"
)


@dataclass(frozen=True, slots=True)
class Run:
    """An import as the database knows it: ``done`` of ``rows`` are in, ``duplicates`` of these were there before."""

    id: int
    name: str
    rows: int
    done: int
    duplicates: int
    begun_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reached:
    """How many rows of a product an import has, and their first and last time."""

    rows: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another import that had rows of a product in the same times."""

    name: str
    begun_at: datetime
    finished_at: datetime | None
    product: str
    first_at: datetime
    last_at: datetime


async def is_alone(connection: Connection) -> bool:
    """Return whether no other import is under way; then none will, as long as this connection is open.

    Cancelling it: close the connection.
    """
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", IMPORT_LOCK))


async def known(connection: Connection, fingerprint: bytes) -> Run | None:
    """Return the import of this file and mapping, if there was one. Cancelling it changes nothing."""
    row = await connection.fetchrow(
        "SELECT id, name, rows, done, duplicates, begun_at, finished_at FROM import_run WHERE fingerprint = $1",
        fingerprint,
    )
    return None if row is None else Run(**row)


async def overlaps(
    connection: Connection, fingerprint: bytes, old: Mapping[int, tuple[datetime, datetime]]
) -> list[Overlap]:
    """Return the other imports that may have had the same old rows. Cancelling it changes nothing.

    ``old`` has the first and last time of the rows that are not kept singly, by the number of the product.
    """
    firsts, lasts = zip(*old.values(), strict=True) if old else ((), ())
    rows = await connection.fetch(sql("import_overlaps"), fingerprint, list(old), list(firsts), list(lasts))
    return [Overlap(**row) for row in rows]


async def begin(
    connection: Connection, fingerprint: bytes, name: str, rejected: int, reached: Mapping[int, Reached]
) -> None:
    """Register an import, before its first row. Cancelling it: done or not, never half."""
    async with connection.transaction():
        run = await connection.fetchval(
            "INSERT INTO import_run (fingerprint, name, rows, rejected) VALUES ($1, $2, $3, $4) RETURNING id",
            fingerprint,
            name,
            sum(one.rows for one in reached.values()),
            rejected,
        )
        await connection.executemany(
            "INSERT INTO import_product (run, product, rows, first_at, last_at) VALUES ($1, $2, $3, $4, $5)",
            [(run, product, one.rows, one.first_at, one.last_at) for product, one in reached.items()],
        )


async def finish(connection: Connection, run: int) -> None:
    """Note that all rows of an import are in; those that are not had the id of another. Cancelling it: done or not."""
    await connection.execute(
        "UPDATE import_run SET finished_at = now(), advanced_at = now(), twins = rows - done WHERE id = $1",
        run,
    )


async def prepare(connection: Connection) -> None:
    """Make the scratch tables of a connection that stores and folds. Cancelling it: close the connection."""
    await rollup.prepare(connection)
    await connection.execute(_INCOMING)


async def fold_old(connection: Connection, run: int, rows: Sequence[bytes]) -> None:
    """Fold rows that are not kept into the summaries, and count them as done: one transaction.

    Raises what asyncpg raises. Cancelling it rolls it back.
    """
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {_TURN_MS}")
        await _copy(connection, "import_incoming", rows, new_id())
        await connection.execute("SELECT pg_advisory_xact_lock($1)", rollup.ROLLUP_LOCK)
        await connection.execute(rollup.PLANNER)
        await rollup.fold_fresh(connection, "import_fresh")
        await connection.execute(_ADVANCE, run, len(rows), 0, None)


async def store_new(connection: Connection, run: int, rows: Sequence[bytes]) -> None:
    """Store rows of which none is there yet, for the rollup to fold, and count them as done: one transaction.

    Raises ``UniqueViolationError`` where one is there. Cancelling it rolls it back.
    """
    batch = new_id()
    async with connection.transaction():
        await _copy(connection, "ping", rows, batch)
        await _queue(connection, run, rows, batch, 0)


async def store_again(connection: Connection, run: int, rows: Sequence[bytes]) -> int:
    """As `store_new`, of rows that may be there already; return how many were. Cancelling it rolls it back."""
    batch = new_id()
    async with connection.transaction():
        await _copy(connection, "import_incoming", rows, batch)
        done = await connection.execute(_INSERT_NEW)
        duplicates = len(rows) - int(done.rpartition(" ")[2])
        await _queue(connection, run, rows, batch, duplicates)
    return duplicates


async def quarantine(connection: Connection, run: int, row: bytes, error: asyncpg.PostgresError) -> None:
    """Keep a row that PostgreSQL refuses, and count it as done. Cancelling it rolls it back."""
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO quarantine (sqlstate, reason, row) VALUES ($1, $2, $3) ON CONFLICT (sha256(row)) DO NOTHING",
            getattr(error, "sqlstate", None) or "",
            str(error),
            row,
        )
        await connection.execute(_ADVANCE, run, 1, 0, None)


async def make_partitions(connection: Connection, days: Sequence[date]) -> None:
    """Make the days of ``ping`` that these rows need. Cancelling it rolls it back."""
    for _ in range(_PARTITION_TRIES):
        try:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
                await ensure_ping(connection, days)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            continue
        return


async def is_counted(connection: Connection, run: int) -> bool:
    """Return whether all that an import has stored so far is folded. Cancelling it changes nothing."""
    return not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM import_run r JOIN batch b ON b.id <= r.last_batch WHERE r.id = $1)", run
    )


async def servers(connection: Connection) -> tuple[bool, int]:
    """Return whether a server is there that folds, and how many commits of servers are under way.

    Cancelling it changes nothing.
    """
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE application_name = 'callhome keeper') > 0 AS folding, "
        "count(*) FILTER (WHERE application_name = 'callhome writer' AND state = 'active') AS commits "
        "FROM pg_stat_activity WHERE datname = current_database()"
    )
    assert row is not None, "a count is a row"
    return row["folding"], row["commits"]


def utc(ms: int) -> datetime:
    """Return a Unix time in milliseconds as a time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def days_of(rows: Sequence[bytes]) -> list[date]:
    """Return the UTC days of sorted rows, in order."""
    found = {id_ms(row_id(row)) // 86_400_000 for row in rows}
    return [date.fromordinal(date(1970, 1, 1).toordinal() + day) for day in sorted(found)]


async def _queue(
    connection: Connection, run: int, rows: Sequence[bytes], batch: bytes, duplicates: int
) -> None:
    ids = [row_id(row) for row in (rows[0], rows[-1])]
    first, last = (UUID(bytes=id) for id in ids)
    await connection.execute(_INSERT_BATCH, UUID(bytes=batch), first, last, len(rows), duplicates)
    await connection.execute(_ADVANCE, run, len(rows), duplicates, UUID(bytes=batch))


async def _copy(connection: Connection, table: str, rows: Sequence[bytes], batch: bytes) -> None:
    async def source() -> AsyncIterator[bytes]:  # of a file, asyncpg would read in a thread
        yield copy_payload(rows, batch)

    await connection.copy_to_table(table, source=source(), format="binary", columns=PING_COLUMNS)
