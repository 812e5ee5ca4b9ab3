"""The past as bodies for the batch route: each day's pings by country, as bytes. Pure.

Ids follow from the seeds: a day that is sent again, by a new writer, is the same pings and counts once.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from typing import Final

from .story import PRODUCTS, Install, Release, local_hours, spread, weekday_weight

# What the batch route takes at once.
_LINES: Final = 1_000
# How much busier the last day is than the first, since installs come and go: the fleet grows by a third.
_GROWTH: Final = 0.33
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
# Two machines with one id restart in turns, as after a power cut.
_CLONE_PINGS: Final = 6
_CLONES_AT_MS: Final = 11 * _HOUR_MS
_CLONE_APART_MS: Final = 90_000
# Their pings are at most a tenth of a day's.
_CLONES_RARE: Final = 10 * _CLONE_PINGS


@dataclass(frozen=True, slots=True)
class Batch:
    """Up to 1,000 pings of one country: newline-delimited JSON."""

    country: str
    body: bytes
    pings: int


class Writer:
    """Writes pings of installs as JSON, in some 3 µs each: what doesn't change of an install is written once."""

    def __init__(self, installs: Sequence[Install]) -> None:
        of_product = {
            product.key: (
                [release.day for release in product.releases],
                [_tail(release) for release in product.releases],
            )
            for product in PRODUCTS
        }
        self._parts = [
            (_head(install), *of_product[install.product.key], install.installed, install.lag_days)
            for install in installs
        ]

    def ping(self, number: int, day: int, at_ms: int, bits: int, behind: int = 0) -> bytes:
        """The ping that install ``number`` sends on a day of the story, at a Unix time; ``bits`` are 74 random ones.

        ``behind``: by how many releases it is behind, if there are so many.
        """
        head, days, tails, installed, lag_days = self._parts[number]
        taken = bisect_right(days, day - lag_days) - 1
        # A UUIDv7: 48 bits of time, then random ones but for version and variant.
        id = b"%08x-%04x-7%03x-%04x-%012x" % (
            at_ms >> 16, at_ms & 0xFFFF, bits >> 62, 0x8000 | bits >> 48 & 0x3FFF, bits & 0xFFFF_FFFF_FFFF,
        )  # fmt: skip
        release = taken if taken > installed else installed
        return head + id + tails[release - behind if behind <= release else release]


def _tail(release: Release) -> bytes:
    return f'","version":"{release.version}","build":"{release.build}"}}'.encode()


def _head(install: Install) -> bytes:
    os, os_version, arch = install.system
    license = f'"license":"{install.license.key}",' if install.license else ""
    return (
        f'{{"product":"{install.product.key}","install":"{install.id}",{license}"users":{install.users},"os":"{os}",'
        f'"os_version":"{os_version}","arch":"{arch}","locale":"{install.locale}","id":"'
    ).encode()


def pings_by_day(begins: date, days: int, pings: int) -> list[int]:
    """Share ``pings`` out over ``days``: fewer at weekends, more as time goes by."""
    return spread(
        pings,
        [
            weekday_weight((begins + timedelta(day)).weekday()) * (1 + _GROWTH * day / days)
            for day in range(days)
        ],
    )


def batches(
    installs: Sequence[Install], writer: Writer, begins: date, day: int, pings: int, rng: random.Random
) -> list[Batch]:
    """Return one day's ``pings``, as many batches as it has countries and thousands of their pings."""
    there = [
        number for number, install in enumerate(installs) if install.is_there(day) and not install.is_old
    ]
    # Whoever is new calls home on its first day.
    callers = [number for number in there if installs[number].first_day == day > 0][:pings]
    cumulative = list(accumulate(installs[number].eagerness for number in there))
    clones = [number for number in there if installs[number].is_cloned][: pings // _CLONES_RARE]
    left = pings - len(clones) * _CLONE_PINGS
    callers += rng.choices(there, cum_weights=cumulative, k=max(0, left - len(callers)))
    midnight_ms = (begins + timedelta(day) - date(1970, 1, 1)).days * _DAY_MS
    lines, bits = defaultdict[str, list[bytes]](list), rng.getrandbits
    for number, hour in zip(callers[:left], local_hours(left, rng), strict=True):
        country = installs[number].country
        at_ms = int((hour - country.utc_offset_h) * _HOUR_MS) % _DAY_MS
        lines[country.code].append(writer.ping(number, day, midnight_ms + at_ms, bits(74)))
    for number in clones:
        for turn in range(_CLONE_PINGS):
            at_ms = midnight_ms + _CLONES_AT_MS + turn * _CLONE_APART_MS
            lines[installs[number].country.code].append(
                writer.ping(number, day, at_ms, bits(74), behind=turn % 2)
            )
    return [
        Batch(country_code, b"\n".join(some), len(some))
        for country_code, all_lines in lines.items()
        for some in (all_lines[first : first + _LINES] for first in range(0, len(all_lines), _LINES))
    ]
