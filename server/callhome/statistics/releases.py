"""How releases are taken up: how long they take, how old what runs is, and how far behind. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Final

from ..releases.version import is_readable, sort_key
from .model import Counts, Days

# A version that nobody has registered counts as released once so many of all installs run it: what a stranger
# invents, or a developer builds, puts nobody behind.
SEEN_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Release:
    """A version, and the day of its release, or the first on which it was seen."""

    version: str
    day: date
    is_registered: bool


@dataclass(frozen=True, slots=True)
class Uptake:
    """How far a release has come: its share of all installs, with and without those that are newer.

    ``days_to_50`` (and 90): days from its day to the first on which half of the installs had it or a newer one.
    """

    release: Release
    installs: int
    share: float | None
    share_or_newer: float | None
    days_to_50: int | None
    days_to_90: int | None


def uptakes(
    releases: Sequence[Release], curves: Mapping[str, Counts], total: Counts, days: Days
) -> list[Uptake]:
    """Return how far each release has come by the last of ``days``, the newest first.

    ``curves`` has the installs of each version on each day, ``total`` those of all.
    """
    newest_first = sorted(
        releases, key=lambda release: (sort_key(release.version), release.day), reverse=True
    )
    keys = {version: sort_key(version) for version in curves}
    by_age = sorted(curves, key=lambda version: keys[version], reverse=True)
    sums = list(accumulate((curves[version] for version in by_age), _plus))
    found = []
    for release in newest_first:
        key = sort_key(release.version)
        count = sum(1 for version in by_age if keys[version] >= key)
        or_newer: Counts = sums[count - 1] if count else [0] * len(total)
        installs = curves.get(release.version, [0])[-1] or 0
        found.append(
            Uptake(
                release,
                installs,
                _share(installs, total[-1]),
                _share(or_newer[-1], total[-1]),
                _days_to(0.5, release, or_newer, total, days),
                _days_to(0.9, release, or_newer, total, days),
            )
        )
    return found


def _plus(one: Counts, other: Counts) -> Counts:
    return [None if a is None or b is None else a + b for a, b in zip(one, other, strict=True)]


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else part / whole


def _days_to(part: float, release: Release, or_newer: Counts, total: Counts, days: Days) -> int | None:
    """Days from the release; ``None`` where it did not come so far, or what was before is not known."""
    begin = (release.day - days.first).days
    if begin < 0:
        return None
    for at in range(begin, len(total)):
        share = _share(or_newer[at], total[at])
        if share is not None and share >= part:
            return at - begin
    return None


def counted_as_released(releases: Sequence[Release], installs: Mapping[str, int]) -> list[Release]:
    """Return the releases that put others behind: the registered, or where none is those that enough installs run."""
    registered = [release for release in releases if release.is_registered]
    if registered:
        return registered
    whole = sum(installs.values())
    return [release for release in releases if installs.get(release.version, 0) >= SEEN_SHARE * whole > 0]


def median_age(releases: Sequence[Release], installs: Mapping[str, int], today: date) -> float | None:
    """Return the median, over installs, of the days since the release of what each runs; ``None`` without any."""
    ages = sorted(
        ((today - release.day).days, installs[release.version])
        for release in releases
        if installs.get(release.version)
    )
    whole = sum(count for _, count in ages)
    if not whole:
        return None
    lower = upper = None
    seen = 0
    for age, count in ages:
        seen += count
        if lower is None and 2 * seen >= whole:
            lower = age
        if 2 * seen > whole:
            upper = age
            break
    assert lower is not None
    assert upper is not None
    return (lower + upper) / 2


def behind(releases: Sequence[Release], installs: Mapping[str, int]) -> dict[int | None, int]:
    """Return how many installs are so many releases behind; under ``None`` those whose version can't be compared."""
    steps = sorted({sort_key(release.version) for release in releases})
    found: dict[int | None, int] = {}
    for version, count in installs.items():
        newer: int | None = None
        if is_readable(version):
            key = sort_key(version)
            newer = sum(1 for step in steps if step > key)
        found[newer] = found.get(newer, 0) + count
    return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or 0)))
