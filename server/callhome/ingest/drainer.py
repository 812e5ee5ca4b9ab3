"""Writes what is in the spool to PostgreSQL, the oldest first, while new pings go on; and finds out when it is back."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, Self

from ..errors import CallhomeError
from ..metrics import Tally
from ..store.connection import StoreUnavailable
from ..store.encoding import row_key
from ..store.writer import BatchWriter, Written
from .failover import Failover, commit_once

logger = logging.getLogger(__name__)

# Jittered; short, since what is spooled waits for it.
_BACKOFF_S: Final = (0.1, 2.0)
# A fault of ours, or a disk that can't be read, meets every try.
_FAULT_S: Final = 10.0


class Spooled(Protocol):
    """Rows of the spool that were written together: `callhome.spool.spool.Spooled`."""

    rows: list[bytes]
    attempts: list[bytes]
    is_fresh: bool


class Drained(Protocol):
    """What is drained: `callhome.spool.spool.Spool`."""

    def oldest(self, limit_rows: int) -> Awaitable[Spooled | None]:
        """Return the rows that came first, up to ``limit_rows`` of them; None where there are none."""

    def settled(self, spooled: Spooled) -> Awaitable[None]:
        """Forget them: they are committed."""


class Drainer:
    """Drains ``spool`` in a task of its own; an async context manager. ``on_commit`` is told of each commit."""

    def __init__(
        self,
        spool: Drained,
        failover: Failover,
        writer: BatchWriter,
        tally: Tally,
        *,
        batch_pings: int,
        commit_s: float,
    ) -> None:
        self._spool = spool
        self._failover = failover
        self._writer = writer
        self._tally = tally
        self._batch_pings = batch_pings
        self._commit_s = commit_s
        self._failures = 0
        self._told = ""  # why it failed last, so that the log has each reason once
        self._task: asyncio.Task[None] | None = None
        self.on_commit: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        self._task = asyncio.create_task(self._run(), name="drainer")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; what is not drained stays in the spool. Cancelling it stops all the same."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._writer.terminate()

    async def _run(self) -> None:
        while True:
            await self._failover.attention.wait()
            try:
                await self._once()
                self._failures, self._told = 0, ""
            except CallhomeError as error:
                is_new = str(error) != self._told
                logger.log(
                    logging.WARNING if is_new else logging.DEBUG,
                    "the spool is not drained, trying again: %s",
                    error,
                )
                self._told = str(error)
                self._failures += 1
                await asyncio.sleep(self._pause_s())
            except Exception:  # task root
                logger.exception("the spool could not be drained, trying again")
                await asyncio.sleep(_FAULT_S)

    def _pause_s(self) -> float:
        shortest_s, longest_s = _BACKOFF_S
        return random.uniform(shortest_s / 2, min(longest_s, shortest_s * 2.0 ** min(self._failures, 10)))

    async def _once(self) -> None:
        """Write what is oldest. Attention stays set until there is nothing to do."""
        attention = self._failover.attention
        await self._failover.prepare()
        attention.clear()  # before the spool is looked at, so that what is appended after that look is noticed
        try:
            spooled = await self._spool.oldest(self._batch_pings)
            if spooled is not None:
                await self._write(spooled)
                attention.set()
            elif self._failover.is_spooling:  # its end calls again
                return
            elif self._failover.is_away:
                await self._probe()
            self._failover.come_back()
        except BaseException:
            attention.set()
            raise

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(self._commit_s):
                await self._writer.probe()
        except TimeoutError as error:
            raise StoreUnavailable(f"the database has not committed within {self._commit_s:g} s") from error

    async def _write(self, spooled: Spooled) -> None:
        written = await commit_once(
            self._writer,
            spooled.rows,
            spooled.attempts,
            replay=not spooled.is_fresh or bool(spooled.attempts),
            within_s=self._commit_s,
        )
        self._count(spooled, written)
        await self._spool.settled(spooled)

    def _count(self, spooled: Spooled, written: Written) -> None:
        tally = self._tally
        tally.stored_by_product += written.by_product
        tally.duplicates += written.duplicates
        if written.refused:
            tally.quarantined += sum(row_key(row) in written.refused for row in spooled.rows)
        self.on_commit()
