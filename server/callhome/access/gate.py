"""Who is behind a cookie or a token: asked of PostgreSQL, and remembered for some seconds.

However many come at once, one query at a time asks for all of them, so that a flood of invented ones costs the database
one statement after the other and no more. Invented ones are not remembered.

Memory: `KNOWN_MAX` x 0.5 kB = 10 MB, and `WAITING_MAX` x 0.5 kB.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import CallhomeError
from .model import Principal

# For so long a session that was ended elsewhere may still be used here. A page asks for a handful of things at once.
FRESH_S: Final = 5.0
# While the database is away, for so long those go on who were signed in: a night's outage leaves no screen dark.
AWAY_S: Final = 86_400.0
# Who waits for the database longer than that hears that it is away; one answer takes a millisecond.
ANSWER_S: Final = 2.0
# As many as look at the map at the most by default, ten times, and programs beside.
KNOWN_MAX: Final = 20_000
# Beyond that, who is not known hears 503: it is a flood.
WAITING_MAX: Final = 1_000
# In one query.
_AT_ONCE: Final = 200

Find = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, Principal]]]


class Unsure(CallhomeError):
    """It can't be said now who that is: the database is away, or too many ask.

    ``retry_after_s`` says when to come back.
    """

    retry_after_s = 5


@dataclass(slots=True)
class _Known:
    principal: Principal
    asked_s: float


class Gate:
    """Tells who is behind the SHA-256 of what was shown. ``find`` returns those that count, or raises `CallhomeError`.

    It belongs to the event loop's thread.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._known: dict[bytes, _Known] = {}
        self._waiting: dict[bytes, asyncio.Future[Principal | Unsure | None]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._ended_s = 0.0

    async def who(self, digest: bytes) -> Principal | None:
        """Return who that is, None where it counts for nothing. Raises `Unsure`. Cancelling it changes nothing."""
        known = self._known.get(digest)
        if known is not None and time.monotonic() - known.asked_s < FRESH_S:
            return _still(known.principal)
        try:
            return await self._ask(digest)
        except Unsure:
            if known is None or time.monotonic() - known.asked_s > AWAY_S:
                raise
            return _still(known.principal)

    async def ended(self, digests: Iterable[bytes]) -> set[bytes]:
        """Return those that count for nothing any more, asked now; none while the database is away.

        But for those whose own time is over, or who were seen last more than `AWAY_S` ago. Cancelling it changes
        nothing.
        """
        gone: set[bytes] = set()
        for some in _shares(list(digests)):
            found = await self._look_up(some)
            if found is not None:
                gone.update(digest for digest in some if digest not in found)
                continue
            for digest in some:
                known = self._known.get(digest)
                if known is not None and (
                    _still(known.principal) is None or time.monotonic() - known.asked_s > AWAY_S
                ):
                    gone.add(digest)
        return gone

    def forget(self, digest: bytes) -> None:
        """Ask again next time: it was ended. An answer that is on its way is not kept."""
        self._known.pop(digest, None)
        self._ended_s = time.monotonic()

    async def close(self) -> None:
        """Ask no more; who waits is told that it can't be said. Cancelling it closes all the same."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self, digest: bytes) -> Principal | None:
        answer = self._waiting.get(digest)
        if answer is None:
            if len(self._waiting) >= WAITING_MAX:
                raise Unsure("too many are asking who they are")
            answer = self._waiting[digest] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._answer_all(), name="gate")
        done, _ = await asyncio.wait([answer], timeout=ANSWER_S)
        said = answer.result() if done else Unsure("the database doesn't answer")
        if isinstance(said, Unsure):
            raise said
        return said

    async def _answer_all(self) -> None:
        """Ask for all who wait, and for those who come meanwhile, until nobody does."""
        try:
            while self._waiting:
                some = list(self._waiting)[:_AT_ONCE]
                found = await self._look_up(some)
                for digest in some:
                    answer = self._waiting.pop(digest)
                    answer.set_result(Unsure("the database is away") if found is None else found.get(digest))
        finally:
            self._asking = None
            for answer in self._waiting.values():
                answer.set_result(Unsure("the server stops"))
            self._waiting.clear()

    async def _look_up(self, digests: Sequence[bytes]) -> Mapping[bytes, Principal] | None:
        """Who those are, None where it can't be said; what is known is set right."""
        begun_s = time.monotonic()
        try:
            found = await self._find(digests)
        except CallhomeError:
            return None
        for digest in digests:
            self._known.pop(digest, None)
            if digest in found and begun_s > self._ended_s:
                self._known[digest] = _Known(found[digest], begun_s)
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return found


def _still(principal: Principal) -> Principal | None:
    return principal if time.time() < principal.ends_s else None


def _shares(digests: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (digests[start : start + _AT_ONCE] for start in range(0, len(digests), _AT_ONCE))
