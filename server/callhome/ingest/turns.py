"""Long work on the event loop in short turns: one piece of work after the other, each a little at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

# What all long work together takes of one turn of the loop: unnoticed beside a commit.
TURN_S: Final = 0.002


class Turns:
    """Runs iterators of small steps in the order they came: ``turn_s`` of each turn of the loop, and one step more.

    The first runs to its end before the second begins, so the memory of only one is in use. No step may raise.
    """

    __slots__ = ("_call_soon", "_clock", "_turn_s", "_waiting")

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        turn_s: float = TURN_S,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._call_soon = call_soon
        self._turn_s = turn_s
        self._clock = clock
        self._waiting: deque[Iterator[None]] = deque()

    def __len__(self) -> int:
        """How many wait or run."""
        return len(self._waiting)

    def join(self, work: Iterator[None]) -> None:
        """Run ``work`` behind all that waits, from the next turn of the loop on."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._call_soon(self._turn)

    def _turn(self) -> None:
        ends_s = self._clock() + self._turn_s
        while self._clock() < ends_s:
            for _ in self._waiting[0]:
                if self._clock() >= ends_s:
                    break
            else:
                self._waiting.popleft()
                if not self._waiting:
                    return
        self._call_soon(self._turn)
