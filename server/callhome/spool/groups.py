"""Rows that wait for the disk: all that came while it wrote are its next write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence

from .errors import SpoolUnavailable
from .record import (
    ATTEMPT_BYTES,
    HEADER_BYTES,
    LEAST_ROW_BYTES,
    MOST_ATTEMPTS,
    MOST_ROW_BYTES,
    RECORD_BYTES,
)


class Group:
    """Rows that are written together, and who waits for them. Raises ``ValueError`` for what is no row or attempt."""

    __slots__ = ("attempts", "rows", "size_bytes", "waiters")

    def __init__(self, rows: Sequence[bytes], attempts: Sequence[bytes]) -> None:
        lengths = list(map(len, rows))
        if min(lengths) < LEAST_ROW_BYTES or max(lengths) > MOST_ROW_BYTES:
            raise ValueError(f"rows have {LEAST_ROW_BYTES} to {MOST_ROW_BYTES} bytes")
        if len(attempts) > MOST_ATTEMPTS or any(len(attempt) != ATTEMPT_BYTES for attempt in attempts):
            raise ValueError(f"attempts are up to {MOST_ATTEMPTS} ids of {ATTEMPT_BYTES} bytes")
        self.rows = rows
        self.attempts = attempts
        self.size_bytes = HEADER_BYTES + sum(lengths) + 4 * len(lengths) + ATTEMPT_BYTES * len(attempts)
        self.waiters: list[asyncio.Future[None]] = []

    def pieces(self) -> Iterator[tuple[Sequence[bytes], Sequence[bytes]]]:
        """Yield rows and attempts of one record after the other: mostly all are one.

        Several are sorted, as what was stored by an attempt is counted by the ids from a record's first to its last.
        """
        if self.size_bytes <= RECORD_BYTES:
            yield self.rows, self.attempts
            return
        piece: list[bytes] = []
        size = 0
        for row in sorted(self.rows):
            piece.append(row)
            size += 4 + len(row)
            if size >= RECORD_BYTES:
                yield piece, self.attempts
                piece, size = [], 0
        if piece:
            yield piece, self.attempts

    def succeed(self) -> None:
        """Tell all who wait: the rows are on the disk."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def fail(self, error: SpoolUnavailable) -> None:
        """Tell all who wait: they may not be."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Groups:
    """Groups of one caller each, in the order they came, joined as they are taken.

    ``waiting_bytes`` are those that wait and those that were taken and are not `done`.
    """

    def __init__(self) -> None:
        self._waiting: deque[Group] = deque()
        self.waiting_bytes = 0

    def add(self, group: Group) -> asyncio.Future[None]:
        """Queue a group; return what is done when its rows are on the disk, or not."""
        waiter = asyncio.get_running_loop().create_future()
        group.waiters.append(waiter)
        self._waiting.append(group)
        self.waiting_bytes += group.size_bytes
        return waiter

    def take(self) -> Group | None:
        """Return the first and all behind it that fit with it into one record; None where nothing waits."""
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        joined, size, attempts = [first], first.size_bytes, len(first.attempts)
        while self._waiting:
            size += self._waiting[0].size_bytes
            attempts += len(self._waiting[0].attempts)
            if size > RECORD_BYTES or attempts > MOST_ATTEMPTS:
                break
            joined.append(self._waiting.popleft())
        if len(joined) > 1:
            first.rows = [row for group in joined for row in group.rows]
            first.attempts = [attempt for group in joined for attempt in group.attempts]
            first.waiters = [waiter for group in joined for waiter in group.waiters]
            first.size_bytes = sum(group.size_bytes for group in joined)
        return first

    def done(self, group: Group) -> None:
        """A taken group waits no more."""
        self.waiting_bytes -= group.size_bytes
