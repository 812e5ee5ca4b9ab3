"""Deletes what is too old of sessions and of the audit trail. Every replica does; twice is no harm."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, Self

from ..access.model import Lifetimes
from ..persistent import Persistent, cut_after
from ..store import audit, sessions
from ..store.connection import Connection, connect

# Nobody waits for it: what is too old counts for nothing from the moment it is. Well below the quarter of an hour after
# which operators are told that a task fails.
PAUSE_S: Final = 300.0
# A share of the trail, or all sessions.
_STEP_S: Final = 60.0


class AccessJob:
    """One replica's part. An async context manager."""

    def __init__(self, dsn: str, *, audit_days: int, lifetimes: Lifetimes) -> None:
        self._audit_days = audit_days
        self._lifetimes = lifetimes
        self.session = Persistent("access", partial(connect, dsn, "access"), self._work)

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _work(self, connection: Connection) -> None:
        while True:
            with cut_after(connection, _STEP_S):
                await sessions.prune(connection, self._lifetimes)
            more = True
            while more:
                with cut_after(connection, _STEP_S):
                    more = await audit.prune(connection, self._audit_days) > 0
            self.session.went_well()
            await asyncio.sleep(PAUSE_S)
