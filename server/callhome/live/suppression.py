"""What guests may see of the live counters: of a country with fewer installs than the floor, only that. Pure.

Statistical offices call it the threshold rule. What else guests get must not let them work the numbers out: there is
no total beside the rows, the sums over builds would be one, so builds come without numbers, and a change that alters
nothing of what guests see is none to them.
"""

from __future__ import annotations

import datetime as dt
from heapq import nsmallest
from typing import Final

import orjson

from .counters import BuildKey, Counters, CountryCounts, CountryKey, Dirty
from .wire import OPTIONS, Stamp, product_rows

# What a country's card has room for.
TOP_BUILDS: Final = 3
# Installs, users and launches: of today, and of the last 30 days.
_FEW: Final = (None, None, None)

Shown = tuple[int | None, ...]  # as `CountryCounts`; None: fewer installs than the floor
Version = tuple[str, str]  # version, build


def suppressed(counts: CountryCounts, floor: int) -> Shown:
    """The six numbers, without those of a window in which there are fewer installs than ``floor``.

    Few in 30 days are few today, so then nothing is left.
    """
    if counts.installs_30d < floor:
        return _FEW + _FEW
    return (_FEW if counts.installs_today < floor else counts[:3]) + counts[3:]


class GuestView:
    """The counters as guests see them; `update` makes it follow.

    Memory: as the counters. A floor of 0 hides no country; builds are without numbers all the same.
    """

    def __init__(self, counters: Counters, floor: int) -> None:
        self.floor = floor
        self._counters = counters
        self._today: dt.date | None = None
        self._countries: dict[CountryKey, Shown] = {}
        # Of each product, those in use by at least the floor.
        self._builds: dict[str, dict[Version, int]] = {}
        self._top: dict[str, list[Version]] = {}
        self.update(
            Dirty(set(counters.products), set(counters.countries), set(counters.builds), today=True),
        )

    def update(self, dirty: Dirty) -> Dirty:
        """Follow the counters in ``dirty`` rows; return which rows guests see change.

        Of ``builds`` in what is returned, a key stands for the list of its product.
        """
        seen = Dirty(set(dirty.products), today=dirty.today and self._today != self._counters.today)
        self._today = self._counters.today
        for key in dirty.countries:
            counts = self._counters.countries.get(key)
            shown = None if counts is None else suppressed(counts, self.floor)
            if self._countries.get(key) == shown:
                continue
            seen.countries.add(key)
            if shown is None:
                del self._countries[key]
            else:
                self._countries[key] = shown
        for product in self._follow_builds(dirty.builds):
            top = self._ordered(product)
            if top != self._top.get(product, []):
                self._top[product] = top
                seen.builds.add((product, "", ""))
        return seen

    def snapshot(self, stamp: Stamp) -> bytes:
        """All that guests see, as a message."""
        rows = {
            "products": product_rows(self._counters, self._counters.products),
            "countries": [(*key, *shown) for key, shown in sorted(self._countries.items())],
            "top": sorted((key, top) for key, top in self._top.items() if top),
        }
        return self._message("snapshot", stamp, rows)

    def change(self, stamp: Stamp, seen: Dirty) -> bytes:
        """The rows that `update` has returned, as a message: zeros, or no name, where a row is gone."""
        rows = {
            "products": product_rows(self._counters, seen.products),
            "countries": [
                (*key, *self._countries.get(key, CountryCounts())) for key in sorted(seen.countries)
            ],
            "top": [(key, self._top.get(key, [])) for key in sorted({key[0] for key in seen.builds})],
        }
        return self._message("change", stamp, rows)

    def _message(self, kind: str, stamp: Stamp, rows: dict[str, object]) -> bytes:
        head = {"type": kind, **stamp._asdict(), "today": self._today, "floor": self.floor, "builds": []}
        return orjson.dumps(head | rows, option=OPTIONS)

    def _follow_builds(self, keys: set[BuildKey]) -> set[str]:
        """Take over the builds of ``keys``; return their products."""
        for product, version, build in keys:
            installs = self._counters.builds.get((product, version, build), 0)
            builds = self._builds.setdefault(product, {})
            if installs >= max(1, self.floor):
                builds[version, build] = installs
            else:
                builds.pop((version, build), None)
        return {key[0] for key in keys}

    def _ordered(self, product: str) -> list[Version]:
        """The most installed builds, equal ones by name so that none jumps."""
        builds = self._builds[product]
        return nsmallest(TOP_BUILDS, builds, key=lambda version: (-builds[version], version))
