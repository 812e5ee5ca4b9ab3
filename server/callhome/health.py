"""Whether this server wants to be sent pings: what ``/readyz`` answers on both listeners, and what metrics say of it.

Not ready is who stops, and who could not keep pings if the database went away: its spool has failed, or is nearly
full. Never who only misses the database: its pings are as safe in the spool, and every other replica misses it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from .metrics import SpoolRoom, Tally

# What is left in the spool is for those who come before the load balancer has looked.
_NEARLY_FULL: Final = 0.95


class SpoolState(Protocol):
    """What is asked of the spool: `callhome.spool.spool.Spool`."""

    pings: int
    size_bytes: int
    damaged: int
    torn: int
    lost_pings: int
    recovered_pings: int

    @property
    def problem(self) -> str | None:
        """Why it takes nothing, None where it does."""

    @property
    def disk_used_percent(self) -> float:
        """How much of its file system is used."""

    @property
    def oldest_s(self) -> float | None:
        """Unix time of the oldest record; None where there is none."""


class Health:
    """Looks at a server's spool, if it has one, and knows its bounds; ``is_stopping`` is set by who stops it."""

    def __init__(self, spool: SpoolState | None, limit_bytes: int, disk_percent: int = 100) -> None:
        self._spool = spool
        self._limit_bytes = limit_bytes
        self._disk_percent = disk_percent
        self.is_stopping = False

    def problems(self) -> Sequence[str]:
        """Return why this server is not ready; nothing where it is."""
        found = ["stopping"] if self.is_stopping else []
        spool = self._spool
        if spool is not None:
            if spool.problem:
                found.append(f"the spool takes nothing: {spool.problem}")
            elif spool.size_bytes > self._limit_bytes * _NEARLY_FULL:
                found.append(f"the spool is nearly full: {spool.size_bytes:,} of {self._limit_bytes:,} bytes")
        return found

    def measure(self, tally: Tally) -> None:
        """Put what the spool says of itself into the tally."""
        tally.is_ready = not self.problems()
        spool = self._spool
        if spool is not None:
            tally.recovered = spool.recovered_pings
            tally.spooled = spool.pings
            tally.spool = SpoolRoom(
                spool.size_bytes, self._limit_bytes, spool.disk_used_percent / 100, self._disk_percent / 100
            )
            tally.spool_oldest_s = spool.oldest_s or 0.0
            tally.spool_damaged = spool.damaged + spool.torn
            tally.lost = spool.lost_pings
