"""The feed: keeps the counters equal to the database's, over one connection that listens.

It listens first and then reads a snapshot, so that nothing falls in between: what arrives meanwhile
waits in the inbox, and the counters drop of it what the snapshot has already. A gap, a recount and a
change of the catalogue lead to a new snapshot; viewers only see what differs. The one loss that no
gap shows, of the last message, is found by comparing sequence numbers. While the database is away
the counters stay as they were, and are said to be stale.

Memory: ``INBOX_MESSAGES`` x 8,000 bytes (PostgreSQL's limit of a payload).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

import msgspec

from ..persistent import Connection, Persistent, cut_after
from .counters import Change, Counters, Dirty, Snapshot, decode_change

# The longest that a lost last message stays unnoticed; one tiny query each time.
CHECK_S: Final = 5.0
# A message may be on its way while its number is read already: the rest of a round trip, generously.
GRACE_S: Final = 0.5
# No answer for so long is no connection: the queries here take milliseconds, a large snapshot one second.
QUERY_S: Final = 10.0
# What may wait while a snapshot is read: 8 MB; beyond it another snapshot is cheaper anyway.
INBOX_MESSAGES: Final = 1_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the counters come from: how to connect, what to ask and which channels to listen to."""

    connect: Callable[[], Awaitable[Connection]]
    snapshot: Callable[[Connection], Awaitable[Snapshot]]
    seq: Callable[[Connection], Awaitable[int]]
    live_channel: str
    catalog_channel: str


class Sink(Protocol):
    """Who is told of it; calls must return at once."""

    def changed(self, dirty: Dirty) -> None:
        """These rows of the counters have new values."""

    def stale(self, since_s: float | None) -> None:
        """Since ``time.monotonic()`` the counters don't follow the database; ``None``: they do."""


class Feed:
    """Async context manager: follows ``source`` in a task of its own, and never gives up before the exit.

    Entering does not wait for the database. ``stale_since_s``: see `Sink.stale`; at first, since entering.
    """

    def __init__(self, source: Source, counters: Counters, sink: Sink) -> None:
        self.counters = counters
        self.stale_since_s: float | None = None
        self.snapshots_total = 0
        self._source = source
        self._sink = sink
        self._inbox: deque[str | None] = deque()  # None: nothing that a message says will do, take a snapshot
        self._wake = asyncio.Event()
        self.session = Persistent("live counters", source.connect, self._follow)

    async def __aenter__(self) -> Self:
        """Start following. Cancelling it starts nothing."""
        self._set_stale(True)
        await self.session.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop following, at once and without a word to the database. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _follow(self, connection: Connection) -> None:
        """Keep the counters current until the connection is lost, which raises."""
        self._inbox.clear()
        self.counters.lose()
        connection.add_termination_listener(lambda _: self._wake.set())
        try:
            with cut_after(connection, QUERY_S):
                await connection.add_listener(self._source.live_channel, self._on_live)
                await connection.add_listener(self._source.catalog_channel, self._on_catalog)
            while True:
                await self._catch_up(connection)
                self.session.went_well()
                if not await self._woken(CHECK_S):
                    await self._compare(connection)
        finally:
            if not self.session.is_stopped:
                self._set_stale(True)

    async def _catch_up(self, connection: Connection) -> None:
        """Apply what has arrived; where that isn't enough, load snapshots until it is."""
        self._apply_inbox()
        while self.counters.lost:
            with cut_after(connection, QUERY_S):
                snapshot = await self._source.snapshot(connection)
            self.snapshots_total += 1
            self._sink.changed(self.counters.load(snapshot))
            self._set_stale(False)
            self._apply_inbox()
        if connection.is_closed():
            raise ConnectionResetError("the database closed the connection")

    async def _woken(self, wait_s: float) -> bool:
        """Wait until something has arrived or the connection is lost; ``False`` after ``wait_s``."""
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _compare(self, connection: Connection) -> None:
        """Find a lost last message, or a database that was set back; and whether the line is alive."""
        known = self.counters.seq
        with cut_after(connection, QUERY_S):
            newest = await self._source.seq(connection)
        while self.counters.seq < newest and await self._woken(GRACE_S):
            self._apply_inbox()
            if self.counters.lost or connection.is_closed():
                return
        if newest < known or newest > self.counters.seq:
            self.counters.lose()

    def _on_live(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if len(self._inbox) >= INBOX_MESSAGES:
            self._inbox.clear()
            self._inbox.append(None)
        self._inbox.append(str(payload))
        self._wake.set()

    def _on_catalog(self, _connection: Any, _pid: int, _channel: str, _payload: object) -> None:
        if None not in self._inbox:
            self._inbox.append(None)
        self._wake.set()

    def _apply_inbox(self) -> None:
        dirty = Dirty()
        while self._inbox:
            payload = self._inbox.popleft()
            change = None if payload is None else _decode(payload)
            if change is None:
                self.counters.lose()
            else:
                dirty.merge(self.counters.apply(change))
        if dirty:
            self._sink.changed(dirty)

    def _set_stale(self, stale: bool) -> None:
        if stale != (self.stale_since_s is not None):
            self.stale_since_s = time.monotonic() if stale else None
            self._sink.stale(self.stale_since_s)


def _decode(payload: str) -> Change | None:
    """The change, or ``None`` where it can't be read, as while replicas of two versions run."""
    try:
        return decode_change(payload)
    except msgspec.DecodeError as error:
        logger.warning("unreadable message about live counters: %s", error)
        return None
