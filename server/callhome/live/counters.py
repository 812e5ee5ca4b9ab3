"""Live counters in memory: what a snapshot says, kept current by numbered changes.

A pure state machine, used at both ends of the push: by a server that follows the database,
and by a viewer that follows a server. All values are absolute, so a change may be merged with
the next, and applying it twice is the same as once. What cannot be merged is a *missing* one:
a gap sets ``lost``, and until the next snapshot is loaded every change is ignored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")


class CountryCounts(NamedTuple):
    """The six numbers of a product in a country: today (UTC) and the last 30 days, today included."""

    installs_today: int = 0
    users_today: int = 0
    launches_today: int = 0
    installs_30d: int = 0
    users_30d: int = 0
    launches_30d: int = 0


ZERO: Final = CountryCounts()
CountryKey = tuple[str, str]  # product key, ISO 3166-1 alpha-2 or "ZZ"
BuildKey = tuple[str, str, str]  # product key, version, build ("" where the ping had none)
CountryRow = tuple[str, str, int, int, int, int, int, int]  # a CountryKey and its CountryCounts
BuildRow = tuple[str, str, str, int]  # a BuildKey and its installs active in the last 30 days


class Snapshot(Protocol):
    """All counters as of change ``seq``: names by product key, and rows with absolute values.

    Rows are sequences in the order of `CountryRow` and `BuildRow`, none twice.
    """

    @property
    def seq(self) -> int:
        """The number of the newest change in it."""

    @property
    def today(self) -> dt.date | None:
        """The UTC day that "today" means; ``None`` where nothing was ever counted."""

    @property
    def products(self) -> Mapping[str, str]:
        """Name by key."""

    @property
    def countries(self) -> Sequence[Sequence[Any]]:
        """Each a `CountryRow`."""

    @property
    def builds(self) -> Sequence[Sequence[Any]]:
        """Each a `BuildRow`."""


class ProductName(msgspec.Struct, frozen=True):
    """A product and the name people read; ``None``: the product is gone."""

    key: str
    name: str | None


class Change(msgspec.Struct, frozen=True):
    """One change, or part ``part`` (from 0) of ``parts`` of it; ``recount``: values untold, load a snapshot.

    Rows hold the new absolute values; zeros mean that the row is gone.
    Source: a NOTIFY of the rollup, or a message of the viewer protocol (docs/live.md).
    """

    seq: int
    today: dt.date | None = None
    part: int = 0
    parts: int = 1
    recount: bool = False
    products: list[ProductName] = []
    countries: list[CountryRow] = []
    builds: list[BuildRow] = []


_DECODER: Final = msgspec.json.Decoder(Change)


def decode_change(payload: str | bytes) -> Change:
    """Decode the JSON of a NOTIFY payload; raises ``msgspec.DecodeError`` or ``UnicodeDecodeError``."""
    return _DECODER.decode(payload)


@dataclass(slots=True)
class Dirty:
    """Which keys have changed since somebody last looked; never more than there were rows in either state."""

    products: set[str] = field(default_factory=set)
    countries: set[CountryKey] = field(default_factory=set)
    builds: set[BuildKey] = field(default_factory=set)
    today: bool = False

    def __bool__(self) -> bool:
        return bool(self.products or self.countries or self.builds or self.today)

    def merge(self, other: Dirty) -> None:
        """Add what ``other`` has."""
        self.products |= other.products
        self.countries |= other.countries
        self.builds |= other.builds
        self.today |= other.today

    def product_keys(self) -> set[str]:
        """Keys of the products that any changed row belongs to."""
        return self.products | {key[0] for key in self.countries} | {key[0] for key in self.builds}


class Counters:
    """The current values. ``lost`` is true from a gap (and from the start) until a snapshot is loaded.

    Rows of only zeros are not kept, so memory is that of the rows in use:
    products + products x countries seen + builds in use, plus the parts of one change under way.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.today: dt.date | None = None
        self.products: dict[str, str] = {}
        self.countries: dict[CountryKey, CountryCounts] = {}
        self.builds: dict[BuildKey, int] = {}
        self.lost = True
        self._parts: list[Change] = []

    def load(self, snapshot: Snapshot) -> Dirty:
        """Replace everything, also by an older sequence number (a restored database); return what differs."""
        products = dict(snapshot.products)
        countries = {(row[0], row[1]): CountryCounts(*row[2:]) for row in snapshot.countries if any(row[2:])}
        builds = {(row[0], row[1], row[2]): int(row[3]) for row in snapshot.builds if row[3]}
        dirty = Dirty(
            {key for key, _ in self.products.items() ^ products.items()},
            {key for key, _ in self.countries.items() ^ countries.items()},
            {key for key, _ in self.builds.items() ^ builds.items()},
            self.today != snapshot.today,
        )
        self.seq, self.today, self.lost = snapshot.seq, snapshot.today, False
        self.products, self.countries, self.builds = products, countries, builds
        self._parts.clear()
        return dirty

    def apply(self, change: Change) -> Dirty:
        """Apply a change once its last part is here; return what it altered, nothing if it is not newer.

        Parts come in order, and the parts of one change one after another (as NOTIFY promises for
        one transaction): anything else is a gap, as is a jump in ``seq``, and sets ``lost``.
        """
        if self.lost or change.seq <= self.seq:
            return Dirty()
        in_order = change.seq == self.seq + 1 and change.part == len(self._parts)
        if change.recount or not in_order:
            self.lose()
            return Dirty()
        self._parts.append(change)
        if len(self._parts) < change.parts:
            return Dirty()
        parts, self._parts = self._parts, []
        self.seq = change.seq
        dirty = Dirty(today=change.today not in (None, self.today))
        self.today = change.today or self.today
        for part in parts:
            self._set_rows(part, dirty)
        return dirty

    def lose(self) -> None:
        """Something is missing: ignore changes until the next snapshot. Values stay as they are."""
        self.lost = True
        self._parts.clear()

    def totals(self) -> dict[str, CountryCounts]:
        """Sums over countries, for each product known; an install is in one country, so sums are exact."""
        columns: dict[str, list[CountryCounts]] = {key: [ZERO] for key in self.products}
        for (product, _), counts in self.countries.items():
            columns.setdefault(product, [ZERO]).append(counts)
        return {key: CountryCounts(*map(sum, zip(*rows, strict=True))) for key, rows in columns.items()}

    def _set_rows(self, part: Change, dirty: Dirty) -> None:
        _update(self.products, ((row.key, row.name) for row in part.products), dirty.products)
        countries = (((row[0], row[1]), CountryCounts(*row[2:])) for row in part.countries)
        _update(self.countries, ((key, row if any(row) else None) for key, row in countries), dirty.countries)
        _update(self.builds, ((row[:3], row[3] or None) for row in part.builds), dirty.builds)


def _update(table: dict[K, V], rows: Iterable[tuple[K, V | None]], dirty: set[K]) -> None:
    """Set each row (``None`` removes it) and note the keys whose value differed."""
    for key, value in rows:
        if table.get(key) == value:
            continue
        dirty.add(key)
        if value is None:
            del table[key]
        else:
            table[key] = value
