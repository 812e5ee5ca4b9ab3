"""More pings than a server can take: an open loop that doesn't wait for answers, in a process of its own.

Each connection gets blocks of requests, back to back, as long as its socket takes them; nothing is ever late, since
what no socket takes when it is due is not sent at all, but counted as held back. Requests are made before, and only
their ids are changed in place: under a microsecond a ping, so that the server and not this program is the limit.
"""

from __future__ import annotations

import random
import re
import select
import socket
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from callhome.errors import CallhomeError

from .load import Target
from .pings import Pings

# As many as the server lets a connection await: one block fills its line.
BLOCK: Final = 32
# Made before: 4,096 blocks × 32 × a request of some 450 bytes are 60 MB.
POOL_BLOCKS: Final = 4_096
# What waits in the kernel on this side, some seventy pings a connection; what waits on its own is up to the server.
SEND_BUFFER_BYTES: Final = 16 * 2**10
# What is asked and not answered so long after the end never will be.
DRAIN_S: Final = 20.0
_CONNECT_S: Final = 10.0
_READ_BYTES: Final = 256 * 2**10
_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d\d\d)")
_STATUS_BYTES: Final = len(b"HTTP/1.1 200")
# Where a UUIDv7 has its time, and the 12 bits behind it.
_PLACES: Final = (*range(8), *range(9, 13), 15, 16, 17)


@dataclass(frozen=True, slots=True)
class Order:
    """What a flood sends: ``rate_hz`` pings over ``connections``, for ``seconds``."""

    url: str
    spec: dict[str, Any]
    product: str
    tag: str
    rate_hz: float
    seconds: float
    connections: int

    @property
    def blocks(self) -> int:
        """How many are made before, of `POOL_BLOCKS` at most; enough that each template has one."""
        wanted = max(int(self.spec["templates"]), int(self.rate_hz * self.seconds) // BLOCK + 1)
        return min(POOL_BLOCKS, wanted)


@dataclass(slots=True)
class Flooded:
    """What became of it. ``sent`` are whole requests; ``held`` are those that no socket took when they were due.

    ``in_time`` are the answers by status until the end of the sending, ``statuses`` all; ``cut`` the connections lost;
    ``last_s`` is when the last answer came (monotonic).
    """

    sent: int = 0
    held: int = 0
    cut: int = 0
    last_s: float = 0.0
    in_time: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    def add(self, other: Flooded) -> None:
        """Take in what another process has found."""
        self.sent += other.sent
        self.held += other.held
        self.cut += other.cut
        self.last_s = max(self.last_s, other.last_s)
        self.in_time += other.in_time
        self.statuses += other.statuses


class Block:
    """`BLOCK` requests of equal length, back to back, of as many installs of one template."""

    __slots__ = ("_at", "_size", "_uses", "data")

    def __init__(self, pings: Pings, head: bytes, template: int, draw: random.Random) -> None:
        each = max(1, (pings.installs - template) // len(pings.tails))
        made = [
            pings.ping(min(pings.installs - 1, template + draw.randrange(each) * len(pings.tails)))
            for _ in range(BLOCK)
        ]
        requests = [b"%bContent-Length: %d\r\n\r\n%b" % (head, len(ping.body), ping.body) for ping in made]
        self._size = len(requests[0])
        self._at = requests[0].index(b'"id":"') + len(b'"id":"')
        self._uses = 0
        self.data = bytearray().join(requests)

    @property
    def request_bytes(self) -> int:
        """The length of each of its requests."""
        return self._size

    def renew(self, unix_ms: int) -> None:
        """Give all of them new ids, of that time: as unique as the rest of the ids, and differing in each use."""
        data, at, size = self.data, self._at, self._size
        for place, digit in zip(_PLACES, b"%012x%03x" % (unix_ms, self._uses & 0xFFF), strict=True):
            data[at + place :: size] = _REPEATED[digit]
        self._uses += 1


# Of each hexadecimal digit, one for every request of a block.
_REPEATED: Final = {digit: bytes((digit,)) * BLOCK for digit in b"0123456789abcdef"}


class _Connection:
    __slots__ = ("rest", "rest_size", "socket", "tail")

    def __init__(self, place: socket.socket) -> None:
        self.socket = place
        self.rest = b""  # of a block, not taken yet
        self.rest_size = 1  # of a request in it
        self.tail = b""  # of the last answers: a status may be cut in two


class Flood:
    """Carries out an `Order`; used once: `prepare`, `run`, `close`. Raises `CallhomeError`."""

    def __init__(self, order: Order) -> None:
        self._order = order
        target = Target.of(order.url)
        if target.tls:
            raise CallhomeError("a flood goes to http:// only")
        self._address = (target.host, target.port)
        pings, draw = Pings(order.spec, order.product, order.tag), random.Random()
        head = target.head("/v1/ping", "application/json")
        templates = min(len(pings.tails), pings.installs)
        self._blocks = deque(Block(pings, head, number % templates, draw) for number in range(order.blocks))
        self._connections: dict[int, _Connection] = {}
        self._free: deque[_Connection] = deque()
        self._epoll = select.epoll()
        self.found = Flooded()

    def run(self, begins_s: float) -> Flooded:
        """Send from then (monotonic) on, and wait for the answers."""
        time.sleep(max(0.0, begins_s - time.monotonic()))
        self._send(begins_s)
        self.found.in_time = Counter(self.found.statuses)
        self._cut_to_requests()
        self._wait()
        return self.found

    def close(self) -> None:
        """Cut all connections."""
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()

    def prepare(self) -> None:
        """Open all connections. Raises `CallhomeError`."""
        for _ in range(self._order.connections):
            try:
                place = socket.create_connection(self._address, _CONNECT_S)
            except OSError as error:
                raise CallhomeError(f"no connection to {self._order.url}: {error}") from None
            place.setblocking(False)
            place.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            place.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[place.fileno()] = connection = _Connection(place)
            self._free.append(connection)
            # Edge-triggered: it tells once when a full socket takes more.
            self._epoll.register(place, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def _send(self, begins_s: float) -> None:
        order, found = self._order, self.found
        ends_s, planned = begins_s + order.seconds, 0
        while (now_s := time.monotonic()) < ends_s and self._connections:
            due = int((now_s - begins_s) * order.rate_hz)
            unix_ms = time.time_ns() // 1_000_000
            while due - planned >= BLOCK:
                if not self._free:
                    found.held += due - planned
                    planned = due
                    break
                self._push(self._free.popleft(), unix_ms)
                planned += BLOCK
            next_s = begins_s + (planned + BLOCK) / order.rate_hz
            self._look(min(next_s, ends_s) - time.monotonic())

    def _push(self, connection: _Connection, unix_ms: int) -> None:
        block = self._blocks[0]
        self._blocks.rotate(-1)
        block.renew(unix_ms)
        self.found.sent += BLOCK
        connection.rest_size = block.request_bytes
        self._flush(connection, block.data)

    def _flush(self, connection: _Connection, data: bytes | bytearray) -> None:
        try:
            taken = connection.socket.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self._lose(connection)
            return
        connection.rest = bytes(data[taken:])
        if not connection.rest:
            self._free.append(connection)

    def _look(self, within_s: float) -> None:
        """Take in answers, and go on with what sockets take again, for a while at most."""
        for number, events in self._epoll.poll(max(0.0, within_s)):
            connection = self._connections.get(number)
            if connection is None:
                continue
            if events & select.EPOLLOUT and connection.rest:
                self._flush(connection, connection.rest)
            if events & ~select.EPOLLOUT:
                self._read(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            while data := connection.socket.recv(_READ_BYTES):
                answers = connection.tail + data
                self.found.statuses.update(map(int, _STATUS.findall(answers)))
                self.found.last_s = time.monotonic()
                connection.tail = answers[1 - _STATUS_BYTES :]
                if len(data) < _READ_BYTES:
                    return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._lose(connection)

    def _lose(self, connection: _Connection) -> None:
        if self._connections.pop(connection.socket.fileno(), None):
            self.found.cut += 1
            self._free = deque(other for other in self._free if other is not connection)
            connection.socket.close()

    def _cut_to_requests(self) -> None:
        """Of what no socket has taken, send only the rest of a request that was begun."""
        for connection in self._connections.values():
            whole = len(connection.rest) // connection.rest_size
            connection.rest = connection.rest[: len(connection.rest) - whole * connection.rest_size]
            self.found.sent -= whole

    def _wait(self) -> None:
        gives_up_s = time.monotonic() + DRAIN_S
        while self._connections and self.found.statuses.total() < self.found.sent:
            left_s = gives_up_s - time.monotonic()
            if left_s <= 0:
                return
            self._look(left_s)
