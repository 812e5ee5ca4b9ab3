"""How many installs one network may bring within an hour: who invents them does not move the headline numbers. Pure.

Nothing is refused here. What is beyond the ceiling is stored as unverified, and counts in headline numbers from the
second day on which it pings.
"""

from __future__ import annotations

import logging
from typing import Final

# A clock hour (UTC). Whoever brings installs at both sides of its end brings twice as many.
HOUR_S: Final = 3_600
# What is left of the hour before is freed so many at a time, a millisecond's work: a million at once take a tenth of a
# second.
_FREED_AT_ONCE: Final = 5_000

_log: Final = logging.getLogger(__name__)


def site_of(packed: bytes) -> int:
    """Return a number that stands for the /24 of a packed IPv4 address, or the /56 of IPv6; no address has one too.

    It is of this process and tells nothing of the network to who doesn't know its hash key.
    """
    return hash(packed[:3] if len(packed) == 4 else packed[:7])


class Ceiling:
    """Counts the distinct installs of each network in this clock hour.

    ``seen`` has the installs, ``full`` the networks that have as many as may be; both are other sets after a refresh.
    An install in a network is a number of 64 bits: ``hash(install) ^ site``. Of ``tracked`` such numbers, two are the
    same by chance once in 2⁶⁴ ÷ tracked² hours: a hundred million for half a million.

    Memory: ``tracked`` × (48 + 40 bytes) for installs, and as much for the networks if each install has its own, in all
    90 MB for half a million; while the hour before is being freed, twice that at most. A network beyond its ceiling
    takes no more. When ``tracked`` is full, installs that can't be remembered are beyond the ceiling, whatever their
    network: those that are new wait for their second day.
    """

    __slots__ = (
        "_counts",
        "_hour",
        "_left",
        "_left_counts",
        "_per_site",
        "_tracked",
        "_warned",
        "full",
        "seen",
    )

    def __init__(self, per_site: int, tracked: int) -> None:
        """``per_site``: installs of a network within an hour; 0: as many as come, and none is remembered."""
        self._per_site = per_site
        self._tracked = tracked
        self._hour = -1
        self._warned = False
        self.seen: set[int] = set()
        self.full: set[int] = set()
        self._counts: dict[int, int] = {}
        self._left: set[int] = set()
        self._left_counts: dict[int, int] = {}

    def enter(self, number: int, site: int) -> bool:
        """Remember an install that is not in ``seen``, of a network that is not in ``full``.

        Return False where there is no place for it.
        """
        per_site = self._per_site
        if not per_site:
            return True
        if len(self.seen) >= self._tracked:
            self._warn()
            return False
        self._counts[site] = count = self._counts.get(site, 0) + 1
        if count >= per_site:
            self.full.add(site)
        self.seen.add(number)
        return True

    def refresh(self, now_s: float) -> None:
        """Forget what is not of the hour of the Unix time ``now_s``; call it about twice a second."""
        hour = int(now_s) // HOUR_S
        if hour != self._hour:
            self._hour, self._warned = hour, False
            # Whatever is left of two hours ago goes at once: half an hour was not enough to call this.
            self._left, self.seen = self.seen, set()
            self._left_counts, self._counts = self._counts, {}
            self.full = set()
        for _ in range(min(_FREED_AT_ONCE, len(self._left))):
            self._left.pop()
        for _ in range(min(_FREED_AT_ONCE, len(self._left_counts))):
            self._left_counts.popitem()

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "More than %d installs called within this hour: those beyond are stored as unverified, and count from "
                "their second day on.",
                self._tracked,
            )
