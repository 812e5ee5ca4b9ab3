"""An open-loop load: pings at a fixed rate, whether or not the server keeps up.

Each latency counts from the time at which the ping was due, so that waiting for a free connection, or for this
program, is in it: a closed loop would send less when the server is slow, and hide just what is looked for.
Raw HTTP over `asyncio.Protocol`, a request at a time on each connection: some 15 µs a ping.
"""

from __future__ import annotations

import asyncio
import gc
import math
import re
import ssl
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Final, cast
from urllib.parse import urlsplit

from callhome.errors import CallhomeError, UsageError

# The loop's clock has milliseconds; it is part of each latency, and told as `sent late`.
_TICK_S: Final = 0.001
# More at once overrun the listener's backlog (Linux: 4,096), and each costs the server a wake-up.
_CONNECTING: Final = 128
_CONNECT_S: Final = 10.0
# The server gives up a commit after 10 s and says so; whoever has no answer then gets none.
DRAIN_S: Final = 15.0
_NO_CONTENT: Final = b"HTTP/1.1 204 "
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

Requests = Callable[[], tuple[bytes, bytes]]  # id and whole request of the next ping


@dataclass(frozen=True, slots=True)
class Target:
    """A listener, taken apart from its URL."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    authority: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Parse ``http://host:port/prefix``; raises `UsageError`."""
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if parts.scheme not in ("http", "https") or not host:
            raise UsageError(f"{url!r} is no address of a server: expected one such as http://127.0.0.1:8080")
        tls = ssl.create_default_context() if parts.scheme == "https" else None
        return cls(host, port or (443 if tls else 80), tls, parts.netloc, parts.path.rstrip("/"))

    def head(self, path: str, content_type: str, *more: str) -> bytes:
        """The head of a POST up to, but without, its Content-Length."""
        lines = (
            f"POST {self.prefix}{path} HTTP/1.1",
            f"Host: {self.authority}",
            f"Content-Type: {content_type}",
            *more,
        )
        return "".join(f"{line}\r\n" for line in lines).encode()


@dataclass(slots=True)
class Outcome:
    """What became of each ping, by its number.

    ``latency_s`` is NaN unless it was acknowledged with a 2xx; ``late_s``, how late it was sent though a connection
    was free, is NaN where none was.
    """

    rate_hz: float
    latency_s: array[float]
    late_s: array[float]
    ids: list[bytes] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    retried: set[int] = field(default_factory=set)
    # Share of a core that this program took while it sent.
    own_core: float = 0.0

    @property
    def acknowledged(self) -> list[int]:
        """The numbers of the acknowledged pings, in the order of their sending."""
        return [number for number, taken_s in enumerate(self.latency_s) if not math.isnan(taken_s)]

    @property
    def rate(self) -> float:
        """Acknowledged pings a second, from when the first was due until the last was due or acknowledged."""
        acknowledged = self.acknowledged
        ends_s = [number / self.rate_hz + self.latency_s[number] for number in acknowledged]
        return len(acknowledged) / max([len(self.latency_s) / self.rate_hz, *ends_s])

    def latencies(self, from_s: float = 0.0, until_s: float = math.inf) -> list[float]:
        """Ascending latencies of the acknowledged pings that were due ``from_s`` or later, and before ``until_s``."""
        count = len(self.latency_s)
        first, last = (int(min(count, at_s * self.rate_hz)) for at_s in (from_s, until_s))
        return sorted(taken_s for taken_s in self.latency_s[first:last] if not math.isnan(taken_s))


class OpenLoop:
    """Sends ``rate_hz`` × ``seconds`` pings over ``connections`` connections. Used once: `connect`, `run`.

    With ``retry_s`` set, a ping that is refused for now (429, 5xx) or whose connection is cut is sent once more, so
    much later, as it was; its latency counts from when it was due at first.
    """

    def __init__(
        self, target: Target, requests: Requests, rate_hz: float, seconds: float, connections: int
    ) -> None:
        self._planned = round(rate_hz * seconds)
        self._target = target
        self._requests = requests
        self._rate_hz = rate_hz
        self._connections = connections
        self._idle: deque[_Client] = deque()
        self._clients: set[_Client] = set()
        self._reconnecting: set[asyncio.Task[None]] = set()
        self._again: deque[tuple[int, bytes]] = deque()
        self.retry_s: float | None = None
        self._sent = self._over = 0
        self._closing = self._held = False  # held: pings are due, and no connection is free
        self._done = asyncio.Event()
        blank = array("d", [math.nan]) * self._planned
        self.outcome = Outcome(rate_hz, blank, array("d", blank))
        self.begun_s = 0.0  # on the clock of perf_counter, when the first is due

    async def connect(self) -> None:
        """Open all connections; raises `CallhomeError`. Cancelling it: call `close`."""
        gate = asyncio.Semaphore(_CONNECTING)

        async def one() -> None:
            async with gate:
                await self._connect_one()

        await asyncio.gather(*(one() for _ in range(self._connections)))

    async def run(self) -> Outcome:
        """Send at the rate, then wait for the answers, for `DRAIN_S` at most. Cancelling it: call `close`."""
        gc.collect()
        gc.disable()  # a pause of ours would be told as the server's
        try:
            self.begun_s = perf_counter() + _TICK_S
            used_s = process_time()
            self._tick()
            async with asyncio.timeout(self._planned / self._rate_hz + DRAIN_S):
                await self._done.wait()
        except TimeoutError:
            pass  # what has no answer stays unacknowledged
        finally:
            gc.enable()
        self.outcome.own_core = (process_time() - used_s) / (perf_counter() - self.begun_s)
        return self.outcome

    def close(self) -> None:
        """Cut all connections. Idempotent."""
        self._closing = True
        for task in self._reconnecting:
            task.cancel()
        for client in self._clients:
            client.transport.abort()

    def due_s(self, number: int) -> float:
        """When a ping is due, on the clock of ``perf_counter``."""
        return self.begun_s + number / self._rate_hz

    async def _connect_one(self) -> None:
        target, loop = self._target, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_S):
                await loop.create_connection(lambda: _Client(self), target.host, target.port, ssl=target.tls)
        except (OSError, TimeoutError) as error:
            raise CallhomeError(f"no connection to {target.authority}: {error or 'no answer'}") from None

    def _tick(self) -> None:
        if self._closing or (self._sent == self._planned and not self._again):
            return
        self._send_due(perf_counter())
        asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _send_due(self, now_s: float) -> None:
        while self._again and self._idle:
            self._put(self._idle.popleft(), *self._again.popleft())
        due = min(self._planned, int((now_s - self.begun_s) * self._rate_hz) + 1)
        while self._sent < due and self._idle:
            if not self._held:
                self.outcome.late_s[self._sent] = now_s - self.due_s(self._sent)
            self._send(self._idle.popleft())
        self._held = self._sent < due

    def _send(self, client: _Client) -> None:
        number = self._sent
        self._sent = number + 1
        id, request = self._requests()
        self.outcome.ids.append(id)
        self._put(client, number, request)

    def _put(self, client: _Client, number: int, request: bytes) -> None:
        client.number, client.request = number, request
        client.transport.write(request)

    def _failed(self, number: int, request: bytes) -> None:
        """A ping was not taken: send it again, or give it up."""
        if self.retry_s is None or number in self.outcome.retried:
            self._finish_one()
            return
        self.outcome.retried.add(number)
        asyncio.get_running_loop().call_later(self.retry_s, self._retry, number, request)

    def _retry(self, number: int, request: bytes) -> None:
        self._again.append((number, request))
        self._send_due(perf_counter())

    # What the connections call.

    def joined(self, client: _Client) -> None:
        """A connection is open."""
        self._clients.add(client)
        self._idle.append(client)

    def answered(self, client: _Client, status: int) -> None:
        """An answer is there; the connection takes the next ping that is due."""
        now_s, number = perf_counter(), client.number
        if number < 0:
            return  # unasked: the server ends an idle connection
        client.number = -1
        self.outcome.statuses[status] += 1
        if 200 <= status < 300:
            self.outcome.latency_s[number] = now_s - self.due_s(number)
        self._idle.append(client)
        if status >= 500 or status == 429:
            self._failed(number, client.request)
        else:
            self._finish_one()
        if self._sent < self._planned or self._again:
            self._send_due(now_s)

    def lost(self, client: _Client) -> None:
        """A connection is gone: a new one takes its place."""
        self._clients.discard(client)
        if client.number >= 0:
            self.outcome.cut += 1
            self._failed(client.number, client.request)
        else:
            self._idle.remove(client)
        if not self._closing:
            task = asyncio.get_running_loop().create_task(self._reconnect())
            self._reconnecting.add(task)
            task.add_done_callback(self._reconnecting.discard)

    async def _reconnect(self) -> None:
        try:
            await self._connect_one()
        except CallhomeError:
            if not self._clients and len(self._reconnecting) == 1:
                self._done.set()  # nobody is left to send: what is missing stays unacknowledged

    def _finish_one(self) -> None:
        self._over += 1
        if self._over == self._planned:
            self._done.set()


class _Client(asyncio.Protocol):
    """One connection, with at most one request on its way: that of ping ``number``, or -1."""

    __slots__ = ("_buffer", "_load", "number", "request", "transport")

    def __init__(self, load: OpenLoop) -> None:
        self._load = load
        self._buffer = b""
        self.number = -1
        self.request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._load.joined(self)

    def data_received(self, data: bytes) -> None:
        if not self._buffer and data.startswith(_NO_CONTENT) and data.endswith(b"\r\n\r\n"):
            self._load.answered(self, 204)
            return
        self._buffer += data
        if found := parse_answer(self._buffer):
            self._buffer = b""
            self._load.answered(self, found[0])

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)


def parse_answer(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of an answer with a Content-Length, or with none and no body; None while it is not whole."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    found = _LENGTH.search(head + b"\r\n")
    length = int(found[1]) if found else 0
    return (int(head[9:12]), body[:length]) if len(body) >= length else None
