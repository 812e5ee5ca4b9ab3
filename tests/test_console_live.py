"""The live routes: the snapshot as JSON, and the websocket with those it turns away."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import orjson
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from callhome.console import live, visitor
from callhome.console.routes import add
from callhome.live import push
from callhome.live.counters import Counters
from callhome.live.push import Hub
from callhome.live.wire import SNAPSHOT_REQUEST, decode
from callhome.store.live import Snapshot
from consoles import console

TODAY = dt.date(2026, 11, 22)
PATIENCE_S = 10.0


def set_installs(hub: Hub, installs: int) -> None:
    """Give the one country so many installs, and tell the hub."""
    row = ("es", "DE", *[installs] * 6)
    hub.changed(hub.counters.load(Snapshot(hub.counters.seq + 1, TODAY, {"es": "Example Server"}, [row], [])))


@asynccontextmanager
async def serving(hub: Hub) -> AsyncIterator[str]:
    """A console over ``hub``; its host and port."""
    async with console(hub) as running:
        yield f"127.0.0.1:{running.port}"
    hub.close()


@pytest.fixture
def hub() -> Hub:
    """A hub with one row."""
    hub = Hub(Counters(), viewers_max=100)
    hub.counters.load(Snapshot(1, TODAY, {"es": "Example Server"}, [("es", "DE", 1, 2, 3, 4, 5, 6)], []))
    return hub


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.fault(26)
async def test_a_viewer_that_pings_and_never_reads_is_cut(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pongs that nobody takes keep no place: the viewer is cut like one that takes no changes."""
    monkeypatch.setattr(push, "STALL_S", 0.3)
    monkeypatch.setattr(push, "ALIVE_S", 0.1)
    # The server's own ping goes unanswered: aiohttp then closes, and waits for what is unsent; the hub must not.
    monkeypatch.setattr(live, "PING_S", 0.1)
    monkeypatch.setattr(visitor, "WRITE_S", 3_600.0)
    async with serving(hub) as address:
        host, _, port = address.partition(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, int(port)))
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        lines = ("GET /live HTTP/1.1", f"Host: {address}", "Upgrade: websocket", "Connection: Upgrade", key)
        await loop.sock_sendall(sock, "\r\n".join([*lines, "Sec-WebSocket-Version: 13", "", ""]).encode())
        await until(lambda: hub.viewers == 1)
        ping = bytes([0x89, 0x80 | 100, 0, 0, 0, 0]) + bytes(100)
        with suppress(OSError):
            async with asyncio.timeout(2.0):
                await loop.sock_sendall(sock, ping * 30_000)
        await until(lambda: hub.viewers == 0)
        sock.close()


async def test_api_gives_the_snapshot_of_the_websocket(hub: Hub) -> None:
    """JSON and websocket give the same bytes, encoded once."""
    async with serving(hub) as host, aiohttp.ClientSession() as session:
        async with session.get(f"http://{host}/api/v1/live") as response:
            body = await response.read()
            assert (response.status, response.content_type) == (200, "application/json")
            assert response.headers["Callhome-Stale-S"] == "0.0"
        async with connect(f"ws://{host}/live") as viewer:
            assert await viewer.recv(decode=False) == body
        assert orjson.loads(body)["countries"] == [["es", "DE", 1, 2, 3, 4, 5, 6]]
        assert hub.encoded_total == 1


async def test_api_answers_304_until_something_changes(hub: Hub) -> None:
    """Who has the snapshot is told so; after a change there is a new one."""
    async with serving(hub) as host, aiohttp.ClientSession(f"http://{host}") as session:
        async with session.get("/api/v1/live") as response:
            etag = response.headers["ETag"]
        async with session.get("/api/v1/live", headers={"If-None-Match": etag}) as response:
            assert (response.status, response.headers["ETag"], await response.read()) == (304, etag, b"")
        set_installs(hub, 2)
        async with session.get("/api/v1/live", headers={"If-None-Match": etag}) as response:
            assert response.status == 200
            assert (await response.json())["countries"] == [["es", "DE", *[2] * 6]]


async def test_api_without_numbers_says_so() -> None:
    """Before anything was read from the database there is no snapshot: zeros would be a lie."""
    async with (
        serving(Hub(Counters(), viewers_max=100)) as host,
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}/api/v1/live") as response,
    ):
        assert (response.status, (await response.json())["reason"]) == (503, "not_ready")


async def test_viewer_gets_changes_and_new_snapshots(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer gets the snapshot, then changes, and another snapshot when it asks."""
    monkeypatch.setattr(push, "RESNAPSHOT_S", 0.0)
    async with serving(hub) as host, connect(f"ws://{host}/live", compression=None) as viewer:
        assert decode(await viewer.recv()).type == "snapshot"
        set_installs(hub, 2)
        assert decode(await viewer.recv()).countries == [("es", "DE", *[2] * 6)]
        await viewer.send(SNAPSHOT_REQUEST)
        again = decode(await viewer.recv())
        assert (again.type, again.seq) == ("snapshot", hub.seq)


@pytest.mark.parametrize("origin", ["http://{host}", "HTTPS://{host}", None])
async def test_own_pages_and_programs_may_follow(hub: Hub, origin: str | None) -> None:
    """A page of this host is let in, as is whatever is no browser."""
    async with serving(hub) as host:
        said = None if origin is None else Origin(origin.format(host=host))
        async with connect(f"ws://{host}/live", origin=said) as viewer:
            assert decode(await viewer.recv()).type == "snapshot"


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1", "http://[", "http://{host}.evil.example", ""],
)
async def test_foreign_pages_may_not_follow(hub: Hub, origin: str) -> None:
    """A page of another origin is refused before the upgrade: no cross-site websocket hijacking."""
    async with serving(hub) as host:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{host}/live", additional_headers={"Origin": origin.format(host=host)})
        assert refused.value.response.status_code == 403
        assert hub.viewers == 0


async def test_plain_request_is_told_to_upgrade(hub: Hub) -> None:
    """A GET that is no websocket handshake gets 426 and a hint."""
    async with (
        serving(hub) as host,
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}/live") as response,
    ):
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")
        assert "/api/v1/live" in (await response.json())["message"]


async def test_full_house_is_503_until_somebody_leaves() -> None:
    """One viewer too many is refused before the upgrade, and a free seat is given again."""
    hub = Hub(Counters(), viewers_max=1)
    async with serving(hub) as host:
        async with connect(f"ws://{host}/live"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{host}/live")
            response = refused.value.response
            assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
        await until(lambda: hub.viewers == 0)
        async with connect(f"ws://{host}/live"):
            pass


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("hello", 1003),
        (b"\x00\x01", 1003),
        ("x" * (live.MESSAGE_BYTES + 1), 1009),
        ([SNAPSHOT_REQUEST] * (push.IMPATIENCE_MAX + 5), 1008),
    ],
    ids=["text", "binary", "long", "flood"],
)
async def test_garbage_ends_the_connection(hub: Hub, said: str | bytes | list[str], code: int) -> None:
    """Whoever says anything but a request now and then is closed with the code that says why."""
    async with serving(hub) as host, connect(f"ws://{host}/live") as viewer:
        await viewer.recv()
        for message in said if isinstance(said, list) else [said]:
            await viewer.send(message)
        await viewer.wait_closed()
        assert viewer.close_code == code
        await until(lambda: hub.viewers == 0)


class Remembering(Hub):
    """A hub that remembers the last connection, to look at its buffer."""

    transport: asyncio.Transport

    def join(self, transport: asyncio.Transport, *, is_guest: bool = False) -> None:
        self.transport = transport
        super().join(transport, is_guest=is_guest)


@asynccontextmanager
async def stuck_viewer() -> AsyncIterator[tuple[Remembering, live.LiveRoutes]]:
    """A viewer that reads nothing of a snapshot larger than what the kernel takes; its hub and the routes."""
    hub = Remembering(Counters(), viewers_max=100)
    rows = [("es", "DE", *[1] * 6), *((f"p{number}", "DE", *[1] * 6) for number in range(200_000))]
    hub.counters.load(Snapshot(1, TODAY, {"es": "Example Server"}, rows, []))
    routes = live.LiveRoutes(hub)
    app = web.Application()
    add(app, routes.table())
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0])
    try:
        writer.write(
            b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await reader.readline()
        await until(lambda: hub.viewers == 1)
        assert hub.transport.get_write_buffer_size() > 0
        yield hub, routes
    finally:
        writer.close()
        await runner.cleanup()
        hub.close()


async def test_viewer_that_does_not_answer_pings_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead peer is forgotten, and what was unsent with it."""
    monkeypatch.setattr(live, "PING_S", 0.1)
    async with stuck_viewer() as (hub, _):
        await until(lambda: hub.viewers == 0)
        await until(lambda: hub.transport.get_write_buffer_size() == 0)


async def test_close_cuts_a_stuck_viewer() -> None:
    """A viewer that doesn't even take the close is cut at the deadline."""
    async with stuck_viewer() as (hub, routes):
        await routes.close(deadline_s=0.1)
        assert hub.transport.is_closing()
        await until(lambda: hub.transport.get_write_buffer_size() == 0)


async def test_nobody_is_let_in_after_the_close(hub: Hub) -> None:
    """A server that stops refuses viewers on connections that are still open."""
    async with console(hub) as running:
        await running._live.close(deadline_s=1)
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{running.port}/live")
        assert orjson.loads(refused.value.response.body or b"")["reason"] == "stopping"
