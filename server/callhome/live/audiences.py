"""Two audiences of the same counters: who is signed in sees all, guests what `callhome.live.suppression` leaves.

Each has a `Hub` of its own, with its own epoch and numbers: from gaps in shared ones, guests would learn when a ping
came from where they see nothing.
"""

from __future__ import annotations

import asyncio

from .counters import Counters, Dirty
from .push import Hub
from .suppression import GuestView


class Audiences:
    """A `Sink` of a feed and the console's `Push`, over two hubs. All methods return at once."""

    def __init__(self, counters: Counters, *, viewers_max: int, floor: int) -> None:
        self.viewers_max = viewers_max
        self._signed_in = Hub(counters, viewers_max=viewers_max)
        self._guests = Hub(counters, viewers_max=viewers_max, view=GuestView(counters, floor))

    @property
    def ready(self) -> bool:
        """Whether anything was ever read from the database."""
        return self._signed_in.ready

    @property
    def stale_s(self) -> float:
        """See `Hub.stale_s`."""
        return self._signed_in.stale_s

    @property
    def viewers(self) -> int:
        """How many are joined, guests included."""
        return self._signed_in.viewers + self._guests.viewers

    @property
    def cut_total(self) -> int:
        """How many were cut, guests included."""
        return self._signed_in.cut_total + self._guests.cut_total

    def changed(self, dirty: Dirty) -> None:
        """See `Hub.changed`."""
        self._signed_in.changed(dirty)
        self._guests.changed(dirty)

    def stale(self, since_s: float | None) -> None:
        """See `Hub.stale`."""
        self._signed_in.stale(since_s)
        self._guests.stale(since_s)

    def version(self, *, is_guest: bool) -> str:
        """See `Hub.version`."""
        return self._of(is_guest).version()

    def snapshot(self, *, is_guest: bool) -> bytes:
        """See `Hub.snapshot`."""
        return self._of(is_guest).snapshot()

    def join(self, transport: asyncio.Transport, *, is_guest: bool) -> None:
        """See `Hub.join`."""
        self._of(is_guest).join(transport)

    def leave(self, transport: asyncio.Transport) -> None:
        """See `Hub.leave`."""
        self._signed_in.leave(transport)
        self._guests.leave(transport)

    def heard(self, transport: asyncio.Transport, text: str) -> int | None:
        """See `Hub.heard`."""
        return self._of(transport in self._guests).heard(transport, text)

    def close(self) -> None:
        """See `Hub.close`."""
        self._signed_in.close()
        self._guests.close()

    def _of(self, is_guest: bool) -> Hub:
        return self._guests if is_guest else self._signed_in
