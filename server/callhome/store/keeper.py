"""The keeper: folds what is committed, recounts at midnight UTC, makes and drops partitions.

Every replica runs one; advisory locks in the database let one at a time do the work, so that no replica has
to be chosen, and another goes on where one ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from math import inf
from typing import Final, Self

import asyncpg

from ..metrics import Tally
from ..persistent import Persistent, cut_after
from . import partitions, rollup
from .connection import Connection, connect
from .ids import id_ms
from .schema import SCHEMA_LOCK

logger = logging.getLogger(__name__)

# Batches of other replicas are found by looking; theirs do so too, so this bounds the lag, not the load.
_LOOK_S: Final = 0.25
# Between two folds, so that each has a share of pings worth its fixed cost of some milliseconds.
_PAUSE_S: Final = 0.1
# A fold that took long is followed by a pause in proportion, so that commits have the database to themselves for a
# while: clients wait for commits, nobody waits for a fold. Less so once the queue is longer than one fold, not at all
# while nothing is committed, and more so while the second writer has to help the first: then clients stand in line.
_CROWDED_COMMITS: Final = 1.1
_PAUSE_SHARE: Final = 1.0
_PAUSE_SHARE_BEHIND: Final = 0.5
_PAUSE_SHARE_CROWDED: Final = 6.0
# But not for ever: numbers half a minute old are what a burst at nine may cost those who look at them.
_CROWDED_LAG_S: Final = 30.0
# A fold that had to wait for a lock, or for a busy disk, earns no longer pause than that.
_PAUSE_MAX_S: Final = 3.0
# New partitions are needed once a day; an hour leaves room for many failed tries. A reader such as pg_dump can be in
# the way for as long as it runs.
_PARTITIONS_S: Final = 3_600.0
_PARTITIONS_RETRY_S: Final = 60.0
# Counting what waits reads all of the queue, and tells an operator how long it will take.
_QUEUE_S: Final = 5.0
# The longest of what is done between two looks is a recount of many millions of installs.
_STEP_S: Final = 120.0


def pause_share(commits: float, behind: bool, lag_s: float) -> float:
    """Return how long to pause after a fold, as a multiple of its time.

    ``commits`` is how many were under way at a time meanwhile, ``behind`` whether batches wait to be folded, and
    ``lag_s`` for how many seconds the oldest has waited.
    """
    if commits > _CROWDED_COMMITS and lag_s < _CROWDED_LAG_S:
        return _PAUSE_SHARE_CROWDED
    return _PAUSE_SHARE_BEHIND * commits if behind else _PAUSE_SHARE


class Keeper:
    """One replica's part in keeping the summaries. An async context manager.

    ``today`` returns the UTC day; without it, the database's clock tells, since replicas' clocks differ.
    """

    def __init__(
        self, dsn: str, tally: Tally, *, retention_days: int, today: Callable[[], date] | None = None
    ) -> None:
        self._tally = tally
        self._retention_days = retention_days
        self._clock = today
        self._committed = asyncio.Event()
        self.session = Persistent("keeper", partial(connect, dsn, "keeper"), self._keep)
        self._looked = (time.monotonic(), tally.commit_s)
        self._commits = 0.0
        self._partitions_due_s = 0.0
        self._queue_due_s = 0.0
        self._counted_day: date | None = None
        self._step_since_s = inf

    def wake(self) -> None:
        """Tell that a batch was committed here: it is folded at once, not at the next look."""
        self._committed.set()

    def database_is_back(self, away_since_s: float) -> None:
        """Begin anew if a step has gone on since before the database was away, by the monotonic time: it may hang.

        A server that is frozen or switched off doesn't end it, and another may be the database by now.
        """
        if self._step_since_s <= away_since_s:
            self.session.cut()

    @property
    def is_crowded(self) -> bool:
        """Whether clients stood in line for commits here, when that was looked at last."""
        return self._commits > _CROWDED_COMMITS

    async def __aenter__(self) -> Self:
        """Begin to keep. Cancelling it begins nothing."""
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; what was not committed is done by the next keeper. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _keep(self, connection: Connection) -> None:
        await rollup.prepare(connection)
        while True:
            self._step_since_s = time.monotonic()
            with cut_after(connection, _STEP_S):
                today = await self._today(connection)
                await self._keep_partitions(connection, today)
                if today != self._counted_day and await rollup.recount(connection, today):
                    self._counted_day = today
                begun_s = time.monotonic()
                behind = await self._fold(connection)
                worked_s = time.monotonic() - begun_s
            self._step_since_s = inf
            self.session.went_well()
            await self._rest(worked_s, behind)

    async def _today(self, connection: Connection) -> date:
        if self._clock is not None:
            return self._clock()
        day: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
        return day

    async def _rest(self, worked_s: float, behind: bool) -> None:
        commits = self._commits = self._commits_under_way()
        pause_s = min(_PAUSE_MAX_S, worked_s * pause_share(commits, behind, self._tally.rollup_lag_s))
        if behind or commits > _CROWDED_COMMITS:
            await asyncio.sleep(pause_s)
            return
        await asyncio.sleep(max(_PAUSE_S, pause_s))
        try:
            async with asyncio.timeout(_LOOK_S - _PAUSE_S):
                await self._committed.wait()
        except TimeoutError:
            pass
        self._committed.clear()

    def _commits_under_way(self) -> float:
        """How many commits were under way here at a time since the last look, on average."""
        (before_s, before_commit_s), now_s = self._looked, time.monotonic()
        self._looked = (now_s, self._tally.commit_s)
        return (self._tally.commit_s - before_commit_s) / max(now_s - before_s, 1e-9)

    async def _fold(self, connection: Connection) -> bool:
        """Fold once; return whether batches are left."""
        begun_s, begun_unix_s = time.monotonic(), time.time()
        folded = await rollup.fold(connection)
        if folded is not None and folded.pings:
            self._tally.folded += folded.pings
            self._tally.fold_s += time.monotonic() - begun_s
            self._tally.folded_s = time.time()
        left = folded is None or folded.more
        # Where a fold took nothing though something waits, that is not all there yet: the next look is soon enough.
        behind = folded is not None and folded.more and folded.batches > 0
        oldest = await rollup.oldest_batch(connection) if left else None
        self._tally.folded_until_s = begun_unix_s if oldest is None else id_ms(oldest.bytes) / 1000
        if oldest is None:
            self._tally.unfolded_batches = self._tally.unfolded_pings = 0
        elif begun_s >= self._queue_due_s:
            self._queue_due_s = begun_s + _QUEUE_S
            self._tally.unfolded_batches, self._tally.unfolded_pings = await rollup.waiting(connection)
        return behind

    async def _keep_partitions(self, connection: Connection, today: date) -> None:
        if time.monotonic() < self._partitions_due_s:
            return
        try:
            async with connection.transaction():
                free = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", SCHEMA_LOCK)
                if free and (made := await partitions.ensure(connection, today)):
                    logger.info("partitions made: %s", ", ".join(made))
            if dropped := await partitions.drop_old(connection, today, self._retention_days):
                logger.info("partitions dropped: %s", ", ".join(dropped))
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            # There are partitions for 30 days ahead: folding must not wait for this.
            logger.warning("partitions are made and dropped later, somebody reads them: %s", error)
            self._partitions_due_s = time.monotonic() + _PARTITIONS_RETRY_S
            self._tally.partitions_failed += 1
        else:
            self._partitions_due_s = time.monotonic() + _PARTITIONS_S
            self._tally.partitions_kept_s = time.time()
