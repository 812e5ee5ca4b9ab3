"""The story that the demo tells: products and their releases, installs and their habits. Pure, the same for a seed.

Days are counted from the first day of the history (0). An install keeps everything but its version, which follows
the releases of its product: some take one on the first day, most within two weeks, some never.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from .world import Country

# Days until an install takes a release: the median, and how far the quick and the slow are apart (log-normal).
_LAG_DAYS: Final = 6.0
_LAG_SPREAD: Final = 1.1
# Installs that stay with what they were installed with.
_NEVER: Final = 0.12
# Installs that are there on day 0; the others come over the time of the story.
_THERE: Final = 0.7
# Of the others, how many come on the day after the history: a good day for sales.
_TODAY: Final = 0.1
# Of those that are there, how many are gone by day 90.
_GONE: Final = 0.15
# Of the installs of a licensed product, those with a license.
_LICENSED: Final = 0.75
# Licenses of which more copies run than were sold, and licenses that have ended: some dozens of some thousands.
_OVERUSED: Final = 0.006
_EXPIRED: Final = 0.006
# Install ids that run on two machines, since somebody copied a virtual machine: one in so many of a product.
_CLONED: Final = 4_000
# Of one product, copies of a version that was written before there was JSON.
_OLD: Final = 0.05
OLD_VERSION: Final = "3.2.9"
NEVER_DAYS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Release:
    """A version with its build, on the day it came out; below 0: before the story."""

    version: str
    build: str
    day: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the vendor; ``share`` of all installs; ``licensed`` ones are sold by the seat."""

    key: str
    name: str
    share: float
    licensed: bool
    releases: tuple[Release, ...]
    systems: tuple[tuple[str, str, str, float], ...]  # os, os_version, arch, weight


@dataclass(frozen=True, slots=True)
class License:
    """A license as it was sold: so many ``seats``, until day ``ends``. More installs than seats may use it."""

    key: str
    product: str
    seats: int
    ends: int


@dataclass(frozen=True, slots=True)
class Install:
    """One installed copy: with which release (its place) it was installed, and its habits.

    ``lag_days``: how long after a release it takes it; `NEVER_DAYS`: not at all. ``eagerness``: how often it starts,
    compared with others. An old one is of years ago: it knows neither ids nor JSON, and never changes.
    """

    id: str
    product: Product
    country: Country
    license: License | None
    users: int
    system: tuple[str, str, str]
    locale: str
    first_day: int
    last_day: int
    installed: int
    lag_days: float
    eagerness: float
    is_old: bool
    is_cloned: bool

    def is_there(self, day: int) -> bool:
        """Whether it is installed on a day."""
        return self.first_day <= day <= self.last_day

    def release(self, day: int) -> Release:
        """The release that it runs on a day: the one it was installed with, or a newer one that it has taken."""
        releases = self.product.releases
        taken = bisect_right(releases, day - self.lag_days, key=_day_of) - 1
        return releases[max(self.installed, taken)]


_DESKTOP: Final = (
    ("windows", "11", "x86_64", 58), ("windows", "10", "x86_64", 21), ("macos", "15", "arm64", 12),
    ("macos", "14", "arm64", 4), ("linux", "24.04", "x86_64", 5),
)  # fmt: skip
_SERVERS: Final = (
    ("linux", "12", "x86_64", 41), ("linux", "24.04", "x86_64", 29), ("windows", "2022", "x86_64", 24),
    ("linux", "12", "arm64", 6),
)  # fmt: skip
_HANDHELDS: Final = (
    ("android", "15", "arm64", 49),
    ("android", "14", "arm64", 23),
    ("ios", "26", "arm64", 28),
)


def _releases(*rows: tuple[str, str, int]) -> tuple[Release, ...]:
    return tuple(Release(*row) for row in rows)


PRODUCTS: Final = (
    Product("studio", "Example Studio", 0.52, True, _releases(
        ("11.2.0", "11204", -150), ("11.3.0", "11301", -80), ("11.3.1", "11317", -31), ("12.0.0", "12002", 12),
        ("12.0.1", "12011", 27), ("12.1.0", "12103", 58), ("12.1.1", "12112", 80),
    ), _DESKTOP),
    Product("server", "Example Server", 0.31, True, _releases(
        ("4.8.2", "b911", -200), ("4.9.0", "b930", -70), ("4.9.1", "b934", 8),
        ("5.0.0", "b1002", 40), ("5.0.1", "b1009", 66),
    ), _SERVERS),
    Product("field", "Example Field", 0.17, False, _releases(
        ("2026.6", "601", -60), ("2026.7", "702", -20), ("2026.8", "801", 10),
        ("2026.9", "903", 41), ("2026.10", "1001", 72),
    ), _HANDHELDS),
)  # fmt: skip


# A key of a product that is free for most, posted on a forum: copies all over the world begin to use it today.
LEAKED: Final = License("FI-7F3A1-0C2D9-5B8E4-11D60", "field", 5, 300)
OLD_OF: Final = PRODUCTS[1]
CLONED_OF: Final = PRODUCTS[0]


def installs(count: int, days: int, countries: Sequence[Country], seed: int) -> list[Install]:
    """Return ``count`` installs that come and go over ``days``, in ``countries`` by their people online."""
    rng = random.Random(seed)
    products = rng.choices(PRODUCTS, [product.share for product in PRODUCTS], k=count)
    cumulative = list(accumulate(country.online for country in countries))
    licenses = {
        product.key: _licenses(product, int(count * product.share), rng)
        for product in PRODUCTS
        if product.licensed
    }
    return [
        _install(number, product, rng.choices(countries, cum_weights=cumulative)[0], licenses, days, rng)
        for number, product in enumerate(products)
    ]


def _licenses(product: Product, count: int, rng: random.Random) -> list[License]:
    """Licenses for about so many installs: few large, many small; each as often in the list as it has copies."""
    places: list[License] = []
    while len(places) < count:
        seats = min(500, 1 + int(rng.paretovariate(0.9)))
        copies = (
            round(seats * (1.3 + rng.random()))
            if rng.random() < _OVERUSED
            else max(1, round(seats * rng.random()))
        )
        ends = rng.randrange(60) if rng.random() < _EXPIRED else 90 + rng.randrange(360)
        groups = "-".join(f"{rng.getrandbits(20):05X}" for _ in range(4))
        places += [License(f"{product.key[:2].upper()}-{groups}", product.key, seats, ends)] * copies
    rng.shuffle(places)
    return places


def _install(
    number: int,
    product: Product,
    country: Country,
    licenses: dict[str, list[License]],
    days: int,
    rng: random.Random,
) -> Install:
    there = rng.random() < _THERE
    places = licenses.get(product.key)
    license = places[number % len(places)] if places and rng.random() < _LICENSED else None
    system = rng.choices(product.systems, [weight for *_, weight in product.systems])[0]
    leaves = there and rng.random() < _GONE * days / 90
    first_day = 0 if there else days if rng.random() < _TODAY else rng.randrange(days)
    if product.key == LEAKED.product and first_day == days and number % 2:
        license = LEAKED
    newest = bisect_right(product.releases, first_day, key=_day_of) - 1
    return Install(
        id=f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-4{rng.getrandbits(12):03x}-8000-{number:012x}",
        product=product,
        country=country,
        license=license,
        users=1 + int(rng.expovariate(0.12)) if product.key == "server" else 1 + int(rng.expovariate(1.2)),
        system=system[:3],
        locale=f"en-{country.code}",
        first_day=first_day,
        last_day=rng.randrange(days) if leaves else 1_000_000,
        # Whoever installs takes the newest; those that were there have come over years.
        installed=rng.randint(0, newest) if there else newest,
        lag_days=NEVER_DAYS if rng.random() < _NEVER else rng.lognormvariate(0, _LAG_SPREAD) * _LAG_DAYS,
        eagerness=rng.paretovariate(1.6),
        is_old=product is OLD_OF and there and rng.random() < _OLD,
        is_cloned=product is CLONED_OF and there and not leaves and number % _CLONED < 2,
    )


def _day_of(release: Release) -> int:
    return release.day


# Launches by the hour of the local clock: at work from nine to five, most of all at nine.
_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 8, 16, 21, 17, 14, 11, 14, 14, 13, 11, 9, 7, 6, 5, 5, 4, 3)
# Monday to Sunday.
_WEEKDAYS: Final = (1.05, 1.1, 1.08, 1.05, 0.95, 0.42, 0.35)


def weekday_weight(weekday: int) -> float:
    """How busy a day of the week is (0: Monday), where 1 is an average working day."""
    return _WEEKDAYS[weekday]


def hour_weight(country: Country, utc_hour: float) -> float:
    """How busy a country is at an hour of UTC, by its local clock."""
    return _HOURS[int(utc_hour + country.utc_offset_h) % 24] / sum(_HOURS)


def local_hours(count: int, rng: random.Random) -> list[float]:
    """Hours of the local clock, 0 to 24, at which ``count`` installs start."""
    return [hour + rng.random() for hour in rng.choices(range(24), _HOURS, k=count)]


def spread(total: int, weights: Sequence[float]) -> list[int]:
    """Share ``total`` out by weights, to the last one."""
    edges = [round(total * edge / sum(weights)) for edge in accumulate(weights)]
    return [after - before for before, after in zip([0, *edges], edges, strict=False)]
