"""What may be asked of statistics: windows, measures, what they are told apart by, and ranges of days. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Window(StrEnum):
    """In how many days, the one it is told for included, an install must have been active."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def days(self) -> int:
        """How many."""
        return {Window.DAY: 1, Window.WEEK: 7, Window.MONTH: 30}[self]


class Measure(StrEnum):
    """What is counted; launches of single days alone."""

    INSTALLS = "installs"
    USERS = "users"
    LAUNCHES = "launches"


class Dimension(StrEnum):
    """By what counts are told apart."""

    VERSION = "version"
    BUILD = "build"
    COUNTRY = "country"
    OS = "os"


_V, _B, _C, _O = Dimension.VERSION, Dimension.BUILD, Dimension.COUNTRY, Dimension.OS
# Each set of dimensions that is counted, and its name in ``usage_series.slice``.
SLICES: Final[Mapping[frozenset[Dimension], str]] = MappingProxyType(
    {
        frozenset(): "all",
        frozenset({_V}): "version",
        frozenset({_V, _B}): "build",
        frozenset({_C}): "country",
        frozenset({_O}): "os",
        frozenset({_V, _C}): "version_country",
        frozenset({_V, _O}): "version_os",
        frozenset({_C, _O}): "country_os",
    }
)

# Value of a dimension, and the build where it is builds that are told apart, else ``""``.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Filters:
    """What counts are narrowed down to; ``None``: not by that."""

    version: str | None = None
    country: str | None = None
    os: str | None = None

    @property
    def given(self) -> dict[Dimension, str]:
        """Those that are set."""
        every = {_V: self.version, _C: self.country, _O: self.os}
        return {dimension: value for dimension, value in every.items() if value is not None}

    def slice(self, by: Dimension | None = None) -> str | None:
        """The slice that has these counts told apart by ``by``; ``None`` where they are not counted so."""
        wanted = frozenset(self.given) | ({by} if by else set()) | ({_V} if by is _B else set())
        return SLICES.get(wanted)


def next_month(month: date) -> date:
    """Return the first day of the month after the one that begins on ``month``."""
    return (month + timedelta(days=31)).replace(day=1)


@dataclass(frozen=True, slots=True)
class Days:
    """UTC days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=number) for number in range(len(self)))

    @property
    def before(self) -> Days:
        """As many days, up to the day before the first."""
        return Days(self.first - timedelta(days=len(self)), self.first - timedelta(days=1))

    @property
    def first_month(self) -> date:
        """First day of the month that ``first`` lies in."""
        return self.first.replace(day=1)

    @property
    def last_month(self) -> date:
        """First day of the month that ``last`` lies in."""
        return self.last.replace(day=1)

    def months(self) -> Iterator[date]:
        """The first days of all months that it reaches."""
        month = self.first_month
        while month <= self.last:
            yield month
            month = next_month(month)


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted, and over which window."""

    measure: Measure = Measure.INSTALLS
    window: Window = Window.DAY


# A count for each day of a range; ``None`` where it is not known.
Counts = list[int | None]


@dataclass(frozen=True, slots=True)
class Place:
    """One value of a dimension on one day."""

    key: Key
    installs: int
    users: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """Some of the values of a dimension, those with the most installs first; the sums are those of all ``total``."""

    places: tuple[Place, ...]
    total: int
    installs: int
    users: int
