"""The releases that installs of one product and channel may be offered on a day, in order. Pure.

It gives what the functions of ``offers`` give, without going through all releases for each version that comes along:
clients name their versions, and whoever invents a new one for each ping must not make that expensive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from .model import STABLE, Release, Severity
from .version import SortKey, sort_key

# Of releases that are offered to a share, so many are looked at, the newest: each makes an answer of its own, and
# hardly anybody has more on their way at a time.
STAGED: Final = 3
_SEVERITIES: Final = tuple(Severity)


class Shelf:
    """Releases of one product, as `offers.candidates` takes them, for a channel and a UTC day."""

    def __init__(self, releases: Iterable[Release], channel: str | None, today: date) -> None:
        own = channel or STABLE
        visible = [each for each in releases if each.channel in (own, STABLE) and each.day <= today]
        visible.sort(key=lambda each: (sort_key(each.version), each.channel == own, each.id), reverse=True)
        # Key, release, key of the oldest that it may be installed over, rank of its severity.
        self._rows: list[tuple[SortKey, Release, SortKey | None, int]] = [
            (
                sort_key(each.version),
                each,
                sort_key(each.oldest) if each.oldest is not None else None,
                each.severity.rank,
            )
            for each in visible
        ]

    def offers(self, version: str) -> Iterator[tuple[Release, bool, Severity]]:
        """Yield what `offers.candidates` has for a version, up to the first for all, at most `STAGED` before that.

        With each: whether the version is outdated by it, and the severity of all that lies between.
        """
        key, staged = sort_key(version), 0
        for place, (latest, release, oldest, _) in enumerate(self._rows):
            if release.share > 0 and (oldest is None or oldest <= key):
                staged += release.share < 100
                if release.share < 100 and staged > STAGED:
                    continue
                yield release, key < latest, self._severity(place, key, latest)
                if release.share == 100:
                    return

    def _severity(self, place: int, key: SortKey, latest: SortKey) -> Severity:
        rank = 0
        # Equally new ones stand before the one that is offered, too.
        while place > 0 and self._rows[place - 1][0] == latest:
            place -= 1
        for at in range(place, len(self._rows)):
            other, _, _, its_rank = self._rows[at]
            if other <= key:
                break
            rank = max(rank, its_rank)
        return _SEVERITIES[rank]
