"""Releases and notices as the rules need them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Final


class _Ranked(StrEnum):
    """Texts in the order in which they are defined, the least first; `max` and `sorted` go by it."""

    @cached_property
    def rank(self) -> int:
        """Its place, from 0."""
        return list(type(self)).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < other.rank if isinstance(other, type(self)) else NotImplemented

    def __le__(self, other: str) -> bool:
        return self.rank <= other.rank if isinstance(other, type(self)) else NotImplemented

    def __gt__(self, other: str) -> bool:
        return self.rank > other.rank if isinstance(other, type(self)) else NotImplemented

    def __ge__(self, other: str) -> bool:
        return self.rank >= other.rank if isinstance(other, type(self)) else NotImplemented


class Severity(_Ranked):
    """How much it matters to take a release."""

    NORMAL = "normal"
    RECOMMENDED = "recommended"
    SECURITY = "security"


class Level(_Ranked):
    """How urgent a notice is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


# The channel of a release and of an install that names none; its releases are offered to every channel.
STABLE: Final = "stable"


@dataclass(frozen=True, slots=True)
class Release:
    """A released version; ``product`` is product.id.

    ``day`` is the UTC day from which on it is offered, ``share`` the percentage of installs it is offered to (0 to
    100), ``oldest`` the oldest version it may be installed over (None: any).
    """

    id: int
    product: int
    version: str
    channel: str
    day: date
    severity: Severity
    url: str | None
    notes_url: str | None
    share: int
    oldest: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to installed copies; ``product`` is product.id, None for every product.

    It is for the versions from ``from_version`` to ``to_version``, both included, and told from ``starts_at`` on until
    ``ends_at``, when it no longer is; None is no bound. Times have a time zone.
    """

    id: int
    product: int | None
    text: str
    level: Level
    url: str | None
    from_version: str | None
    to_version: str | None
    starts_at: datetime
    ends_at: datetime | None
