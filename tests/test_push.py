"""The hub over real sockets: who gets what and when, and who is cut."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import pytest

from callhome.live import push
from callhome.live.counters import Counters
from callhome.live.push import Hub
from callhome.live.wire import SNAPSHOT_REQUEST, LiveState, Message, decode
from callhome.store.live import Snapshot

TODAY = dt.date(2026, 11, 22)
PATIENCE_S = 10.0


def set_rows(hub: Hub, installs: int, countries: int = 1) -> None:
    """Give each country of one product so many installs, and tell the hub."""
    rows = [("es", f"{number:04}", *[installs] * 6) for number in range(countries)]
    hub.changed(hub.counters.load(Snapshot(hub.counters.seq + 1, TODAY, {"es": "Example Server"}, rows, [])))


class Line:
    """A TCP server whose connections join ``hub`` at once, as after an upgrade."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.transports: list[asyncio.Transport] = []
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Client:
        """Join as one more viewer, who reads."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return Client(reader)

    def joined(self, transport: asyncio.Transport) -> None:
        """A connection was accepted."""
        self.transports.append(transport)
        self.hub.join(transport)

    def close(self) -> None:
        """Cut both ends of all connections."""
        for transport in self.transports:
            transport.abort()
        for writer in self._writers:
            writer.transport.abort()


LineT = TypeVar("LineT", bound=Line)


class Joining(asyncio.Protocol):
    """Joins as soon as it is connected, leaves when it is lost."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.line.joined(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.transport is not None
        self.line.hub.leave(self.transport)


class Client:
    """Reads frames by RFC 6455, knowing that they are unmasked text."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader

    async def receive(self) -> Message:
        """The next message."""
        return decode(await self.frame())

    async def frame(self) -> bytes:
        """The payload of the next frame."""
        async with asyncio.timeout(PATIENCE_S):
            first, size = await self.reader.readexactly(2)
            assert first == 0x81
            if size >= 126:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            return await self.reader.readexactly(size)


@asynccontextmanager
async def opened(line: LineT) -> AsyncIterator[LineT]:
    """The line, listening."""
    server = await asyncio.get_running_loop().create_server(lambda: Joining(line), "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        line.hub.close()
        line.close()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A line to a hub whose counters have one row."""
    hub = Hub(Counters(), viewers_max=100)
    set_rows(hub, 1)
    async with opened(Line(hub)) as line:
        yield line


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def quiet() -> None:
    """Wait until the next change would leave at once."""
    await asyncio.sleep(push.INTERVAL_S * 1.5)


async def test_snapshot_comes_first_then_numbered_changes(line: Line) -> None:
    """A viewer gets everything, and then each change under the next number."""
    client = await line.connect()
    first = await client.receive()
    assert (first.type, first.epoch, first.products[0].name) == ("snapshot", line.hub.epoch, "Example Server")
    for installs in (2, 3):
        set_rows(line.hub, installs)
        change = await client.receive()
        assert (change.type, change.epoch) == ("change", line.hub.epoch)
        assert change.seq == first.seq + installs - 1
        assert change.countries == [("es", "0000", *[installs] * 6)]


async def test_first_change_leaves_at_once_the_others_are_merged(line: Line) -> None:
    """After a quiet moment a change is written in the same call; those after it share one message."""
    client = await line.connect()
    seq = (await client.receive()).seq
    await quiet()
    for installs in range(2, 7):
        set_rows(line.hub, installs)
        assert line.hub.seq == seq + 1
    assert (await client.receive()).countries[0][2] == 2
    merged = await client.receive()
    assert (merged.seq, merged.countries[0][2]) == (seq + 2, 6)


async def test_at_most_four_messages_a_second(line: Line) -> None:
    """Under constant change there is one message an interval at most, and the last state arrives."""
    client = await line.connect()
    first = await client.receive()
    await quiet()
    began_s, installs = time.monotonic(), 1
    while time.monotonic() - began_s < 4.5 * push.INTERVAL_S:
        installs += 1
        set_rows(line.hub, installs)
        await asyncio.sleep(0.002)
    messages, intervals = line.hub.seq - first.seq, (time.monotonic() - began_s) / push.INTERVAL_S
    assert 2 <= messages <= 1 + intervals
    while (await client.receive()).countries[0][2] != installs:
        pass


async def test_unchanged_values_send_nothing(line: Line) -> None:
    """A snapshot equal to the counters is no news."""
    await line.connect()
    seq = line.hub.seq
    set_rows(line.hub, 1)
    await quiet()
    assert line.hub.seq == seq


async def test_hundred_viewers_cost_one_encoding(line: Line) -> None:
    """All who join get the same snapshot, all get each change, and each is encoded once."""
    clients = [await line.connect() for _ in range(100)]
    snapshots = {await client.frame() for client in clients}
    assert len(snapshots) == 1
    assert line.hub.encoded_total == 1
    await quiet()
    set_rows(line.hub, 2)
    changes = {await client.frame() for client in clients}
    assert len(changes) == 1
    assert (line.hub.encoded_total, line.hub.viewers, line.hub.sent_total) == (2, 100, 200)


async def test_snapshot_of_a_late_viewer_leads_to_the_next_change(line: Line) -> None:
    """Who joins while a change waits has it with the next number, whichever snapshot was cached."""
    early = await line.connect()
    await early.receive()
    await quiet()
    set_rows(line.hub, 2)  # leaves at once
    set_rows(line.hub, 3)  # waits
    late = await line.connect()
    state = LiveState()
    state.receive(await late.receive())
    state.receive(await late.receive())
    assert (state.lost, state.seq) == (False, line.hub.seq)
    assert state.countries == line.hub.counters.countries


@pytest.mark.fault(26)
async def test_slow_viewer_is_cut_and_others_go_on(line: Line) -> None:
    """Who doesn't read is cut after a bounded backlog; who reads misses nothing meanwhile."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(slow, ("127.0.0.1", line.port))
    await until(lambda: len(line.transports) == 1)
    client = await line.connect()
    state = LiveState()
    state.receive(await client.receive())
    installs = 1
    while line.hub.cut_total == 0:
        installs += 1
        set_rows(line.hub, installs, countries=5_000)
        state.receive(await client.receive())
        assert (state.lost, state.countries) == (False, line.hub.counters.countries)
        assert line.transports[0].get_write_buffer_size() < 3 * push.BACKLOG_BYTES
    assert line.transports[0].is_closing()
    assert line.hub.viewers == 1
    slow.close()


@pytest.mark.fault(26)
async def test_stuck_viewer_is_cut_though_little_is_unsent(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buffer that doesn't empty is a stuck viewer's, however small it is."""
    monkeypatch.setattr(push, "STALL_S", 2 * push.INTERVAL_S)
    monkeypatch.setattr(push, "BACKLOG_BYTES", 100_000_000)
    client = await line.connect()
    await client.receive()
    line.transports[0].write(b"x" * 8_000_000)  # more than the kernel takes
    for installs in (2, 3, 4, 5):
        set_rows(line.hub, installs)
        await quiet()
    assert line.hub.cut_total == 1
    assert line.transports[0].is_closing()


@pytest.mark.parametrize("said", ["", "hello", '{"type":"change"}'])
async def test_anything_but_a_request_is_refused(line: Line, said: str) -> None:
    """A viewer may only ask for a snapshot."""
    await (await line.connect()).receive()
    assert line.hub.heard(line.transports[0], said) == 1003


async def test_gap_is_answered_with_a_new_snapshot_once_a_second(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is answered, a second one only after a while, and a flood of them ends the patience."""
    monkeypatch.setattr(push, "RESNAPSHOT_S", 0.3)
    began_s = time.monotonic()
    client = await line.connect()
    await client.receive()
    transport = line.transports[0]
    for _ in range(2):
        assert line.hub.heard(transport, SNAPSHOT_REQUEST) is None
        assert (await client.receive()).type == "snapshot"
    assert time.monotonic() - began_s > 0.55
    codes = [line.hub.heard(transport, SNAPSHOT_REQUEST) for _ in range(push.IMPATIENCE_MAX + 2)]
    assert codes == [*[None] * (push.IMPATIENCE_MAX + 1), 1008]


async def test_signs_of_life_in_silence(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing changes viewers hear so, again and again."""
    monkeypatch.setattr(push, "ALIVE_S", 0.05)
    client = await line.connect()
    seq = (await client.receive()).seq
    for _ in range(3):
        alive = await client.receive()
        assert (alive.type, alive.epoch, alive.seq, alive.stale_s) == ("alive", line.hub.epoch, seq, 0.0)


async def test_staleness_is_told_at_once_and_to_those_who_join(line: Line) -> None:
    """Losing and regaining the database is told without waiting; who joins meanwhile learns it, too."""
    client = await line.connect()
    await client.receive()
    line.hub.stale(time.monotonic() - 7)
    assert (await client.receive()).stale_s >= 7
    late = await line.connect()
    assert [(await late.receive()).type, (await late.receive()).type] == ["snapshot", "alive"]
    line.hub.stale(None)
    assert (await client.receive()).stale_s == 0
    assert line.hub.stale_s == 0


async def test_who_leaves_is_forgotten(line: Line) -> None:
    """A viewer that disconnects is not written to again, and leaving twice is harmless."""
    client = await line.connect()
    await client.receive()
    line.transports[0].abort()
    await until(lambda: line.hub.viewers == 0)
    line.hub.leave(line.transports[0])
    set_rows(line.hub, 2)
    assert (line.hub.sent_total, line.hub.cut_total) == (1, 0)


async def test_close_stops_all_timers(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the close nothing is sent any more."""
    monkeypatch.setattr(push, "ALIVE_S", 0.05)
    client = await line.connect()
    await client.receive()
    line.hub.heard(line.transports[0], SNAPSHOT_REQUEST)
    line.hub.close()
    line.hub.close()
    sent = line.hub.sent_total
    await quiet()
    assert (line.hub.viewers, line.hub.sent_total) == (0, sent)
