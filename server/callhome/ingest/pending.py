"""What waits for its commit: rows in the order they came, and who is told what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .reasons import Refused


class Waiter(Protocol):
    """Who submitted rows and is told what became of them: once, by one of the two, on the event loop."""

    def settled(self, refused: Mapping[int, Refused]) -> None:
        """All rows are durable but those in ``refused``, by their place among the submitted."""

    def failed(self, error: Refused) -> None:
        """The rows are not known to be durable; sending them again is right."""


class Pending:
    """Submissions in the order they came: rows, and who waits for how many of them."""

    __slots__ = ("counts", "rows", "waiters")

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.waiters: list[Waiter] = []
        self.counts: list[int] = []

    def take(self, limit: int) -> Pending:
        """Remove and return whole submissions of up to ``limit`` rows, at least one."""
        taken = Pending()
        upto = rows = 0
        while upto < len(self.counts) and (upto == 0 or rows + self.counts[upto] <= limit):
            rows += self.counts[upto]
            upto += 1
        taken.rows, self.rows = self.rows[:rows], self.rows[rows:]
        taken.waiters, self.waiters = self.waiters[:upto], self.waiters[upto:]
        taken.counts, self.counts = self.counts[:upto], self.counts[upto:]
        return taken
