"""The second pass: rows in the order of their time, chunk by chunk, into the database, and until they are counted.

It gives way: while a server takes pings in, it rests after each chunk as the rollup does, and no more rows wait to be
folded than some folds take, so that what is live is counted within seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from math import inf
from typing import Final, TypeVar

import asyncpg

from ..errors import UsageError
from ..persistent import cut_after
from ..store import imports, rollup
from ..store.connection import Connection, StoreUnavailable, connect
from ..store.imports import Reached, Run, days_of, utc
from ..store.keeper import pause_share
from ..store.license_usage import utc_day
from ..store.partitions import keep_from
from .checks import check
from .chunks import Chunk
from .folding import LOCKED, LOST, STEP_S, Folding
from .preparing import Prepared
from .wanted import Outcome, Progress, Wanted

# Rows that may wait to be folded: two folds' worth, a second or so of what is live behind them.
QUEUE_ROWS: Final = 2 * rollup.FOLD_PINGS
# How long the database may be away: a failover or a restart is over by then.
PATIENCE_S: Final = 120.0
# And how long others may be in the way, such as a backup, which reads the tables while it lasts.
LOCK_PATIENCE_S: Final = 7_200.0
# The first pause before the next try, and the longest.
_PAUSE_S: Final = (0.2, 5.0)
_LOOK_S: Final = 0.02
# Servers come and go seldom.
_SERVERS_S: Final = 1.0
# A pause is over before a person wonders.
_REST_MAX_S: Final = 3.0
# How much of the latest count of commits goes into their mean.
_SMOOTH: Final = 0.2
# Classes of SQLSTATE for which one of the rows is at fault; see `store.writer`.
_ROW_CLASSES: Final = ("22", "23", "54")


_T = TypeVar("_T")


class Storing:
    """Stores the chunks of one import. An async context manager: entered, it holds the lock of imports."""

    def __init__(self, dsn: str, prepared: Prepared, wanted: Wanted, tell: Progress) -> None:
        self._dsn = dsn
        self._prepared = prepared
        self._wanted = wanted
        self._tell = tell
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None
        self._folding: Folding | None = None
        self._run: Run | None = None
        self._done = 0
        self._is_fresh = False
        self._again = False
        self._commits = 0.0
        self._are_servers = False
        self._looked_s = -inf
        self._made: set[date] = set()
        self.outcome = Outcome()

    async def __aenter__(self) -> Storing:
        """Connect. Raises `StoreUnavailable`, `UsageError`. Cancelling it leaves nothing behind."""
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; what is committed stays. Cancelling it stops all the same."""
        self._cut()
        await self._stack.aclose()

    async def today(self) -> date:
        """Return the UTC day by PostgreSQL's clock. Cancelling it changes nothing."""
        return await utc_day(self._open)

    async def begin(self, today: date) -> int:
        """Register the import, or find it; return how many rows are in already. Raises what `check` does.

        Cancelling it: registered or not.
        """
        run = await self._patiently(partial(self._registered, today))
        self._run, self._done, self.outcome.resumed_at = run, run.done, run.done
        if self._wanted.wait:
            self._folding = await self._stack.enter_async_context(Folding(self._dsn, today))
        return run.done

    async def _registered(self, today: date) -> Run:
        keep = keep_from(today, self._wanted.retention_days)
        connection, prepared = self._open, self._prepared
        run = await check(connection, prepared, keep, overlapping=self._wanted.overlapping)
        if run is None:
            reached = {
                product: Reached(reach.rows, utc(reach.first_ms), utc(reach.last_ms))
                for product, reach in prepared.reach.items()
            }
            await imports.begin(
                connection, prepared.fingerprint, self._wanted.name, self._wanted.rejected, reached
            )
            run = await imports.known(connection, prepared.fingerprint)
        assert run is not None, "it was just begun"
        await self._look()
        return run

    async def store(self, chunks: Iterator[Chunk]) -> None:
        """Store all chunks, and wait until they are counted if that is wanted. Raises `StoreUnavailable`.

        Cancelling it leaves the chunks that are committed.
        """
        begun_s = time.monotonic()
        upcoming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
        try:
            while (chunk := await upcoming) is not None:
                upcoming = asyncio.create_task(asyncio.to_thread(next, chunks, None))
                await self._patiently(partial(self._take, chunk))
                self._tell("storing", self._done, self._prepared.rows)
        finally:
            # A thread is not cancelled: the file that it reads must not be closed under it.
            await asyncio.wait([upcoming])
        await self._patiently(lambda: self._step(imports.finish(self._open, self._number)))
        self.outcome.stored_s = time.monotonic() - begun_s
        if self._wanted.wait:
            await self._patiently(self._counted)
            self.outcome.counted_s = time.monotonic() - begun_s

    @property
    def _open(self) -> Connection:
        assert self._connection is not None, "it is connected first"
        return self._connection

    @property
    def _number(self) -> int:
        assert self._run is not None, "it is begun first"
        return self._run.id

    async def _connect(self) -> None:
        self._connection = await connect(self._dsn, "import")
        self._is_fresh = True
        if not await imports.is_alone(self._connection):
            said = "another import is under way on this database: one goes at a time"
            # It may be our own session of before, whose end PostgreSQL hasn't noticed yet.
            raise UsageError(said) if self._run is None else StoreUnavailable(said)
        await imports.prepare(self._connection)

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _step(self, work: Awaitable[_T]) -> _T:
        """Do what takes a statement or a transaction; a server that doesn't answer is as good as none."""
        with cut_after(self._open, STEP_S):
            return await work

    async def _patiently(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do something on the connection, through outages of the database and locks of others."""
        begun_s, pause_s = time.monotonic(), _PAUSE_S[0]
        while True:
            try:
                if self._connection is None:
                    await self._connect()
                return await work()
            except LOST as error:
                if self._connection is not None:  # it was there until now
                    begun_s, pause_s = time.monotonic(), _PAUSE_S[0]
                self._cut()
                if time.monotonic() + pause_s > begun_s + PATIENCE_S:
                    said = str(error) or type(error).__name__
                    raise StoreUnavailable(
                        f"the database has been away for {PATIENCE_S:g} s: {said}"
                    ) from error
            except LOCKED as error:
                if time.monotonic() + pause_s > begun_s + LOCK_PATIENCE_S:
                    raise StoreUnavailable(f"somebody reads the tables, a backup perhaps: {error}") from error
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S[1])

    async def _take(self, chunk: Chunk) -> None:
        """Store a chunk, or what is left of it where a commit was cut: the count of its rows went with them."""
        if self._is_fresh:
            run = await imports.known(self._open, self._prepared.fingerprint)
            assert run is not None, "it is registered"
            self._advance(run.done - self._done, chunk.is_old)
            self._is_fresh = False
        if left := chunk.end - self._done:
            await self._room(left)
            worked_s = time.monotonic()
            await self._write(chunk.rows[-left:], chunk.is_old)
            await self._rest(time.monotonic() - worked_s)

    def _advance(self, rows: int, is_old: bool) -> None:
        self._done += rows
        self.outcome.rows += rows
        self.outcome.old += rows * is_old

    async def _write(self, rows: list[bytes], is_old: bool) -> None:
        """Store rows; of those that PostgreSQL refuses, find each by halving."""
        try:
            if is_old:
                await self._step(imports.fold_old(self._open, self._number, rows))
            else:
                await self._keep(rows)
        except asyncpg.PostgresError as error:
            if not str(getattr(error, "sqlstate", "")).startswith(_ROW_CLASSES):
                raise
            if len(rows) > 1:
                middle = len(rows) // 2
                await self._write(rows[:middle], is_old)
                await self._write(rows[middle:], is_old)
                return
            await self._step(imports.quarantine(self._open, self._number, rows[0], error))
            self.outcome.quarantined += 1
        self._advance(len(rows), is_old)

    async def _keep(self, rows: list[bytes]) -> None:
        if days := [day for day in days_of(rows) if day not in self._made]:
            await self._step(imports.make_partitions(self._open, days))
            self._made.update(days)
        if not self._again:
            try:
                return await self._step(imports.store_new(self._open, self._number, rows))
            except asyncpg.UniqueViolationError:
                self._again = True
        duplicates = await self._step(imports.store_again(self._open, self._number, rows))
        self.outcome.duplicates += duplicates
        self._again = duplicates > 0

    async def _room(self, rows: int) -> None:
        """Where there are servers, wait until few rows wait to be folded: what is live waits behind them."""
        if self._folding is not None:
            self._folding.check()
        while self._are_servers and await self._waiting() + rows > QUEUE_ROWS:
            await self._look()
            await asyncio.sleep(_LOOK_S)

    async def _rest(self, worked_s: float) -> None:
        """Leave the database to the servers for a while, where there are any."""
        await self._look()
        if self._are_servers:
            await asyncio.sleep(min(_REST_MAX_S, worked_s * pause_share(self._commits, True, 0.0)))

    async def _look(self) -> None:
        """See whether servers are there, now and then; where they are, how many commits are under way, always."""
        now_s = time.monotonic()
        if self._are_servers or now_s > self._looked_s + _SERVERS_S:
            self._looked_s = now_s
            self._are_servers, commits = await self._step(imports.servers(self._open))
            self._commits += _SMOOTH * (commits - self._commits)

    async def _waiting(self) -> int:
        _batches, pings = await self._step(rollup.waiting(self._open))
        return pings

    async def _counted(self) -> None:
        """Wait until the rollup has folded all rows."""
        while not await self._step(imports.is_counted(self._open, self._number)):
            self._tell("counting", await self._waiting(), 0)
            if self._folding is not None:
                self._folding.check()
            await asyncio.sleep(_PAUSE_S[0])
