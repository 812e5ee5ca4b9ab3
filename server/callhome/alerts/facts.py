"""What is measured for the rules, each as of the look. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from ..releases.version import sort_key

# More versions than these are inventions of clients; what is beyond the most used counts as older. To sort so many
# takes 1 to 3 ms.
VERSIONS_READ: Final = 500
# Without its cache, which is that of the pings' versions: these would push them out.
_KEY_OF: Final = sort_key.__wrapped__


@dataclass(frozen=True, slots=True)
class Product:
    """A product as people know it."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class OverLicense:
    """A license of which more seats are used than allowed."""

    license: int
    last4: str | None
    customer: str
    product: Product
    seats_used: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A confirmed finding that was not told yet; ``install`` is the hexadecimal name of an install, or None."""

    finding: int
    rule: str
    cause: str
    product: Product
    license: int | None
    last4: str | None
    customer: str | None
    install: str | None
    measure: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Released:
    """A version of a product that was released on ``day`` (UTC) and is offered to ``offered_percent`` of installs."""

    product: Product
    version: str
    day: date
    offered_percent: int


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions in use of a product: installs of the most used ones, and of all versions together."""

    installs: Mapping[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """How many of the active installs have a released version or a newer one."""

    released: Released
    installs: int
    total: int

    def is_at(self, percent: int) -> bool:
        """Whether that is so many percent of all, or more."""
        return self.total > 0 and self.installs * 100 >= percent * self.total


@dataclass(frozen=True, slots=True)
class DayCount:
    """Active installs of a day, and of the same weekday in the four weeks before, the latest first."""

    product: Product
    installs: int
    before: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """When pings of a product (None: of any) were counted last; None is never."""

    product: Product | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when pings could not have gone unnoticed, and up to when all that came is counted."""

    since: datetime
    until: datetime


def adoptions(released: Sequence[Released], in_use: Mapping[str, Versions]) -> list[Adoption]:
    """Return the adoption of each released version; ``in_use`` maps product keys to versions.

    It takes some milliseconds for each product.
    """
    ranked = {key: _Ranked(versions) for key, versions in in_use.items()}
    return [
        Adoption(one, ranked[key].at_least(one.version), in_use[key].total)
        if (key := one.product.key) in ranked
        else Adoption(one, 0, 0)
        for one in released
    ]


class _Ranked:
    """The versions of a product from the oldest to the newest, with the installs that have each or a newer one."""

    def __init__(self, versions: Versions) -> None:
        ranked = sorted((_KEY_OF(version), installs) for version, installs in versions.installs.items())
        self._keys = [key for key, _ in ranked]
        self._sums = [0]
        for _, installs in reversed(ranked):
            self._sums.append(self._sums[-1] + installs)

    def at_least(self, version: str) -> int:
        return self._sums[len(self._keys) - bisect_left(self._keys, _KEY_OF(version))]
