"""Counts by day, from what is kept of a month: the days on which something changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from .model import Counts, Days, Key, Window, next_month


@dataclass(frozen=True, slots=True)
class Month:
    """A row of ``usage_series`` of one count: ``numbers[i]`` is of day ``days[i]`` (1: the first) of the month.

    Of single days they are the counts; of longer windows by how much the count differs from that of the day before.
    """

    first: date
    days: Sequence[int]
    numbers: Sequence[int]


def counts(months: Iterable[Month], window: Window, days: Days, unknown: Iterable[date] = ()) -> Counts:
    """Return the count of each day; ``None`` in the ``unknown`` months, named by their first day."""
    found: Counts = [0] * len(days)
    for month in months:
        if window is Window.DAY:
            _fill_points(found, month, days)
        else:
            _fill_steps(found, month, days)
    for first in unknown:
        after = _length(first)
        begin = max((first - days.first).days, 0)
        for at in range(begin, min((first - days.first).days + after, len(found))):
            found[at] = None
    return found


def _fill_points(found: Counts, month: Month, days: Days) -> None:
    offset = (month.first - days.first).days - 1
    for day, number in zip(month.days, month.numbers, strict=True):
        if 0 <= offset + day < len(found):
            found[offset + day] = number


def _fill_steps(found: Counts, month: Month, days: Days) -> None:
    offset = (month.first - days.first).days
    steps = dict(zip(month.days, month.numbers, strict=True))
    count = 0
    for number in range(_length(month.first)):
        count += steps.get(number + 1, 0)
        if 0 <= offset + number < len(found):
            found[offset + number] = count


def _length(first: date) -> int:
    """How many days the month has that begins on ``first``."""
    return (next_month(first) - first).days


def others(total: Counts, named: Mapping[Key, Counts]) -> Counts:
    """Return what the total has beyond those that are named."""
    left: Counts = []
    for at, whole in enumerate(total):
        parts = [counted[at] for counted in named.values()]
        left.append(None if whole is None else whole - sum(part or 0 for part in parts))
    return left
