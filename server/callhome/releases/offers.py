"""Which release an install is offered: the plain rules. Pure.

Each function takes the releases of one product, without those that were withdrawn. `callhome.releases.shelf`, from
which answers are made, gives the same without going through all releases each time; a test holds the two equal.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import date
from operator import attrgetter

from .model import STABLE, Release, Severity
from .version import sort_key


def candidates(releases: Iterable[Release], version: str, channel: str | None, today: date) -> list[Release]:
    """Return the releases that an install of this version and channel may be offered, the newest first.

    Those of its channel and of stable (no channel means stable), from their day on (UTC), with a share above 0, that
    may be installed over ``version``. So an install that is too old for the newest is led there by stepping stones:
    it is offered the newest that it may take, and asks again from there.

    Releases that aren't newer are among them: an install that is ahead of all hears of the newest, and isn't
    `outdated`. Of two equally new ones, that of the install's own channel is first, then the one registered later.
    """
    own, key = channel or STABLE, sort_key(version)
    found = [
        release
        for release in releases
        if release.share > 0
        and release.channel in (own, STABLE)
        and release.day <= today
        and (release.oldest is None or sort_key(release.oldest) <= key)
    ]
    found.sort(key=lambda each: (sort_key(each.version), each.channel == own, each.id), reverse=True)
    return found


def includes(install: bytes, release_id: int, share: int) -> bool:
    """Whether the ``share`` (percentage) of a release includes an install, told by its stored hash.

    Each install has a fixed place from 0 to 99 in each release: raising the share keeps those that it included. The
    places in two releases have nothing to do with each other, so nobody is always the first.
    """
    return zlib.crc32(install, release_id) % 100 < share


def outdated(version: str, latest: str) -> bool:
    """Whether ``latest`` is newer than the install's version."""
    return sort_key(version) < sort_key(latest)


def severity_between(
    releases: Iterable[Release], version: str, latest: str, channel: str | None, today: date
) -> Severity:
    """Return the highest severity of the releases newer than ``version`` up to ``latest``: who skips one needs its fix.

    Those of the install's channel and of stable count, from their day on, whatever their share: a stopped release's
    fix is in the later ones too. None in between: normal.
    """
    own, above, limit = channel or STABLE, sort_key(version), sort_key(latest)
    skipped = (
        release.severity
        for release in releases
        if release.channel in (own, STABLE)
        and release.day <= today
        and above < sort_key(release.version) <= limit
    )
    return max(skipped, key=attrgetter("rank"), default=Severity.NORMAL)
