"""Counts from the active days of single installs: where few are asked for, such as those of one license. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from .model import Count, Counts, Days, Dimension, Filters, Key, Measure, Place, Ranked, Window


@dataclass(frozen=True, slots=True)
class ActiveDay:
    """A verified row of ``activity``, and the install's next active day, if there is one."""

    day: date
    next_day: date | None
    version: str
    build: str
    country: str
    os: str
    users: int
    launches: int

    def key(self, by: Dimension | None) -> Key:
        """Its value of a dimension."""
        if by is None:
            return "", ""
        return (self.version, self.build) if by is Dimension.BUILD else (str(getattr(self, by.value)), "")


class InstallSource:
    """The counts of the installs whose active days these are; asked like `callhome.store.statistics.SeriesSource`."""

    def __init__(self, active_days: Sequence[ActiveDay], filters: Filters) -> None:
        given = filters.given
        self._active_days = [
            each
            for each in active_days
            if all(getattr(each, dimension.value) == value for dimension, value in given.items())
        ]

    async def daily(
        self, count: Count, days: Days, by: Dimension | None = None, keys: Sequence[Key] | None = None
    ) -> dict[Key, Counts]:
        """Return the counts of each day. Cancelling it changes nothing: it waits for nothing."""
        steps: dict[Key, list[int]] = defaultdict(lambda: [0] * (len(days) + 1))
        if by is None:
            steps["", ""]
        for each in self._active_days:
            key = each.key(by)
            if keys is not None and key not in keys:
                continue
            begin, end = self._span(each, count.window, days)
            if begin < end:
                number = _number(each, count.measure)
                steps[key][begin] += number
                steps[key][end] -= number
        found: dict[Key, Counts] = {}
        for key, changes in steps.items():
            total = 0
            counted: Counts = []
            for change in changes[:-1]:
                total += change
                counted.append(total)
            found[key] = counted
        return found

    async def ranked(
        self, by: Dimension, window: Window, day: date, *, limit: int, offset: int = 0
    ) -> Ranked:
        """Return the values with the most installs as of a day. Cancelling it changes nothing."""
        installs: Counter[Key] = Counter()
        users: Counter[Key] = Counter()
        for each in self._active_days:
            begin, end = self._span(each, window, Days(day, day))
            if begin < end:
                installs[each.key(by)] += 1
                users[each.key(by)] += each.users
        order = sorted(installs, key=lambda key: (-installs[key], key))
        places = tuple(Place(key, installs[key], users[key]) for key in order[offset : offset + limit])
        return Ranked(places, len(order), installs.total(), users.total())

    @staticmethod
    def _span(each: ActiveDay, window: Window, days: Days) -> tuple[int, int]:
        """The days, counted from the first, on which it counts: from its own to before its end."""
        end = each.day + timedelta(days=window.days)
        if each.next_day is not None:
            end = min(end, each.next_day)
        begin_at, end_at = (each.day - days.first).days, (end - days.first).days
        return max(begin_at, 0), min(end_at, len(days))


def _number(each: ActiveDay, measure: Measure) -> int:
    return {Measure.INSTALLS: 1, Measure.USERS: each.users, Measure.LAUNCHES: each.launches}[measure]
