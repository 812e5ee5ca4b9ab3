"""Folds what an import has stored, as long as no server is there to do it."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from typing import Final

import asyncpg

from ..persistent import cut_after
from ..store import imports, rollup
from ..store.connection import Connection, StoreUnavailable, connect

# Servers come and go seldom.
_SERVERS_S: Final = 1.0
_LOOK_S: Final = 0.02
_PAUSE_S: Final = 1.0
# A frozen server never answers. A transaction waits for its turn to fold for two minutes, and a recount of millions of
# installs takes as long.
STEP_S: Final = 300.0
# What a connection raises that is lost. The last is what asyncpg raises where the server has said goodbye, but its end
# of the line is not noticed yet.
LOST: Final = (
    *(TimeoutError, OSError, StoreUnavailable, asyncpg.PostgresConnectionError, asyncpg.InterfaceError),
    *(asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError),
    *(asyncpg.IdleInTransactionSessionTimeoutError, asyncpg.InternalClientError),
)
LOCKED: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)


class Folding:
    """An async context manager: entered, it folds in a task of its own. ``today`` is the UTC day."""

    def __init__(self, dsn: str, today: date) -> None:
        self._dsn = dsn
        self._today = today
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Folding:
        """Begin. Cancelling it begins nothing."""
        self._task = asyncio.create_task(self._run(), name="fold")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; what was not committed is folded by the next. Cancelling it stops all the same."""
        assert self._task is not None, "it was entered"
        self._task.cancel()
        await asyncio.wait([self._task])

    def check(self) -> None:
        """Raise what has ended the folding, if it has ended."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _run(self) -> None:
        while True:
            connection: Connection | None = None
            try:
                connection = await connect(self._dsn, "import")
                await rollup.prepare(connection)
                while True:
                    await self._fold_some(connection)
            except (*LOST, *LOCKED):
                await asyncio.sleep(_PAUSE_S)
            finally:
                if connection is not None:
                    connection.terminate()

    async def _fold_some(self, connection: Connection) -> None:
        with cut_after(connection, STEP_S):
            folding, _commits = await imports.servers(connection)
        if folding:
            await asyncio.sleep(_SERVERS_S)
            return
        with cut_after(connection, STEP_S):
            await rollup.recount(connection, self._today)
        until_s = time.monotonic() + _SERVERS_S
        while time.monotonic() < until_s:
            with cut_after(connection, STEP_S):
                folded = await rollup.fold(connection)
            if folded is None or not folded.batches:
                await asyncio.sleep(_LOOK_S)
