"""What is asked of an import, and what comes of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Is told how far it is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` in a stage: ``storing``, in rows; ``counting``, in rows that wait."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be imported, and how. ``wait``: until all is counted; ``overlapping``: as the option says."""

    name: str
    rejected: int
    retention_days: int
    wait: bool
    overlapping: bool


@dataclass(slots=True)
class Outcome:
    """What an import has done: rows in, those of them that were there before, those that PostgreSQL refused."""

    rows: int = 0
    resumed_at: int = 0
    old: int = 0
    duplicates: int = 0
    quarantined: int = 0
    stored_s: float = 0.0
    counted_s: float | None = None
