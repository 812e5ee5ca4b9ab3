"""Group commit: whatever arrived while the last batch was written is the next batch. No timer.

Every ping waits here from the moment it is decoded until its batch is durable; its answer leaves after that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ..metrics import Tally
from ..store.connection import StoreUnavailable
from ..store.encoding import row_key
from ..store.writer import Written
from .failover import Failover, Writer
from .pending import Pending, Waiter
from .reasons import Reason, Refused

logger = logging.getLogger(__name__)

# A second batch is worth its own transaction from about so many rows. Measured with 500 connections, one core each
# side: 73,000 pings a second with 100, 66,000 with 200, 49,000 with 400, which is hardly ever reached then.
CROWD: Final = 100
_STOPPED: Final = "this server stopped; send the ping again"
# So many answers are written before the loop serves sockets again: about 2 ms.
_ANSWERS_AT_ONCE: Final = 250
_Told = TypeVar("_Told")
_NONE_REFUSED: Final[Mapping[int, Refused]] = {}
# Nothing was refused: what is in the spool meets PostgreSQL later.
_SPOOLED: Final = Written()


@dataclass(eq=False, slots=True)
class _Committer:
    """Writes one batch after the other whenever at least ``at_least`` rows wait; else it sleeps."""

    writer: Writer
    at_least: int
    awake: asyncio.Event = field(default_factory=asyncio.Event)


class GroupCommit:
    """Collects rows and writes them batch by batch through ``failover``, as many at a time as there are ``writers``.

    One writer takes whatever waits; each further one steps in only where `CROWD` rows wait more, so that batches stay
    as large as the load makes them. Bounds: ``pending_pings`` rows and ``pending_bytes`` bytes wait here at most,
    the batches that are being written (``batch_pings`` rows each, or one submission) included. Beyond them `submit`
    refuses.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        tally: Tally,
        *,
        pending_pings: int,
        pending_bytes: int,
        batch_pings: int,
        failover: Failover,
    ) -> None:
        self._committers = [_Committer(writer, max(1, CROWD * place)) for place, writer in enumerate(writers)]
        self._sleeping: list[_Committer] = []  # the one with the least to wait for last
        self._tally = tally
        self._pending_pings = pending_pings
        self._pending_bytes = pending_bytes
        self._batch_pings = batch_pings
        self._failover = failover
        self._pending = Pending()
        self._waiting_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self.on_commit: Callable[[], None] = lambda: None

    async def __aenter__(self) -> GroupCommit:
        for committer in self._committers:
            self._sleep(committer)
            self._tasks.append(asyncio.create_task(self._run(committer), name="group commit"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(0.0)

    def submit_one(self, row: bytes, waiter: Waiter) -> None:
        """Queue one row for the next batch; raise `Refused` (overloaded, stopping) where there is no room for it."""
        self._make_room(1, len(row))
        pending = self._pending
        pending.rows.append(row)
        pending.waiters.append(waiter)
        pending.counts.append(1)

    def submit(self, rows: Sequence[bytes], waiter: Waiter) -> None:
        """Queue rows, none or all, for the next batch; raise `Refused` (overloaded, stopping) as `submit_one`."""
        self._make_room(len(rows), sum(map(len, rows)))
        pending = self._pending
        pending.rows += rows
        pending.waiters.append(waiter)
        pending.counts.append(len(rows))

    def _make_room(self, pings: int, size: int) -> None:
        if self._stopping:
            raise Refused(Reason.STOPPING, "this server is stopping; send the ping again")
        tally = self._tally
        waiting_bytes = self._waiting_bytes + size
        if tally.pending + pings > self._pending_pings or waiting_bytes > self._pending_bytes:
            raise Refused(
                Reason.OVERLOADED, "too many pings are waiting to be stored; send this one again later"
            )
        tally.pending += pings
        self._waiting_bytes = waiting_bytes
        sleeping = self._sleeping
        if sleeping and len(self._pending.rows) + pings >= sleeping[-1].at_least:
            self._idle.clear()
            sleeping.pop().awake.set()

    async def stop(self, within_s: float) -> None:
        """Take no more, write what waits for up to ``within_s`` seconds, fail the rest. Idempotent.

        Half of that time is for the spool, where there is one. Cancelling it fails what still waits.
        """
        self._stopping = True
        try:
            if self._failover.has_spool and not await self._is_idle(within_s / 2):
                self._failover.go_away("this server stops, and the database is slow", for_good=True)
                for committer in self._committers:
                    committer.writer.terminate()
            if not await self._is_idle(within_s / 2 if self._failover.has_spool else within_s):
                logger.warning(
                    "stopped with %d pings not stored; their senders are told to send again",
                    self._tally.pending,
                )
        finally:
            tasks, self._tasks = self._tasks, []
            for task, committer in zip(tasks, self._committers, strict=False):
                committer.writer.terminate()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._fail(self._pending.take(self._pending_pings), Reason.STOPPING, _STOPPED)
        await asyncio.gather(*self._answering)

    async def _is_idle(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _sleep(self, committer: _Committer) -> None:
        committer.awake.clear()
        self._sleeping.append(committer)
        self._sleeping.sort(key=lambda sleeper: -sleeper.at_least)
        if len(self._sleeping) == len(self._committers):
            self._idle.set()

    async def _run(self, committer: _Committer) -> None:
        while True:
            await committer.awake.wait()
            while len(self._pending.rows) >= committer.at_least:
                await self._write_next(committer.writer)
            self._sleep(committer)

    async def _write_next(self, writer: Writer) -> None:
        batch = self._pending.take(self._batch_pings)
        begun_s = time.monotonic()
        try:
            written = await self._failover.write(writer, batch.rows)
        except StoreUnavailable as error:
            # All that came meanwhile has waited for the same: so nobody waits longer than commit_s.
            logger.error("%d pings could not be stored: %s", self._tally.pending, error)
            for failed in (batch, self._pending.take(self._pending_pings)):
                self._fail(
                    failed, Reason.UNAVAILABLE, "the store can't be reached; send the ping again later"
                )
        except asyncio.CancelledError:
            self._fail(batch, Reason.STOPPING, _STOPPED)
            raise
        except Exception:  # task root: a fault of ours must not end the commits of others
            logger.exception("%d pings could not be stored", len(batch.rows))
            self._fail(batch, Reason.INTERNAL_ERROR, "the ping could not be stored; send it again later")
        else:
            self._release(batch)
            if written is None:
                self._answer(batch, _SPOOLED)
            else:
                self._count(batch, written, time.monotonic() - begun_s)
                self._answer(batch, written)

    def _count(self, batch: Pending, written: Written, took_s: float) -> None:
        tally = self._tally
        tally.stored_by_product += written.by_product
        tally.duplicates += written.duplicates
        tally.batch_pings.observe(len(batch.rows))
        tally.commits.observe(took_s)
        self.on_commit()

    def _release(self, batch: Pending) -> None:
        self._tally.pending -= len(batch.rows)
        self._waiting_bytes -= sum(map(len, batch.rows))

    def _answer(self, batch: Pending, written: Written) -> None:
        if len(batch.waiters) <= _ANSWERS_AT_ONCE and not written.refused:
            for waiter in batch.waiters:
                try:  # as _tell() does, without a call for each ping
                    waiter.settled(_NONE_REFUSED)
                except Exception:  # task root
                    logger.exception("a ping's sender could not be answered")
            return
        # In a task of its own, so that the next batch is on its way while these answers leave.
        task = asyncio.create_task(self._answer_in_turns(batch, written), name="answers")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_in_turns(self, batch: Pending, written: Written) -> None:
        first = 0
        for place, (waiter, count) in enumerate(zip(batch.waiters, batch.counts, strict=True)):
            refused = _NONE_REFUSED
            if written.refused:
                mine = batch.rows[first : first + count]
                refused = {
                    i: Refused(
                        Reason.REFUSED_BY_STORE, "the database refused this ping; it is kept for the operator"
                    )
                    for i, row in enumerate(mine)
                    if row_key(row) in written.refused
                }
                self._tally.quarantined += len(refused)
            _tell(waiter.settled, refused)
            first += count
            if place % _ANSWERS_AT_ONCE == _ANSWERS_AT_ONCE - 1:
                await asyncio.sleep(0)

    def _fail(self, batch: Pending, reason: Reason, message: str) -> None:
        self._release(batch)
        if batch.rows:
            self._tally.refuse(reason, len(batch.rows))
        for waiter in batch.waiters:
            _tell(waiter.failed, Refused(reason, message))


def _tell(told: Callable[[_Told], None], what: _Told) -> None:
    """Tell one waiter; whatever that raises, the others must be told, and the next batch be written."""
    try:
        told(what)
    except Exception:  # task root
        logger.exception("a ping's sender could not be answered")
