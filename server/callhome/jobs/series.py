"""Makes the series of the pages of statistics while the server runs.

Every replica runs one; an advisory lock lets one at a time make a month. What the rollup touched waits in the
database, so a replica that ends leaves nothing half done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, date
from functools import partial
from math import inf
from typing import Final, Self

from ..persistent import Persistent, cut_after
from ..store import series
from ..store.connection import Connection, connect

# People look at statistics in minutes; and making them may have a fifth of the time of one of the database's processes.
_PAUSE_S: Final = 5.0
_PAUSE_SHARE: Final = 4.0
_PAUSE_MAX_S: Final = 3_600.0
# While clients stand in line for their commits it waits, up to so long.
_CROWDED_S: Final = 600.0
_CROWDED_LOOK_S: Final = 1.0
# One month of all products: half a minute with 15 million rows of activity in it and the month before.
_MAKE_S: Final = 1_800.0
# What was counted when is shown to the minute.
_TELL_S: Final = 30.0


class SeriesJob:
    """One replica's part in making series. An async context manager."""

    def __init__(self, dsn: str, *, is_crowded: Callable[[], bool] = lambda: False) -> None:
        self._is_crowded = is_crowded
        self.session = Persistent("series", partial(connect, dsn, "series"), self._work)
        self._touched: date | None = None
        self._made: date | None = None
        self._told_s = -inf

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; a month that was not committed is made by the next. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _work(self, connection: Connection) -> None:
        await series.prepare(connection)
        waited_from_s = time.monotonic()
        while True:
            if self._is_crowded() and time.monotonic() - waited_from_s < _CROWDED_S:
                await asyncio.sleep(_CROWDED_LOOK_S)
                continue
            begun_s = time.monotonic()
            with cut_after(connection, _MAKE_S):
                is_done = await self._step(connection)
            self.session.went_well()
            waited_from_s = time.monotonic()
            took_s = waited_from_s - begun_s
            # What waits behind the newest month is old, and was never made or seldom changes: it goes at the same pace.
            pause_s = _PAUSE_S if is_done else 0.0
            await asyncio.sleep(max(pause_s, min(_PAUSE_MAX_S, _PAUSE_SHARE * took_s)))

    async def _step(self, connection: Connection) -> bool:
        """Make one month that waits; return whether no other is left, or another replica is at it.

        The running month waits again as soon as a ping is counted: those before it have their turn in between.
        """
        now = await series.utc_now(connection)
        month = now.astimezone(UTC).date().replace(day=1)
        if month != self._touched:
            await series.touch_month(connection, month)
            self._touched = month
        touched = await series.due(connection, self._made)
        if touched is not None:
            if not await series.make(connection, touched):
                return True
            self._made = touched.month
            left = await series.due(connection, touched.month)
            if left is not None and left.month != touched.month:
                return False
        if time.monotonic() - self._told_s > _TELL_S:
            await series.tell_counted(connection, now)
            self._told_s = time.monotonic()
        return True


async def look(connection: Connection) -> None:
    """Make all that waits, on a connection that was `series.prepare`\\ d; where another is at it, nothing.

    Cancelling it leaves the rest for the next time.
    """
    now = await series.utc_now(connection)
    await series.touch_month(connection, now.astimezone(UTC).date().replace(day=1))
    while (touched := await series.due(connection)) is not None:
        if not await series.make(connection, touched):
            return
    await series.tell_counted(connection, now)
