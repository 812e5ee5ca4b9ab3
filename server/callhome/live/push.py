"""The hub: every change is encoded once and handed to all viewers' sockets, and no viewer is ever awaited.

It knows transports and bytes, not HTTP: the console upgrades a connection and lets it join. What a
viewer's socket doesn't take stays in that transport's buffer, and a viewer that falls behind is cut; it
comes back with a new connection and a snapshot, which is what it would need by then anyway.

Memory: viewers x (``BACKLOG_BYTES`` + its snapshot + one message), and one cached snapshot.
CPU: one encoding a message, and some 15 µs a viewer and message (the system call).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import socket
import time
from typing import Final, Protocol

from .counters import Counters, Dirty
from .wire import Stamp, encode_alive, encode_change, encode_snapshot, is_snapshot_request, text_frame

# Four messages a second: people see no difference above, and 1,000 viewers then cost 6 % of a core.
INTERVAL_S: Final = 0.25
# Proxies close what is silent for 60 s (nginx, HAProxy), and people should learn of a dead line sooner.
ALIVE_S: Final = 10.0
# Unsent bytes beyond which a viewer is cut: 256 MiB for 1,000 stuck ones, and minutes of usual changes.
BACKLOG_BYTES: Final = 256 * 1024
# The kernel would buffer up to 4 MiB more a viewer (net.ipv4.tcp_wmem) and hide from us that it is stuck.
SEND_BUFFER_BYTES: Final = 64 * 1024
# A buffer that was not empty for so long won't catch up; stuck viewers shall be gone within 10 s.
STALL_S: Final = 8.0
# A snapshot is the costliest thing a viewer may ask for; gaps are rare, and a second is a short wait.
RESNAPSHOT_S: Final = 1.0
# Requests made while one is waiting: an honest client makes none, a flood costs us their parsing.
IMPATIENCE_MAX: Final = 20


class View(Protocol):
    """What an audience sees of the counters, as messages."""

    def update(self, dirty: Dirty) -> Dirty:
        """Follow the counters in ``dirty`` rows; return what of it the audience sees change."""

    def snapshot(self, stamp: Stamp) -> bytes:
        """All that it sees."""

    def change(self, stamp: Stamp, seen: Dirty) -> bytes:
        """What `update` has returned."""


class FullView:
    """The counters as they are."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def update(self, dirty: Dirty) -> Dirty:
        """Everything is seen."""
        return dirty

    def snapshot(self, stamp: Stamp) -> bytes:
        """All counters."""
        return encode_snapshot(stamp, self._counters)

    def change(self, stamp: Stamp, seen: Dirty) -> bytes:
        """The rows that changed."""
        return encode_change(stamp, self._counters, seen)


class _Viewer:
    """One joined connection and what it is owed."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.snapshot_bytes = 0
        self.snapshot_at_s = 0.0
        self.drained_at_s = time.monotonic()
        self.request: asyncio.TimerHandle | None = None
        self.impatience = 0

    def behind(self, now_s: float) -> bool:
        """Whether too much is unsent, or something was at each look for too long."""
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes == 0:
            self.drained_at_s = now_s
        return unsent_bytes > BACKLOG_BYTES + self.snapshot_bytes or now_s - self.drained_at_s > STALL_S


class Hub:
    """Pushes what changes in ``counters`` to those who joined; it only reads ``counters``.

    All see the same: ``view``, if that isn't everything. ``epoch`` names this process, ``seq`` numbers its changes.
    All methods return at once and belong to the event loop's thread. The ``*_total`` figures only grow; read them as
    metrics.
    """

    def __init__(self, counters: Counters, *, viewers_max: int, view: View | None = None) -> None:
        self.counters = counters
        self._view = view or FullView(counters)
        self.viewers_max = viewers_max
        self.epoch = secrets.token_hex(8)
        self.seq = 0
        self.cut_total = 0
        self.sent_total = 0
        self.encoded_total = 0
        self._viewers: dict[asyncio.Transport, _Viewer] = {}
        self._dirty = Dirty()
        self._pause: asyncio.TimerHandle | None = None
        self._alive: asyncio.TimerHandle | None = None
        self._sent_at_s = 0.0
        self._stale_since_s: float | None = None
        self._snapshot: bytes | None = None
        self._snapshot_frame = b""

    def __contains__(self, transport: object) -> bool:
        return transport in self._viewers

    @property
    def ready(self) -> bool:
        """Whether anything was ever read from the database."""
        return self.counters.today is not None

    @property
    def viewers(self) -> int:
        """How many are joined."""
        return len(self._viewers)

    @property
    def stale_s(self) -> float:
        """For how many seconds the counters haven't followed the database; 0.0: they do."""
        return 0.0 if self._stale_since_s is None else time.monotonic() - self._stale_since_s

    def version(self, *, is_guest: bool = False) -> str:
        """A name of what the present snapshot says; another process has others. Whoever asks sees the same."""
        return f"{self.epoch}-{self.seq}"

    def changed(self, dirty: Dirty) -> None:
        """Take note of changed rows: sent at once after a quiet moment, else merged with the next message."""
        self._dirty.merge(dirty)
        if self._dirty and self._pause is None:
            self._flush()

    def stale(self, since_s: float | None) -> None:
        """The counters stopped following the database at ``since_s`` (monotonic), or do again (``None``)."""
        known, self._stale_since_s = self._stale_since_s, since_s
        if (known is None) != (since_s is None) and self._viewers:
            self._send_alive()

    def join(self, transport: asyncio.Transport, *, is_guest: bool = False) -> None:
        """Let a connection in: it gets the snapshot first and then every change after it.

        ``transport`` must carry plain websocket frames, nothing compressed. Whoever joins sees the same.
        """
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        viewer = self._viewers[transport] = _Viewer(transport)
        self._send_snapshot(viewer)
        if self._stale_since_s is not None:
            self._send(viewer, text_frame(encode_alive(self.epoch, self.seq, self.stale_s)), time.monotonic())
        if self._alive is None:
            self._alive = asyncio.get_running_loop().call_later(ALIVE_S, self._keep_alive)

    def leave(self, transport: asyncio.Transport) -> None:
        """Forget a connection; doing so twice, or after it was cut, is harmless."""
        viewer = self._viewers.pop(transport, None)
        if viewer is not None and viewer.request is not None:
            viewer.request.cancel()

    def heard(self, transport: asyncio.Transport, text: str) -> int | None:
        """Do what a viewer says: send a snapshot, at most one a ``RESNAPSHOT_S``.

        Returns the code to close with (RFC 6455 §7.4.1) where it says anything else, or asks like mad.
        """
        viewer = self._viewers.get(transport)
        if not is_snapshot_request(text):
            return 1003
        if viewer is None:
            return None
        if viewer.request is not None:
            viewer.impatience += 1
            return 1008 if viewer.impatience > IMPATIENCE_MAX else None
        wait_s = max(0.0, viewer.snapshot_at_s + RESNAPSHOT_S - time.monotonic())
        viewer.request = asyncio.get_running_loop().call_later(wait_s, self._send_snapshot, viewer)
        return None

    def snapshot(self, *, is_guest: bool = False) -> bytes:
        """The present snapshot message, encoded once a ``seq``; later rows come with the next change.

        Whoever asks sees the same.
        """
        if self._snapshot is None:
            self.encoded_total += 1
            self._snapshot = self._view.snapshot(self._stamp())
            self._snapshot_frame = text_frame(self._snapshot)
        return self._snapshot

    def close(self) -> None:
        """Stop all timers and let everybody go, without touching their connections. Harmless twice."""
        for timer in (self._pause, self._alive):
            if timer is not None:
                timer.cancel()
        for transport in list(self._viewers):
            self.leave(transport)

    def _stamp(self) -> Stamp:
        return Stamp(self.epoch, self.seq, dt.datetime.now(dt.UTC))

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, Dirty()
        self._pause = asyncio.get_running_loop().call_later(INTERVAL_S, self._resume)
        seen = self._view.update(dirty)
        if not seen:
            return
        self.seq += 1
        self._snapshot = None
        if self._viewers:
            self.encoded_total += 1
            self._broadcast(self._view.change(self._stamp(), seen))

    def _resume(self) -> None:
        self._pause = None
        if self._dirty:
            self._flush()

    def _keep_alive(self) -> None:
        self._alive = None
        if not self._viewers:
            return
        if time.monotonic() - self._sent_at_s >= ALIVE_S:
            self._send_alive()
        wait_s = max(0.0, self._sent_at_s + ALIVE_S - time.monotonic())
        self._alive = asyncio.get_running_loop().call_later(wait_s, self._keep_alive)

    def _send_alive(self) -> None:
        self._broadcast(encode_alive(self.epoch, self.seq, self.stale_s))

    def _broadcast(self, payload: bytes) -> None:
        frame = text_frame(payload)
        self._sent_at_s = time.monotonic()
        for viewer in list(self._viewers.values()):
            self._send(viewer, frame, self._sent_at_s)

    def _send_snapshot(self, viewer: _Viewer) -> None:
        self.snapshot()
        viewer.request = None
        viewer.impatience = 0
        viewer.snapshot_at_s = time.monotonic()
        viewer.snapshot_bytes = len(self._snapshot_frame)
        self._send(viewer, self._snapshot_frame, viewer.snapshot_at_s)

    def _send(self, viewer: _Viewer, frame: bytes, now_s: float) -> None:
        # Asked first: one that is being closed waits for its viewer to take what is unsent, which may be never.
        if viewer.behind(now_s):
            self.leave(viewer.transport)
            self.cut_total += 1
            viewer.transport.abort()
            return
        if viewer.transport.is_closing():
            return
        viewer.transport.write(frame)
        self.sent_total += 1
