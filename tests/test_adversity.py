"""Faults and bad input against a whole server, where other tests show a part of it: memory, replicas, days, clocks."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import time
from uuid import UUID

import pytest
from websockets.asyncio.client import connect

from callhome.ingest import exchange
from callhome.live import push
from callhome.live.counters import Counters
from callhome.live.push import Hub
from callhome.live.wire import LiveState, decode
from callhome.settings import Listen, Settings
from callhome.store.ids import new_id
from callhome.store.live import Snapshot
from checker import check, stored
from consoles import console
from copies import Copies
from listener import post
from running import SECRET, all_folded, ask, connected, ping, raw, running, serving_apart, until

DAY_S = 86_400


@pytest.mark.fault(3, 4, 21)
def test_deadlines_are_those_promised() -> None:
    """Without other settings: half a header is closed within 15 s, a body has 5 s, and spooling begins after 2 s."""
    fields = Settings.model_fields
    assert fields["header_s"].default <= 15
    assert fields["body_s"].default == 5
    assert fields["spool_after_s"].default == 2


# --- memory -----------------------------------------------------------------------------------------------------------


def bomb(unpacked_mib: int) -> bytes:
    """Return zeros, compressed a thousandfold."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(unpacked_mib)), packer.flush()])


def resident_mb(pid: int, what: str) -> float:
    """Return a figure of /proc: VmRSS is what is resident now, VmHWM the most since it was reset."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(f"{what}:")]
    return int(line.split()[1]) * 1024 / 1e6


def forget_peak(pid: int) -> None:
    """Let the most that was resident be what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@pytest.mark.fault(6)
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs Linux to look at another's memory"
)
async def test_bombs_take_no_memory_of_a_server(database: str) -> None:
    """Gzip bombs of 500 MiB, four at once, let a server's resident size grow by 20 MB at most; all are told 413."""
    data = post(bomb(500), "Content-Encoding: gzip", "/v1/pings")
    async with connected(database) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
    async with serving_apart(database) as (process, ingest):
        async with asyncio.timeout(60):
            while (await ask(ingest, post(ping()))).status >= 300:
                await asyncio.sleep(0.1)
        before_mb = resident_mb(process.pid, "VmRSS")
        forget_peak(process.pid)
        for _ in range(3):
            answers = await asyncio.gather(*(ask(ingest, data) for _ in range(4)))
            assert {answer.status for answer in answers} == {413}
        assert resident_mb(process.pid, "VmHWM") - before_mb < 20
        assert (await ask(ingest, post(ping()))).status < 300


# --- viewers ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def silent_viewer(port: int) -> AsyncIterator[None]:
    """Somebody who asks for the changes and reads none."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    head = (
        "GET /live HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    await asyncio.get_running_loop().sock_sendall(sock, "\r\n".join([*head, "", ""]).encode())
    try:
        yield
    finally:
        sock.close()


class Numbers:
    """A hub with many countries, all of which change at once."""

    def __init__(self, countries: int) -> None:
        self.hub = Hub(Counters(), viewers_max=200)
        self._countries = countries
        self._value = 0

    def change(self) -> None:
        """Give every row another value, and tell the hub."""
        self._value += 1
        rows = [("es", f"{number:05}", *[self._value] * 6) for number in range(self._countries)]
        snapshot = Snapshot(self.hub.counters.seq + 1, datetime.now(UTC).date(), {"es": "ES"}, rows, [])
        self.hub.changed(self.hub.counters.load(snapshot))


@pytest.mark.fault(26)
@pytest.mark.parametrize("countries", [3_000, 300])
async def test_a_hundred_viewers_that_never_read_are_cut(
    countries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred viewers that never read are cut, for their backlog or for their silence; who reads has every change."""
    if countries < 1_000:
        monkeypatch.setattr(push, "STALL_S", 1.0)
    numbers = Numbers(countries)
    numbers.change()
    hub = numbers.hub
    async with console(hub, connections=200) as server, AsyncExitStack() as stack:
        for _ in range(100):
            await stack.enter_async_context(silent_viewer(server.port))
        async with (
            asyncio.timeout(30),
            connect(f"ws://127.0.0.1:{server.port}/live", max_size=None) as reader,
        ):
            state = LiveState()
            state.receive(decode(await reader.recv()))
            while hub.cut_total < 100:
                numbers.change()
                while state.seq < hub.counters.seq:
                    state.receive(decode(await reader.recv()))
                    assert not state.lost
                assert state.countries == hub.counters.countries
            assert hub.viewers == 1
    hub.close()


# --- replicas ---------------------------------------------------------------------------------------------------------


class Clock:
    """The clock by which all servers in this process take pings in: it stands at ``now_s`` until a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = time()
        monkeypatch.setattr(exchange, "time", lambda: self.now_s)


def day_of(unix_s: float) -> object:
    """The UTC day of a time."""
    return datetime.fromtimestamp(unix_s, UTC).date()


@pytest.mark.fault(17)
async def test_a_ping_replayed_over_replicas_and_days_is_one_row(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand replays to three replicas, before and after midnight and days later: all 2xx, one row, one launch."""
    clock = Clock(monkeypatch)
    clock.now_s = first_s = time() // DAY_S * DAY_S + DAY_S - 1  # a second before midnight
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connected(database))
        apps = [await stack.enter_async_context(running(database)) for _ in range(3)]
        clients = [await stack.enter_async_context(raw(app.addresses.ingest)) for app in apps * 2]
        request = post(ping(id=str(UUID(bytes=new_id(first_s)))))
        statuses: set[int] = set()
        for later_s in (0, 2, DAY_S, 3 * DAY_S, 29 * DAY_S):
            clock.now_s = first_s + later_s
            for _ in range(200 // len(clients) + 1):
                for client in clients:
                    client.send(request)
                statuses |= {(await client.answer()).status for client in clients}
            await until(lambda: all_folded(connection))
        assert statuses == {204}
        (row,) = await connection.fetch("SELECT day FROM ping")
        assert row["day"] == day_of(first_s)
        assert await connection.fetch("SELECT sum(launches), min(day) FROM usage_daily") == [(1, row["day"])]
        assert sum(app.tally.stored for app in apps) == 1
        assert sum(app.tally.duplicates for app in apps) >= 999


@pytest.mark.fault(30)
async def test_wrong_clocks_count_once_on_the_day_of_receipt(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of 1970 and 2100, sent again the next day: a row each, on the day it first came, counted once."""
    clock = Clock(monkeypatch)
    requests = [
        post(ping(id=str(UUID(bytes=new_id(own_s))), install=f"install-{own_s}"))
        for own_s in (0.0, 4_102_444_800.0)
    ]
    async with connected(database) as connection, running(database) as app:
        today_s = clock.now_s
        for later_s in (0, DAY_S):
            clock.now_s = today_s + later_s
            for request in requests * 2:
                assert (await ask(app.addresses.ingest, request)).status == 204
            await until(lambda: all_folded(connection))
        today = day_of(today_s)
        assert await connection.fetch("SELECT day, count(*) FROM ping GROUP BY day") == [(today, 2)]
        assert await connection.fetch("SELECT day, sum(launches) FROM usage_daily GROUP BY day") == [
            (today, 2)
        ]
        assert app.tally.duplicates == 6


@pytest.mark.fault(30)
async def test_a_clock_that_steps_back_doubles_and_loses_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the server's clock steps back by two days, replays stay one row, and new pings count on the day it shows."""
    clock = Clock(monkeypatch)
    known = post(ping(id=str(UUID(bytes=new_id(clock.now_s))), install="install-known"))
    async with connected(database) as connection, running(database) as app:
        today_s = clock.now_s
        for later_s in (0, -2 * DAY_S, 0):
            clock.now_s = today_s + later_s
            assert (await ask(app.addresses.ingest, known)).status == 204
            # One with an id of today's, which is ahead of that clock, and one that gets its id here.
            for given in ({"id": str(UUID(bytes=new_id(today_s)))}, {}):
                assert (await ask(app.addresses.ingest, post(ping(**given)))).status == 204
            await until(lambda: all_folded(connection))
        today, before = day_of(today_s), day_of(today_s - 2 * DAY_S)
        launches = await connection.fetch(
            "SELECT day, sum(launches) FROM usage_daily GROUP BY day ORDER BY day"
        )
        assert launches == [(before, 2), (today, 5)]
        assert await connection.fetchval("SELECT count(*) FROM ping") == 7


@pytest.mark.fault(25)
async def test_a_rolling_restart_loses_nothing(database: str) -> None:
    """Two replicas are restarted in turn under load: each ends with 0, and what was acknowledged is stored once."""
    async with connected(database) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES'), ('fr', 'FR')")
        async with AsyncExitStack() as stack:
            places: list[Listen] = []
            copies = Copies(lambda: places[copies.log.acked % len(places)], seed=25)
            replicas = [await stack.enter_async_context(AsyncExitStack()) for _ in range(2)]
            processes = []
            for replica in replicas:
                process, place = await replica.enter_async_context(serving_apart(database))
                processes.append(process)
                places.append(place)
            async with copies.pinging():
                for number, replica in enumerate(replicas):
                    await copies.acked(50)
                    old = places.pop(0)
                    processes[number].terminate()
                    assert await asyncio.to_thread(processes[number].wait, 30) == 0
                    _, place = await replica.enter_async_context(
                        serving_apart(database, "--ingest-listen", str(old))
                    )
                    places.append(place)
                await copies.acked(50)
        assert check(copies.log, await stored(connection), SECRET) == []
        assert copies.log.statuses.keys() <= {200, 204, 400, 503}
