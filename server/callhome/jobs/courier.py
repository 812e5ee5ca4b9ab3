"""Takes deliveries out of a queue and has them delivered, several at a time; each replica has one for each queue.

It survives outages of the database: what became of a mail is kept here until it is recorded. While it can't be
recorded, nothing more is claimed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self
from uuid import UUID

import asyncpg

from ..errors import CallhomeError
from ..persistent import Persistent
from ..reports.outcomes import Outcome, Refused, Sent, TryLater, Uncertain
from ..store.connection import Connection, connect
from ..store.deliveries import TRIES, Claim, Queue, State, pause_s
from .desk import Away, Desk

logger = logging.getLogger(__name__)

# How soon after it is due an idle courier finds a delivery: nobody waits for a mail to the second.
_LOOK_S: Final = 1.0
# Claims that ran out are those of replicas that were killed, hence old already.
_EXPIRE_S: Final = 5.0
# What was tried in vain since the server is away waits at least so long.
_REST_LEAST_S: Final = 5.0
# A claim lasts so much longer than what it is for: recording it may have to wait for a short outage.
_MARGIN_S: Final = 30.0
# At the end: to give back what was claimed and not sent.
_GIVE_BACK_S: Final = 1.0

# What may become of a try. ``postponed``: it is tried again; ``unreachable``: so it is, and it was the mail server's
# fault as a whole; ``uncertain``: it may have arrived.
OUTCOMES: Final = ("sent", "postponed", "unreachable", "failed", "uncertain")

# Delivers one, and says what became of it. It awaits its last argument when only the last line is left to send, and
# must not send that if this raises. It may use the desk for what it needs to read.
Deliver = Callable[[Desk, Claim, Callable[[], Awaitable[None]]], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many are delivered at a time, and how long each may take, before the last line and after it."""

    at_once: int
    before_s: float
    after_s: float
    # At the end: how long answers to last lines are waited for.
    stop_s: Callable[[], float] = lambda: 3.0


class _Lost(Exception):
    """The claim has ended, or the courier ends: the last line must not be sent."""


@dataclass(slots=True, eq=False)
class _Errand:
    """One delivery under way: whether its last line may be near, and whether it may have left."""

    claim: Claim
    is_near: bool = field(default=False)
    is_begun: bool = field(default=False)


class Courier:
    """An async context manager: entered, it delivers what is in ``queue``.

    ``purpose`` is what log, metrics and ``pg_stat_activity`` call it. ``rest_s`` tells for how long nothing ought to be
    claimed. ``outcomes`` counts what became of the tries here, as `OUTCOMES` has them; ``session`` is its connection.
    """

    def __init__(
        self,
        purpose: str,
        dsn: str,
        queue: Queue,
        deliver: Deliver,
        bounds: Bounds,
        rest_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.purpose = purpose
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self._queue = queue
        self._deliver = deliver
        self._bounds = bounds
        self._rest_s = rest_s
        self._desk = Desk()
        self._errands: dict[asyncio.Task[None], _Errand] = {}
        self._is_stopping = False
        self._expire_due_s = 0.0
        self.session = Persistent(purpose, partial(connect, dsn, purpose), self._work)

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Claim no more, let last lines be answered for a while, give the rest back. Cancelled, it leaves claims."""
        self._is_stopping = True
        names = {errand.claim.name for errand in self._errands.values()}
        try:
            self._cut(lambda errand: not errand.is_near)
            if self._errands:
                await asyncio.wait(self._errands, timeout=self._bounds.stop_s())
            self._cut(lambda errand: True)
            if self._errands:
                await asyncio.wait(self._errands)
            if names:
                await self._give_back(names)
        finally:
            self._cut(lambda errand: True)
            await self.session.__aexit__()

    def _cut(self, which: Callable[[_Errand], bool]) -> None:
        for task, errand in self._errands.items():
            if which(errand):
                task.cancel()

    async def _give_back(self, names: Iterable[UUID]) -> None:
        with suppress(CallhomeError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(_GIVE_BACK_S):
                await self._desk.use(lambda connection: self._queue.give_back_all(connection, list(names)))

    async def _work(self, connection: Connection) -> None:
        with self._desk.open(connection):
            while not connection.is_closed():
                await self._expire()
                claims = await self._claim()
                self.session.went_well()
                if self._is_stopping:
                    await self._give_back({claim.name for claim in claims})
                    await asyncio.Event().wait()  # until it is left
                for claim in claims:
                    self._start(_Errand(claim))
                if len(self._errands) >= self._bounds.at_once:
                    await asyncio.wait(self._errands, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                elif not claims:
                    await asyncio.sleep(_LOOK_S)
        raise Away("the connection was lost")

    async def _expire(self) -> None:
        if time.monotonic() < self._expire_due_s:
            return
        for expired in await self._desk.use(self._queue.expire):
            level = logging.INFO if expired.state == "waiting" else logging.ERROR
            logger.log(
                level, "%s: delivery %d is %s: its claim ran out", self.purpose, expired.id, expired.state
            )
            if expired.state in self.outcomes:
                self.outcomes[expired.state] += 1
        self._expire_due_s = time.monotonic() + _EXPIRE_S

    async def _claim(self) -> list[Claim]:
        free = self._bounds.at_once - len(self._errands)
        if free <= 0 or self._is_stopping or self._rest_s() > 0:
            return []
        lease_s = self._bounds.before_s + _MARGIN_S
        return await self._desk.use(lambda connection: self._queue.claim(connection, free, lease_s))

    def _start(self, errand: _Errand) -> None:
        task = asyncio.create_task(self._run(errand), name=f"{self.purpose} {errand.claim.id}")
        self._errands[task] = errand
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        errand = self._errands.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its claim runs out, and then it is what it was recorded to be.
            logger.error("%s: delivery %d is lost", self.purpose, errand.claim.id, exc_info=error)

    async def _run(self, errand: _Errand) -> None:
        try:
            outcome = await self._deliver(self._desk, errand.claim, partial(self._begin, errand))
        except _Lost as error:
            logger.info("%s: delivery %d is left to others: %s", self.purpose, errand.claim.id, error)
            return
        except (CallhomeError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            outcome = _failed(errand, str(error) or type(error).__name__)
        except Exception as error:  # task root: one that fails in a new way must not stop the others
            logger.exception("%s: delivery %d failed", self.purpose, errand.claim.id)
            outcome = _failed(errand, f"{type(error).__name__}: the server's log says more")
        await self._record(errand.claim, outcome)

    async def _begin(self, errand: _Errand) -> None:
        """Record that the last line is about to leave. Raises `_Lost` and what the desk raises."""
        errand.is_near = True
        if self._is_stopping:
            raise _Lost("the server stops")
        lease_s = self._bounds.after_s + _MARGIN_S
        if not await self._desk.use(lambda it: self._queue.begin(it, errand.claim, lease_s)):
            raise _Lost("its claim has ended, or it was removed")
        errand.is_begun = True

    async def _record(self, claim: Claim, outcome: Outcome) -> None:
        match outcome:
            case TryLater(reason, is_server=True):
                self.outcomes["unreachable"] += 1
                rest_s = max(_REST_LEAST_S, self._rest_s())
                await self._desk.insist(lambda it: self._queue.give_back(it, claim, reason, rest_s))
                return
            case Sent(reason):
                state: State = "sent"
            case TryLater(reason) if claim.tries < TRIES:
                state = "waiting"
            case TryLater(reason) | Refused(reason):
                state = "failed"
            case Uncertain(reason):
                state = "uncertain"
        self.outcomes["postponed" if state == "waiting" else state] += 1
        if state in ("failed", "uncertain"):
            logger.error("%s: delivery %d is %s: %s", self.purpose, claim.id, state, reason)
        wanted_s = outcome.after_s if isinstance(outcome, TryLater) else 0.0
        after_s = max(pause_s(claim.tries), wanted_s)
        await self._desk.insist(lambda it: self._queue.record(it, claim, state, reason, pause_s=after_s))


def _failed(errand: _Errand, reason: str) -> Outcome:
    return Uncertain(reason) if errand.is_begun else TryLater(reason)
