"""Writing batches of pings: ``COPY`` where all is new, the slow path where a ping was stored before.

Each attempt is one transaction that stores rows and says so in ``batch``, under an id of its own. So a
row always belongs to the batch that stored it, and an attempt whose COMMIT was never answered is settled by
writing the same rows again: those that were stored keep their batch, the others join the new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg

from .connection import Connection, StoreUnavailable, connect
from .encoding import PING_COLUMNS, copy_payload, row_id, row_key, without_twins
from .ids import new_id

logger = logging.getLogger(__name__)

# The last is what asyncpg raises where the server has said goodbye, but its end of the line is not noticed yet.
_LOST: Final = (
    *(TimeoutError, OSError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
# Classes of SQLSTATE: what they mean for the rows at hand.
_ROW_CLASSES: Final = ("22", "23")  # data exception, constraint violation: one of the rows is at fault
_AGAIN_CLASSES: Final = ("40",)  # serialization failure, deadlock: the same rows may go through
# A deadlock is resolved at once by the loser's retry; more than this in a row is something else.
_AGAIN_TRIES: Final = 5

_INCOMING: Final = "CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE ping) ON COMMIT DELETE ROWS"
_INSERT_NEW: Final = (
    "INSERT INTO ping SELECT * FROM incoming ORDER BY id, install ON CONFLICT (id, install) DO NOTHING"
)
_INSERT_BATCH: Final = (
    "INSERT INTO batch (id, first_id, last_id, received, duplicates) VALUES ($1, $2, $3, $4, $5)"
)
# Once, however often its sender tries again.
_QUARANTINE: Final = (
    "INSERT INTO quarantine (sqlstate, reason, row) VALUES ($1, $2, $3) ON CONFLICT (sha256(row)) DO NOTHING"
)


@dataclass(slots=True)
class Written:
    """What became of the rows given to `BatchWriter.write`: stored, duplicates and the refused with their twins."""

    stored: int = 0
    duplicates: int = 0
    # `row_key` -> what PostgreSQL said of that row, which is in the table ``quarantine``
    refused: dict[bytes, str] = field(default_factory=dict)


class BatchWriter:
    """One connection that writes pings. Not for concurrent use: a batch at a time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None

    async def close(self) -> None:
        """Close the connection, at once if it does not answer within a second. Cancelling it closes at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1.0)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    def terminate(self) -> None:
        """Cut the connection now; a running `write` ends with `StoreUnavailable`."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def write(self, rows: Sequence[bytes], *, replay: bool = False) -> Written:
        """Store rows (see `encoding`) and return once they are committed.

        ``replay`` says that they may be stored already. Raises `StoreUnavailable` where the outcome is unknown or
        nothing could be done: call it again with the same rows and ``replay``. Cancelling it cuts the connection
        and leaves the outcome unknown.
        """
        unique = without_twins(rows)
        written = Written(duplicates=len(rows) - len(unique))
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._dsn, "writer")
            await self._write(self._connection, unique, replay, written)
        except _LOST as error:
            self.terminate()
            raise StoreUnavailable(
                f"the batch could not be written: {error or type(error).__name__}"
            ) from error
        except asyncio.CancelledError:
            self.terminate()
            raise
        if written.refused:  # their twins are no duplicates of anything that is stored
            twins = sum(row_key(row) in written.refused for row in rows) - len(written.refused)
            written.duplicates -= twins
        return written

    async def _write(self, connection: Connection, rows: list[bytes], replay: bool, written: Written) -> None:
        try:
            attempt = _store_replayed if replay else _store_new
            duplicates = await _again(lambda: attempt(connection, rows))
        except asyncpg.UniqueViolationError:
            await self._write(connection, rows, True, written)
        except asyncpg.PostgresError as error:
            if not _state(error).startswith(_ROW_CLASSES):
                raise
            if len(rows) == 1:
                await _quarantine(connection, rows[0], error)
                written.refused[row_key(rows[0])] = str(error)
                return
            # Bisection: about 2 × log2(rows) more transactions for each row at fault.
            middle = len(rows) // 2
            await self._write(connection, rows[:middle], replay, written)
            await self._write(connection, rows[middle:], replay, written)
        else:
            written.stored += len(rows) - duplicates
            written.duplicates += duplicates


def _state(error: asyncpg.PostgresError) -> str:
    return getattr(error, "sqlstate", None) or ""


async def _again(attempt: Callable[[], Awaitable[int]]) -> int:
    for _ in range(_AGAIN_TRIES - 1):
        try:
            return await attempt()
        except asyncpg.PostgresError as error:
            if not _state(error).startswith(_AGAIN_CLASSES):
                raise
            logger.info("batch tried again: %s", error)
    return await attempt()


async def _copy(
    connection: Connection, table: str, rows: list[bytes], batch: bytes, where: str | None = None
) -> None:
    async def source() -> AsyncIterator[bytes]:  # of a file, asyncpg would read in a thread
        yield copy_payload(rows, batch)

    await connection.copy_to_table(table, source=source(), format="binary", columns=PING_COLUMNS, where=where)


async def _store_new(connection: Connection, rows: list[bytes]) -> int:
    """Store rows and record their batch in one message, which PostgreSQL runs as one transaction.

    One turn to the database and back in place of four: with each, a full server waits for its turn on both sides.
    asyncpg has no other way to say something behind a COPY than its WHERE, which it sends as it is. What is
    said there are UUIDs and numbers, and by their types they can be nothing else.
    """
    batch = new_id()
    first, last = UUID(bytes=row_id(rows[0])), UUID(bytes=row_id(rows[-1]))
    record = (
        "INSERT INTO batch (id, first_id, last_id, received, duplicates) "  # noqa: S608 - of our own making
        f"VALUES ('{UUID(bytes=batch)}', '{first}', '{last}', {len(rows):d}, 0)"
    )
    await _copy(connection, "ping", rows, batch, where=f"true; {record}")
    return 0


async def _store_replayed(connection: Connection, rows: list[bytes]) -> int:
    """Store what is not there yet; return how many were. The batch row is written even where all were: so that
    COMMIT has something to wait for on a synchronous standby, which may not have the first attempt yet."""
    batch = new_id()
    await connection.execute(_INCOMING)
    async with connection.transaction():
        await _copy(connection, "incoming", rows, batch)
        duplicates = len(rows) - int((await connection.execute(_INSERT_NEW)).rpartition(" ")[2])
        first, last = UUID(bytes=row_id(rows[0])), UUID(bytes=row_id(rows[-1]))
        await connection.execute(_INSERT_BATCH, UUID(bytes=batch), first, last, len(rows), duplicates)
    return duplicates


async def _quarantine(connection: Connection, row: bytes, error: asyncpg.PostgresError) -> None:
    # Not what PostgreSQL says: its DETAIL is the whole row.
    logger.error("a ping was put into the table quarantine: SQLSTATE %s", _state(error))
    await connection.execute(_QUARANTINE, _state(error), str(error), row)
