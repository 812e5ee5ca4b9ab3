"""How tries to sign in are slowed down: by name, for all replicas; and by network, in memory. Pure.

Nobody is ever locked out: a try has to wait longer and longer, up to a bound. An address is never kept: of a network
there is a number, and it is forgotten.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

# Typing errors cost nothing.
FREE_TRIES: Final = 5
# 60 s leave 1,440 guesses a day to one who tries for ever, and let the owner in after a minute.
WAIT_MAX_S: Final = 60
# Names share slots, so that invented ones can't fill the table.
SLOTS: Final = 65_536
# An office behind one address, on a Monday; then one failure every ten seconds, 8,640 a day.
NETWORK_FAILURES: Final = 30
NETWORK_FAILURE_S: Final = 10.0
# Memory: so many x 0.2 kB = 2 MB. Whoever has more networks than that is slowed down by the names alone.
NETWORKS_MAX: Final = 10_000


def slot_of(name: str) -> int:
    """Return the slot in which tries of a name are counted, whether there is such an account or not."""
    return int.from_bytes(sha256(name.encode()).digest()[:2], "big") % SLOTS


def wait_s(failures: int) -> int:
    """Return how long the next try waits after so many that failed: 0, then 1, 2, 4 … seconds up to `WAIT_MAX_S`."""
    beyond = failures - FREE_TRIES
    return 0 if beyond < 0 else int(min(WAIT_MAX_S, 2.0 ** min(beyond, 10)))


class Networks:
    """Failures of each network, as a bucket that empties: `NETWORK_FAILURES` at once, then one a `NETWORK_FAILURE_S`.

    Times are monotonic seconds. A try is counted before it is looked at, so that many at once gain nothing, and
    taken back where it succeeds.
    """

    def __init__(self, most: int = NETWORKS_MAX) -> None:
        self._most = most
        # Number of a network -> the time at which its bucket is empty; in the order of their last try.
        self._empty_at_s: dict[int, float] = {}

    def take(self, network: int, now_s: float) -> float:
        """Count a try; return 0.0, or how many seconds to wait where there were too many."""
        empty_at_s = max(now_s, self._empty_at_s.pop(network, now_s))
        over_s = empty_at_s - now_s - (NETWORK_FAILURES - 1) * NETWORK_FAILURE_S
        if over_s <= 0:
            empty_at_s += NETWORK_FAILURE_S
        self._empty_at_s[network] = empty_at_s
        if len(self._empty_at_s) > self._most:
            del self._empty_at_s[next(iter(self._empty_at_s))]
        return max(0.0, over_s)

    def give_back(self, network: int) -> None:
        """Take back a try that succeeded."""
        if network in self._empty_at_s:
            self._empty_at_s[network] -= NETWORK_FAILURE_S
