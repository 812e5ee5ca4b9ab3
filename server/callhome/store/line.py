"""One connection for short pieces of work that people wait for, opened when the first comes, and again after a loss."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import asyncpg

from ..persistent import cut_after
from .connection import Connection, StoreUnavailable, connect

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

# Each piece takes milliseconds; people wait for it.
WORK_S: Final = 5.0
# While the database is away, who comes within this hears so at once, and waits for no connection.
_REST_S: Final = 1.0
# Memory, and how long the last of them waits where each takes a usual time.
_WAITING_MAX: Final = 100


class Line:
    """Does one piece of work at a time; ``purpose`` shows in ``pg_stat_activity``."""

    def __init__(self, dsn: str, purpose: str) -> None:
        self._purpose = purpose
        self._connect: Callable[[], Awaitable[Connection]] = partial(connect, dsn, purpose)
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._rests_until_s = 0.0
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many pieces of work are under way or wait."""
        return self._waiting

    async def do(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Return what ``work`` returns, which has `WORK_S`. Raises `StoreUnavailable`, and what ``work`` raises.

        Cancelling it cuts the connection: done or not.
        """
        if self._waiting >= _WAITING_MAX:
            raise StoreUnavailable("too many wait for the database")
        self._waiting += 1
        try:
            async with self._turn:
                if time.monotonic() < self._rests_until_s:
                    raise StoreUnavailable("the database was away a moment ago")
                return await self._do(work)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            logger.warning("%s: the database failed: %s", self._purpose, error)
            raise StoreUnavailable(f"the database failed: {error}") from error
        finally:
            self._waiting -= 1

    async def _do(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        connection, self._connection = self._connection, None
        try:
            if connection is None or connection.is_closed():
                connection = await self._connect()
            with cut_after(connection, WORK_S):
                done = await work(connection)
            self._connection, connection = connection, None
        except (OSError, StoreUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._rests_until_s = time.monotonic() + _REST_S
            raise
        finally:
            if connection is not None:
                connection.terminate()
        return done

    def close(self) -> None:
        """Cut the connection. Harmless twice."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Lines:
    """Several of them, for work of which each piece may take a while: the next is done where the fewest wait."""

    def __init__(self, dsn: str, purpose: str, count: int) -> None:
        self._lines = [Line(dsn, purpose) for _ in range(count)]

    async def do(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Return what ``work`` returns. As `Line.do`, cancelling it too."""
        return await min(self._lines, key=lambda line: line.waiting).do(work)

    def close(self) -> None:
        """Cut all connections. Harmless twice."""
        for line in self._lines:
            line.close()
