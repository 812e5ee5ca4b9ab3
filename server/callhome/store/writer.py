"""Writing batches of pings: ``COPY`` where all is new, the slow path where a ping was stored before.

Each attempt is one transaction that stores rows and says so in ``batch``, under an id of its own. So a
row always belongs to the batch that stored it, and an attempt whose COMMIT was never answered is settled by
writing the same rows again: those that were stored keep their batch, the others join the new one. Who keeps the
ids of such attempts is told which rows those were, so that they count as stored and not as duplicates.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg

from .connection import Connection, StoreUnavailable, connect
from .encoding import PING_COLUMNS, by_product, copy_payload, row_id, row_key, without_twins
from .ids import new_id
from .scratch import is_distributed

logger = logging.getLogger(__name__)

# The last is what asyncpg raises where the server has said goodbye, but its end of the line is not noticed yet.
_LOST: Final = (
    *(TimeoutError, OSError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
# Classes of SQLSTATE: what they mean for the rows at hand.
# Data exception, constraint violation, program limit exceeded: one of the rows is at fault.
_ROW_CLASSES: Final = ("22", "23", "54")
_AGAIN_CLASSES: Final = ("40",)  # serialization failure, deadlock: the same rows may go through
# A deadlock is resolved at once by the loser's retry; more than this in a row is something else.
_AGAIN_TRIES: Final = 5

_INCOMING: Final = "CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE ping) ON COMMIT DELETE ROWS"
_INSERT_NEW: Final = (
    "WITH new AS (INSERT INTO ping SELECT * FROM incoming ORDER BY id, install "
    "ON CONFLICT (id, install) DO NOTHING RETURNING product) SELECT product, count(*) FROM new GROUP BY product"
)
# Between their ids, so that not every partition is asked.
_STORED_BEFORE: Final = (
    "SELECT product, count(*) FROM ping WHERE batch = ANY($1) AND id BETWEEN $2 AND $3 GROUP BY product"
)
_INSERT_BATCH: Final = (
    "INSERT INTO batch (id, first_id, last_id, received, duplicates) VALUES ($1, $2, $3, $4, $5)"
)
# Nothing but a message in the WAL, which COMMIT waits for, at home and on a synchronous standby.
_PROBE: Final = "SELECT pg_logical_emit_message(true, 'callhome', '')"
# Once, however often its sender tries again.
_QUARANTINE: Final = (
    "INSERT INTO quarantine (sqlstate, reason, row) VALUES ($1, $2, $3) ON CONFLICT (sha256(row)) DO NOTHING"
)


@dataclass(slots=True)
class Written:
    """What became of the rows given to `BatchWriter.write`: stored, duplicates and the refused with their twins."""

    by_product: Counter[int] = field(default_factory=Counter)  # stored: number of the product -> rows
    duplicates: int = 0
    # `row_key` -> what PostgreSQL said of that row, which is in the table ``quarantine``
    refused: dict[bytes, str] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """Rows that are stored and were not before, but by an attempt of the same call or of those it was told of."""
        return self.by_product.total()


class BatchWriter:
    """One connection that writes pings. Not for concurrent use: a batch at a time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None
        self._is_distributed = False

    async def close(self) -> None:
        """Close the connection, at once if it does not answer within a second. Cancelling it closes at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=1.0)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    async def open(self) -> None:
        """Connect, where that is not done. Raises `StoreUnavailable`. Cancelling it opens nothing."""
        if self._connection is None or self._connection.is_closed():
            self._connection = connection = await connect(self._dsn, "writer")
            try:
                self._is_distributed = await is_distributed(connection)
            except _LOST as error:
                self.terminate()
                raise StoreUnavailable(f"the database went away: {error or type(error).__name__}") from error
            except asyncio.CancelledError:
                self.terminate()
                raise

    async def probe(self) -> None:
        """Have a transaction committed that changes nothing. Raises `StoreUnavailable` where it isn't.

        Cancelling it cuts the connection.
        """
        try:
            await self.open()
            assert self._connection is not None
            await self._connection.execute(_PROBE)
        except _LOST as error:
            self.terminate()
            raise StoreUnavailable(
                f"the database does not commit: {error or type(error).__name__}"
            ) from error
        except asyncio.CancelledError:
            self.terminate()
            raise

    def terminate(self) -> None:
        """Cut the connection now; a running `write` ends with `StoreUnavailable`."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def write(
        self, rows: Sequence[bytes], *, replay: bool = False, attempts: list[bytes] | None = None
    ) -> Written:
        """Store rows (see `encoding`) and return once they are committed.

        ``replay`` says that they may be stored already, ``attempts`` under which batches (ids of 16 bytes) by attempts
        whose outcome nobody knows; those made here join them. Raises `StoreUnavailable` where the outcome is unknown or
        nothing could be done: call it again with the same rows, ``replay`` and the same ``attempts``. Cancelling it
        cuts the connection and leaves the outcome unknown.
        """
        unique = without_twins(rows)
        written = Written(duplicates=len(rows) - len(unique))
        try:
            await self.open()
            assert self._connection is not None
            attempt = _Attempt(self._connection, attempts if attempts is not None else [], written)
            attempt.is_distributed = self._is_distributed
            await attempt.write(unique, replay)
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


class _Attempt:
    """One call of `BatchWriter.write`: its connection, what it knows of attempts before it, what became of the rows."""

    def __init__(self, connection: Connection, attempts: list[bytes], written: Written) -> None:
        self._connection = connection
        self._before = [UUID(bytes=batch) for batch in attempts]
        self._attempts = attempts
        self._written = written
        self.is_distributed = False

    async def write(self, rows: list[bytes], replay: bool) -> None:
        try:
            attempt = self._store_replayed if replay else self._store_new
            if self.is_distributed and not replay:
                attempt = self._store_distributed
            by_product = await _again(lambda: attempt(rows))
        except asyncpg.UniqueViolationError:
            await self.write(rows, True)
        except asyncpg.InternalServerError:
            # So Citus tells of whatever a worker says to a COPY. The slow path has it said with its own SQLSTATE.
            if replay or not self.is_distributed:
                raise
            await self.write(rows, True)
        except asyncpg.PostgresError as error:
            if not _state(error).startswith(_ROW_CLASSES):
                raise
            if len(rows) == 1:
                await _quarantine(self._connection, rows[0], error)
                self._written.refused[row_key(rows[0])] = str(error)
                return
            # Bisection: about 2 × log2(rows) more transactions for each row at fault.
            middle = len(rows) // 2
            await self.write(rows[:middle], replay)
            await self.write(rows[middle:], replay)
        else:
            self._written.by_product += by_product
            self._written.duplicates += len(rows) - by_product.total()

    def _new_batch(self) -> bytes:
        batch = new_id()
        self._attempts.append(batch)
        return batch

    async def _store_new(self, rows: list[bytes]) -> Counter[int]:
        """Store rows and record their batch in one message, which PostgreSQL runs as one transaction.

        One turn to the database and back in place of four: with each, a full server waits for its turn on both sides.
        asyncpg has no other way to say something behind a COPY than its WHERE, which it sends as it is. What is
        said there are UUIDs and numbers, and by their types they can be nothing else.
        """
        batch = self._new_batch()
        first, last = UUID(bytes=row_id(rows[0])), UUID(bytes=row_id(rows[-1]))
        record = (
            "INSERT INTO batch (id, first_id, last_id, received, duplicates) "  # noqa: S608 - of our own making
            f"VALUES ('{UUID(bytes=batch)}', '{first}', '{last}', {len(rows):d}, 0)"
        )
        await _copy(self._connection, "ping", rows, batch, where=f"true; {record}")
        return by_product(rows)

    async def _store_distributed(self, rows: list[bytes]) -> Counter[int]:
        """As `_store_new`, in four messages: where `ping` is distributed, COPY takes no WHERE."""
        connection, batch = self._connection, self._new_batch()
        first, last = UUID(bytes=row_id(rows[0])), UUID(bytes=row_id(rows[-1]))
        async with _transaction(connection):
            await _copy(connection, "ping", rows, batch)
            await connection.execute(_INSERT_BATCH, UUID(bytes=batch), first, last, len(rows), 0)
        return by_product(rows)

    async def _store_replayed(self, rows: list[bytes]) -> Counter[int]:
        """Store what is not there yet; return what that was, and what an attempt before has stored.

        The batch row is written even where all were there: so that COMMIT has something to wait for on a synchronous
        standby, which may not have the first attempt yet.
        """
        connection, batch = self._connection, self._new_batch()
        first, last = UUID(bytes=row_id(rows[0])), UUID(bytes=row_id(rows[-1]))
        await connection.execute(_INCOMING)
        async with _transaction(connection):
            await _copy(connection, "incoming", rows, batch)
            new = _counter(await connection.fetch(_INSERT_NEW))
            before = Counter[int]()
            if self._before:
                before = _counter(await connection.fetch(_STORED_BEFORE, self._before, first, last))
            duplicates = len(rows) - new.total()
            await connection.execute(_INSERT_BATCH, UUID(bytes=batch), first, last, len(rows), duplicates)
        return new + before


@asynccontextmanager
async def _transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction, rolled back after an error. Cancelling it cuts the connection: who hangs answers no ROLLBACK."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except asyncio.CancelledError:
        connection.terminate()
        raise
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.commit()


def _counter(found: Sequence[asyncpg.Record]) -> Counter[int]:
    return Counter({row["product"]: row["count"] for row in found})


def _state(error: asyncpg.PostgresError) -> str:
    return getattr(error, "sqlstate", None) or ""


async def _again(attempt: Callable[[], Awaitable[Counter[int]]]) -> Counter[int]:
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


async def _quarantine(connection: Connection, row: bytes, error: asyncpg.PostgresError) -> None:
    # Not what PostgreSQL says: its DETAIL is the whole row.
    logger.error("a ping was put into the table quarantine: SQLSTATE %s", _state(error))
    await connection.execute(_QUARANTINE, _state(error), str(error), row)
