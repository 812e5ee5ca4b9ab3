"""One connection to the database that several tasks share, each for a statement at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import asyncpg

from ..errors import CallhomeError
from ..persistent import cut_after
from ..store.connection import Connection

_T = TypeVar("_T")

# A statement takes milliseconds, or 2 s where a lock is in its way.
_STATEMENT_S: Final = 15.0
_PAUSE_S: Final = 0.2


class Away(CallhomeError):
    """There is no connection to the database now."""


class Desk:
    """Lends a connection to one piece of work after the other, while there is one."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._there = asyncio.Event()

    @contextmanager
    def open(self, connection: Connection) -> Iterator[None]:
        """Lend this connection while entered."""
        self._connection = connection
        self._there.set()
        try:
            yield
        finally:
            self._connection = None
            self._there.clear()

    async def use(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Do ``work``. Raises `Away`, ``OSError`` and what asyncpg raises. Cancelling it cancels the work."""
        async with self._turn:
            connection = self._connection
            if connection is None or connection.is_closed():
                raise Away("there is no connection to the database now")
            try:
                with cut_after(connection, _STATEMENT_S):
                    return await work(connection)
            except asyncpg.InternalClientError as error:
                # What asyncpg says of a session that the server has ended, until it has noticed itself.
                connection.terminate()
                raise Away(f"the connection to the database broke: {error}") from error
            except Exception as error:
                if connection.is_closed():  # one that is cut raises what it likes
                    raise Away(f"the connection to the database was lost: {error}") from error
                raise

    async def insist(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Do ``work``, which may be repeated, as often as it takes, over outages too. Cancelling it: done or not."""
        while True:
            try:
                return await self.use(work)
            except (CallhomeError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(_PAUSE_S)
                await self._there.wait()
