"""What is wrong with the lines of a file, told to whoever wants to import it. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..errors import UsageError

# As many as people mend before they try again; the rest is counted. Bound: so many × some 400 characters = 400 kB.
TOLD: Final = 1_000


class BadLine(NamedTuple):
    """One thing that is wrong: in which line (from 1, the header's) and column (``""``: the line as a whole)."""

    line: int
    column: str
    given: str
    expected: str

    def __str__(self) -> str:
        column = f", {self.column}" if self.column else ""
        return f"line {self.line}{column}: got {self.given}; expected {self.expected}"


class BadLines(UsageError):
    """Collects what is wrong, and is raised as the error that tells it: the first `TOLD` in full, then their number."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[BadLine] = []
        self.count = 0

    def add(self, bad: BadLine) -> None:
        """Tell of it, or only count it where enough is told."""
        self.count += 1
        if len(self.found) < TOLD:
            self.found.append(bad)

    def add_uncounted(self, many: int) -> None:
        """Count as many more, of which nothing else is known."""
        self.count += many

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return self.count > 0

    def __str__(self) -> str:
        mistakes = "1 mistake" if self.count == 1 else f"{self.count} mistakes"
        lines = [f"{mistakes} in the file; nothing was imported:", *map(str, sorted(self.found))]
        if self.count > len(self.found):
            lines.append(f"and {self.count - len(self.found)} more")
        return "\n  ".join(lines)
