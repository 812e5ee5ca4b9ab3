"""Where a batch becomes durable: in PostgreSQL, or in the spool while that is away or slow.

A batch goes straight to PostgreSQL. If that fails, or takes longer than ``spool_after_s``, it is spooled, and so is
all that comes after it, until the drainer has committed a spooled batch, or a probe where the spool is empty: then the
next one goes straight again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from ..spool.errors import SpoolUnavailable
from ..store.connection import StoreUnavailable
from ..store.writer import Written

logger = logging.getLogger(__name__)

# A write whose connection was cut ends with the next turn of the loop; one that has none yet does not.
_CUT_S: Final = 0.1
# The first pause before the same rows are written again, and the longest.
_PAUSE_S: Final = (0.05, 1.0)


class Writer(Protocol):
    """What stores a batch: `callhome.store.writer.BatchWriter`."""

    def write(
        self, rows: Sequence[bytes], *, replay: bool = False, attempts: list[bytes] | None = None
    ) -> Awaitable[Written]:
        """Return once the rows are committed, or raise `StoreUnavailable` where that is not known."""

    def terminate(self) -> None:
        """Cut the connection, so that a running write ends."""


class Refuge(Protocol):
    """What keeps a batch meanwhile: `callhome.spool.spool.Spool`."""

    @property
    def is_ready(self) -> bool:
        """Whether it would take rows now."""

    def append(self, rows: Sequence[bytes], attempts: Sequence[bytes] = ()) -> Awaitable[None]:
        """Return once the rows are on disk; raise `SpoolUnavailable` where they may not be."""


class Failover:
    """Writes batches, here or there. ``spool`` may be None: then a batch that can't be committed has failed.

    ``is_away`` is whether PostgreSQL is taken to be away, at first where there is a ``prepare``: what brings the
    database to this version, without which nothing is committed. ``attention`` is set whenever the drainer may have
    something to do; ``on_back`` is called when it is back, with the monotonic time since when it was away.
    """

    def __init__(
        self,
        spool: Refuge | None,
        *,
        commit_s: float,
        spool_after_s: float,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._spool = spool
        self._commit_s = commit_s
        self._spool_after_s = spool_after_s
        self._prepare = prepare
        self.is_away = prepare is not None
        self.spooled = 0
        self._spooling = 0  # batches on their way into the spool
        self._stays_away = False
        self._away_since_s = 0.0
        self.on_back: Callable[[float], None] = lambda since_s: None
        self.attention = asyncio.Event()
        self.attention.set()

    @property
    def has_spool(self) -> bool:
        """Whether there is somewhere else to go."""
        return self._spool is not None

    async def write(self, writer: Writer, rows: list[bytes]) -> Written | None:
        """Return what became of the rows once they are committed, or None once they are in the spool.

        Raises `StoreUnavailable` where they may be in neither. Cancelling it cuts the connection, and leaves that open.
        """
        spool = self._spool
        if spool is None or not spool.is_ready:
            if self._prepare is not None:
                raise StoreUnavailable(
                    "the database has been away since the start, and the spool takes nothing"
                )
            return await commit(writer, rows, [], within_s=self._commit_s)
        attempts: list[bytes] = []
        if not self.is_away:
            try:
                return await commit_once(writer, rows, attempts, replay=False, within_s=self._spool_after_s)
            except StoreUnavailable as error:
                self.go_away(str(error))
        self._spooling += 1
        try:
            await spool.append(rows, attempts)
        except SpoolUnavailable as error:
            raise StoreUnavailable(
                f"the database is away, and the spool does not take it: {error}"
            ) from error
        finally:
            self._spooling -= 1
            self.attention.set()
        self.spooled += len(rows)
        return None

    @property
    def is_spooling(self) -> bool:
        """Whether a batch is on its way into the spool, which may seem empty meanwhile."""
        return self._spooling > 0

    def go_away(self, why: str, *, for_good: bool = False) -> None:
        """Spool from now on; ``for_good``: until the end."""
        self._stays_away = self._stays_away or for_good
        if not self.is_away and self._spool is not None:
            logger.warning("pings are spooled until the database commits again: %s", why)
            self.is_away = True
            self._away_since_s = time.monotonic()
        self.attention.set()

    def come_back(self) -> None:
        """Commit again: the drainer has found the database prepared, and it has committed something."""
        if self._stays_away:
            return
        if self.is_away:
            logger.info("the database commits again: pings go to it")
            self.on_back(self._away_since_s)
        self.is_away = False

    async def prepare(self) -> None:
        """Have the database prepared, unless it is. Raises `CallhomeError` where it can't be. Cancelled: not yet."""
        if self._prepare is not None:
            await self._prepare()
            self._prepare = None


async def commit(writer: Writer, rows: list[bytes], attempts: list[bytes], *, within_s: float) -> Written:
    """Write until it is settled, for up to ``within_s``: an unknown outcome is settled by writing again.

    Raises `StoreUnavailable`. Cancelling it cuts the connection.
    """
    give_up_s = time.monotonic() + within_s
    pause_s, longest_s = _PAUSE_S
    replay = False
    while True:
        try:
            left_s = max(0.1, give_up_s - time.monotonic())
            return await commit_once(writer, rows, attempts, replay=replay, within_s=left_s)
        except StoreUnavailable:
            if time.monotonic() + pause_s > give_up_s:
                raise
            await asyncio.sleep(random.uniform(0, pause_s))
            pause_s, replay = min(pause_s * 2, longest_s), True


async def commit_once(
    writer: Writer, rows: Sequence[bytes], attempts: list[bytes], *, replay: bool, within_s: float
) -> Written:
    """Write, and cut the connection after ``within_s``. Raises `StoreUnavailable`; the outcome is unknown then.

    Cancelling it cuts the connection.
    """
    task = asyncio.ensure_future(writer.write(rows, replay=replay, attempts=attempts))
    try:
        done, _ = await asyncio.wait({task}, timeout=within_s)
        if not done:
            await _cut(writer, task, within_s)
        return await task
    except asyncio.CancelledError:
        writer.terminate()  # nothing is in doubt for a client: it is told to send again
        task.cancel()
        raise


async def _cut(writer: Writer, task: asyncio.Future[Written], within_s: float) -> None:
    """End a write. Never by cancelling a COMMIT: the connection is cut, and the outcome unknown."""
    writer.terminate()
    if not (await asyncio.wait({task}, timeout=_CUT_S))[0]:
        task.cancel()
        # To its end: what it still does to the writer's connection must not meet the next write.
        await asyncio.wait({task}, timeout=_CUT_S)
        raise StoreUnavailable(f"no connection could be made within {within_s:g} s")
