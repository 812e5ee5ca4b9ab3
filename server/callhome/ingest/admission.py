"""Who is let in: a rate for each install, a ceiling of installs for each network, a budget of all. Pure.

The rates are GCRA (ITU-T I.371), a leaky bucket kept as one number: the time until which what was sent is paid for,
each ping taking ``ping_s``. Addresses have no rate: a whole office, or a country behind one gateway, may be one.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from math import ceil
from time import monotonic
from typing import Final

from .ceiling import Ceiling
from .reasons import Reason, Refused

# Most installs send a ping and are not seen again for a while. They are not kept one by one: the pings of all that
# share a slot of a table are counted, and only in a slot with many are installs charged for them. Bound: a byte each,
# 256 KiB, which fit the caches of a core. At 60,000 pings a second a slot has 7 in half a minute.
SLOTS: Final = 2**18
# A slot with more than this part of the burst within a while has its installs charged one by one. So an install may
# have sent that part more than its burst before it is refused.
CALM_SHARE: Final = 64
# A while is so long that as many pings in it are half of the rate: by as much the limit is too high for who always
# stops before owing anything. Half a minute, with the defaults.
CALM_WHILES: Final = 2
# Installs charged one by one. Bound: so many × (49 + 24 + up to 80 bytes) = 1.3 MB. When they are full, those that owe
# nothing are forgotten, and if need be the half that owes least, in some milliseconds. So whoever owes most is never
# forgotten, however many others pass.
CHARGED: Final = 8_192
_SLOT: Final = SLOTS - 1


class Admission:
    """Judges each ping by its install and its network.

    ``pings_s`` is how many pings an install may send each second, in the long run, ``burst`` how many at once; 0
    ``pings_s``: as many as it likes. ``licenses`` returns those that are registered, by the hashes of their keys; it is
    asked at each refresh. ``unverified`` counts the pings that were beyond the ceiling. Clocks are in seconds.

    :meth:`refresh` is to be called about twice a second.
    """

    __slots__ = (
        "_ask_licenses", "_burst_s", "_calm", "_ceiling", "_charged", "_clock", "_full", "_licenses", "_ping_s",
        "_seen", "_slots", "_while_ends_s", "unverified",
    )  # fmt: skip

    def __init__(
        self,
        pings_s: float,
        burst: int,
        ceiling: Ceiling,
        licenses: Callable[[], Container[bytes]] = frozenset,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ping_s = 1 / pings_s if pings_s else 0.0
        self._burst_s = burst * self._ping_s
        # A slot holds no more than 255. A burst of a few pings is exact from the first on.
        self._calm = min(255, burst // CALM_SHARE) if pings_s else 255
        self._ceiling = ceiling
        self._seen, self._full = ceiling.seen, ceiling.full
        self._ask_licenses = licenses
        self._licenses = licenses()
        self._clock = clock
        self._slots = bytearray(SLOTS)
        self._while_ends_s = 0.0
        self._charged: dict[bytes, float] = {}
        self.unverified = 0

    def admit(self, install: bytes, site: int, license: bytes | None) -> bool:
        """Charge a ping to its install, and return whether it counts as verified.

        ``install`` and ``license`` are hashes of 16 bytes, ``site`` is that of the client's address. Raises
        :class:`Refused` where the install sends too much.
        """
        number = hash(install)
        slots, slot = self._slots, number & _SLOT
        pings = slots[slot]
        if pings < self._calm:
            slots[slot] = pings + 1
        else:
            self._charge(install)
        # As in _is_verified(): a call for each ping of a crowded network costs as much as what it does.
        number ^= site
        if number in self._seen or (site not in self._full and self._ceiling.enter(number, site)):
            return True
        if license in self._licenses:
            return True
        self.unverified += 1
        return False

    def admit_weak(self, install: bytes, site: int, license: bytes | None) -> bool:
        """Return whether a ping without an install id counts as verified.

        It stands for all copies of an office that use one license, so it is not charged to any.
        """
        return self._is_verified(hash(install) ^ site, site, license)

    def refresh(self, now_unix_s: float) -> None:
        """Let time pass."""
        self._ceiling.refresh(now_unix_s)
        self._seen, self._full = self._ceiling.seen, self._ceiling.full
        self._licenses = self._ask_licenses()
        now_s = self._clock()
        if now_s >= self._while_ends_s:
            self._while_ends_s = now_s + CALM_WHILES * self._calm * self._ping_s
            self._slots = slots = bytearray(SLOTS)
            # Who owes is charged from the first ping on.
            self._charged = owing = self._owing(now_s)
            for install in owing:
                slots[hash(install) & _SLOT] = self._calm

    def _is_verified(self, number: int, site: int, license: bytes | None) -> bool:
        if number in self._seen or (site not in self._full and self._ceiling.enter(number, site)):
            return True
        if license in self._licenses:
            return True
        self.unverified += 1
        return False

    def _charge(self, install: bytes) -> None:
        ping_s = self._ping_s
        if not ping_s:
            return
        now_s = self._clock()
        until_s = max(self._charged.get(install, 0.0), now_s) + ping_s
        over_s = until_s - now_s - self._burst_s
        if over_s > ping_s / 2:  # a whole ping too many, whatever the rounding of sums
            raise Refused(
                Reason.TOO_MANY_PINGS,
                "this install sends too many pings; send this one again later",
                retry_after_s=ceil(over_s),
            )
        if len(self._charged) >= CHARGED and install not in self._charged:
            self._forget(now_s)
        self._charged[install] = until_s

    def _owing(self, now_s: float) -> dict[bytes, float]:
        return {install: until_s for install, until_s in self._charged.items() if until_s > now_s}

    def _forget(self, now_s: float) -> None:
        owing = self._owing(now_s)
        if len(owing) > CHARGED // 2:
            least_s = sorted(owing.values())[len(owing) // 2]
            owing = {install: until_s for install, until_s in owing.items() if until_s > least_s}
        self._charged = owing


class Budget:
    """A rate of all pings together, and one second's worth at once."""

    __slots__ = ("_clock", "_ping_s", "_until_s")

    def __init__(self, pings_s: int, clock: Callable[[], float] = monotonic) -> None:
        self._ping_s = 1 / pings_s
        self._clock = clock
        self._until_s = 0.0

    def spend(self) -> None:
        """Take one ping's worth; raise :class:`Refused` where there is none left."""
        now_s = self._clock()
        until_s = max(self._until_s, now_s) + self._ping_s
        if until_s - now_s > 1.0 + self._ping_s / 2:  # a whole ping too many, as above
            raise Refused(Reason.OVERLOADED, "too many pings at once, send this one again later")
        self._until_s = until_s

    def owe(self, pings: int) -> None:
        """Take so many more for what was let in as one: a batch that is begun is taken whole."""
        self._until_s = max(self._until_s, self._clock()) + pings * self._ping_s
