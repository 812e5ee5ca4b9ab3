"""New connections, each with one ping, in a process of its own: a closed loop to measure with, or an open one."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from callhome.errors import CallhomeError

from .load import Target, parse_answer
from .pings import Pings

# An end by RST, so that the port is free again at once: there are some 28,000, and a closed one is kept for a minute.
_LINGER: Final = struct.pack("ii", 1, 0)
# A client that has no answer after so long gives up, and another comes: one that waited would be a storm no more.
_PATIENCE_S: Final = 0.5
_CONNECT_S: Final = 10.0
_EVENTS: Final = 512
# An answer has 200 bytes; it comes whole, in one piece.
_ANSWER_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Order:
    """What a storm does for ``seconds``.

    ``rate_hz`` new connections a second, ``at_once`` open ones at most (what is due beyond is held back); 0 Hz: as many
    as go, a new one as soon as one has ended. ``holders`` ping once before, and stay connected all the time.
    """

    url: str
    spec: dict[str, Any]
    product: str
    tag: str
    rate_hz: float
    seconds: float
    at_once: int
    holders: int


@dataclass(slots=True)
class Stormed:
    """What became of it: connections ``opened`` and ``held`` back, answers by status.

    Without an answer were those that were ``cut``, and those that were ``waiting`` at the end.
    """

    opened: int = 0
    held: int = 0
    cut: int = 0
    waiting: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def taken(self) -> int:
        """Connections whose ping was acknowledged."""
        return sum(count for status, count in self.statuses.items() if status < 300)

    def add(self, other: Stormed) -> None:
        """Take in what another process has found."""
        self.opened += other.opened
        self.held += other.held
        self.cut += other.cut
        self.waiting += other.waiting
        self.statuses += other.statuses


class Storm:
    """Carries out an `Order`; used once: `prepare`, `run`, `close`. Raises `CallhomeError`."""

    def __init__(self, order: Order) -> None:
        self._order = order
        target = Target.of(order.url)
        if target.tls:
            raise CallhomeError("a storm goes to http:// only")
        self._address = (target.host, target.port)
        pings = Pings(order.spec, order.product, order.tag)
        self._request: Callable[[], tuple[bytes, bytes]] = pings.requester(
            target.head("/v1/ping", "application/json")
        )
        self._holders: list[socket.socket] = []
        # By descriptor; in the order of their opening, so that the first is the oldest.
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._epoll = select.epoll()
        self.found = Stormed()

    def run(self, begins_s: float) -> Stormed:
        """Connect from then (monotonic) on."""
        time.sleep(max(0.0, begins_s - time.monotonic()))
        self._blow(begins_s)
        self.found.waiting = len(self._open)
        return self.found

    def close(self) -> None:
        """Cut all connections."""
        for place in (*self._holders, *(place for place, _ in self._open.values())):
            place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            place.close()
        self._epoll.close()

    def prepare(self) -> None:
        """Open the connections that are held. Raises `CallhomeError`."""
        for _ in range(self._order.holders):
            try:
                place = socket.create_connection(self._address, _CONNECT_S)
                self._holders.append(place)
                place.sendall(self._request()[1])
                found = parse_answer(place.recv(_ANSWER_BYTES))
            except OSError as error:
                raise CallhomeError(f"no connection to {self._order.url}: {error}") from None
            if found is None or found[0] >= 300:
                raise CallhomeError(f"a connection that is to be held is not taken: {found}")

    def _blow(self, begins_s: float) -> None:
        order, found = self._order, self.found
        planned, ends_s = 0, begins_s + order.seconds
        while (now_s := time.monotonic()) < ends_s:
            room = order.at_once - len(self._open)
            due = int((now_s - begins_s) * order.rate_hz) - planned if order.rate_hz else room
            for _ in range(min(due, room)):
                self._open_one(now_s)
            found.held += max(0, due - room)
            planned += due
            next_s = begins_s + (planned + 1) / order.rate_hz if order.rate_hz else ends_s
            for number, events in self._epoll.poll(max(0.0, min(next_s, ends_s) - time.monotonic()), _EVENTS):
                self._go_on(number, events)
            self._give_up(time.monotonic())

    def _open_one(self, now_s: float) -> None:
        place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        place.setblocking(False)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.found.opened += 1
        try:
            place.connect(self._address)
        except BlockingIOError:
            pass
        except OSError:
            self.found.cut += 1
            place.close()
            return
        self._open[place.fileno()] = (place, now_s)
        try:
            # On one machine, the handshake is over by now.
            place.send(self._request()[1])
        except OSError:
            self._epoll.register(place, select.EPOLLOUT)  # which tells what is wrong, if anything is
        else:
            self._epoll.register(place, select.EPOLLIN)

    def _go_on(self, number: int, events: int) -> None:
        place, _ = self._open[number]
        try:
            if events & select.EPOLLOUT and not events & (select.EPOLLERR | select.EPOLLHUP):
                place.send(self._request()[1])
                self._epoll.modify(number, select.EPOLLIN)
                return
            found = parse_answer(place.recv(_ANSWER_BYTES))
        except OSError:
            found = None
        if found:
            self.found.statuses[found[0]] += 1
        else:
            self.found.cut += 1
        self._close(number)

    def _close(self, number: int) -> None:
        place, _ = self._open.pop(number)
        place.close()

    def _give_up(self, now_s: float) -> None:
        while self._open:
            number = next(iter(self._open))
            if now_s - self._open[number][1] < _PATIENCE_S:
                return
            self.found.cut += 1
            self._close(number)
