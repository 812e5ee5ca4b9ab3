"""``serve --workers N`` as processes: what dies is started again, nothing is lost, and all end together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from websockets.asyncio.client import connect

from callhome.errors import CallhomeError
from callhome.live.wire import SNAPSHOT_REQUEST, LiveState, decode
from callhome.settings import Listen
from callhome.spool.spool import Spool
from callhome.workers import child, supervisor
from callhome.workers.supervisor import Plan, StartFailed, supervise
from listener import get, post
from rows import Row
from running import Load, ask, connected, is_right, ping, recount, settings_of, stored_ids, until
from signed import SIGNED
from supervised import Site, supervised
from test_cli_serve import READY_S, callhome
from test_two_replicas import listeners, shown

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are for Linux")


async def gone(processes: Sequence[psutil.Process]) -> None:
    """Wait until these have ended."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, READY_S)
    assert not alive


def folders(place: Path) -> list[Path]:
    """Return what is in a folder."""
    return list(place.iterdir())


async def test_a_killed_worker_costs_nothing_and_comes_back(database: str, tmp_path: Path) -> None:
    """One worker after the other is killed under load: all acknowledged pings are there, once, and both serve again."""
    async with supervised(database, 2, CALLHOME_SPOOL_DIR=str(tmp_path)) as site:
        first = site.workers()
        load = Load(lambda: [site.ingest], copies=32)
        async with load.under():
            for number in (1, 2):
                await load.has(200)
                first[number].kill()
                await load.has(200)
                await until(lambda number=number: restarted(site, number))  # type: ignore[misc]
            await load.has(200)
        second = site.workers()
        assert {number: process.pid for number, process in second.items()}.keys() == {1, 2}
        assert not {process.pid for process in first.values()} & {process.pid for process in second.values()}
        async with connected(database) as connection:
            stored = await stored_ids(connection)
            assert set(load.acked) <= set(stored) <= load.sent
            assert len(stored) == len(set(stored))
            await until(lambda: is_right(site.console, connection))
    assert site.process.returncode == 0
    assert {*os.listdir(tmp_path)} >= {"worker-1", "worker-2"}


async def restarted(site: Site, number: int) -> bool:
    """Whether a worker was started again once, and tells its metrics."""
    with suppress(OSError):
        samples = await site.samples()
        up, count = (samples[f"callhome_worker_{name}"].get(str(number)) for name in ("up", "restarts_total"))
        return (up, count) == (1, 1)
    return False


async def test_all_workers_end_with_a_killed_supervisor(database: str, open_tmp_path: Path) -> None:
    """The supervisor killed under load: the workers stop in order, nothing is lost, and no folder stays behind."""
    async with supervised(database, 2, TMPDIR=str(open_tmp_path)) as site:
        workers = [*site.workers().values()]
        (folder,) = folders(open_tmp_path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        load = Load(lambda: [site.ingest])
        async with load.under():
            await load.has(200)
            site.process.kill()
            await gone(workers)
        assert not os.listdir(open_tmp_path)
        async with connected(database) as connection:
            stored = await stored_ids(connection)
        assert set(load.acked) <= set(stored) <= load.sent
        assert len(stored) == len(set(stored))
        # In order: some were told so, or were answered to the end; and nobody holds the port.
        assert load.statuses <= {200, 204, 503}
        with pytest.raises(ConnectionRefusedError):
            await ask(site.ingest, get("/livez"))


@pytest.mark.parametrize(("how", "loop"), [(signal.SIGTERM, "asyncio"), (signal.SIGINT, "uvloop")])
async def test_a_second_signal_is_safe(how: signal.Signals, loop: str, database: str) -> None:
    """Two signals under load: all that was acknowledged is stored, both workers have ended, and the status is 0."""
    async with supervised(database, 2, CALLHOME_LOOP=loop) as site:
        workers = [*site.workers().values()]
        load = Load(lambda: [site.ingest])
        async with load.under():
            await load.has(200)
            for _ in range(2):
                site.process.send_signal(how)
            await asyncio.to_thread(site.process.wait, READY_S)
        assert site.process.returncode == 0
        assert not any(worker.is_running() for worker in workers)
        async with connected(database) as connection:
            stored = await stored_ids(connection)
        assert set(load.acked) <= set(stored)


async def test_metrics_of_any_worker_are_those_of_all(database: str) -> None:
    """Pings that went to two workers are counted in each one's label, and a frozen worker is down without delay."""
    async with supervised(database, 2) as site:
        load = Load(lambda: [site.ingest], copies=32)
        async with load.under():
            await load.has(200)
        samples = await site.samples()
        stored = samples["callhome_stored_pings_total"]
        assert sum(stored.values()) == len(load.acked)
        assert stored.keys() == {"1", "2"}
        assert min(stored.values()) > 0
        assert samples["callhome_worker_up"] == {"1": 1, "2": 1}
        assert samples["callhome_worker_restarts_total"] == {"1": 0, "2": 0}

        workers = site.workers()
        workers[1].suspend()
        # The kernel gives some to the one that sleeps; the other answers without it.
        asking = [asyncio.create_task(site.samples()) for _ in range(16)]
        try:
            (first, *_), _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert first.result()["callhome_worker_up"] == {"1": 0, "2": 1}
        finally:
            workers[1].resume()
            await asyncio.gather(*asking)


async def test_live_counters_agree_in_all_workers(database: str) -> None:
    """Viewers of both workers end with what a recount says, though one's session for changes is cut under load."""
    async with supervised(database, 2) as site, connected(database) as connection, AsyncExitStack() as stack:
        states: dict[str, LiveState] = {}
        while len(states) < 2:
            epoch, state = await watched(site.console, stack)
            states.setdefault(epoch, state)

        async def both_listen() -> bool:
            return len(await listeners(connection)) == 2

        load = Load(lambda: [site.ingest])
        async with load.under():
            await until(both_listen)
            victim = min(await listeners(connection))
            await connection.execute("SELECT pg_terminate_backend($1::integer)", victim)
            await load.has(200)
            await until(both_listen)
        assert victim not in await listeners(connection)

        async def equal() -> bool:
            truth = await recount(connection)
            return await is_right(site.console, connection) and all(
                shown(state) == truth for state in states.values()
            )

        await until(equal)
        assert await connection.fetchval("SELECT count(*) FROM ping") >= len(load.acked)


async def watched(console: Listen, stack: AsyncExitStack) -> tuple[str, LiveState]:
    """Return the epoch of whichever worker has this viewer, and the viewer's state, which is kept up."""
    state = LiveState()
    viewer = await stack.enter_async_context(connect(f"ws://{console}/live", additional_headers=SIGNED))
    first = await viewer.recv()
    epoch = json.loads(first)["epoch"]
    state.receive(decode(first))

    async def follow() -> None:
        async for text in viewer:
            state.receive(decode(text))
            if state.lost:
                await viewer.send(SNAPSHOT_REQUEST)

    following = asyncio.create_task(follow())

    async def leave() -> None:
        following.cancel()
        await asyncio.wait([following])

    stack.push_async_callback(leave)
    return epoch, state


@pytest.mark.parametrize(("workers", "left"), [(1, "worker-1"), (2, "worker-5"), (2, ".")])
async def test_a_left_spool_is_drained_beside_the_server(
    workers: int, left: str, database: str, tmp_path: Path
) -> None:
    """Pings that workers left who are no more, or a server before there were workers, are stored by whoever starts."""
    rows = [Row(install=number) for number in range(10)]
    async with Spool(tmp_path / left, limit_bytes=2**30, disk_percent=100) as spool:
        await spool.append([bytes(row) for row in rows])

    async def drained() -> bool:
        stored = await stored_ids(connection)
        return sorted(stored) == sorted(UUID(bytes=row.id) for row in rows) and not list(
            (tmp_path / left).glob("*.seg")
        )

    async with supervised(database, workers, CALLHOME_SPOOL_DIR=str(tmp_path)) as site:
        async with connected(database) as connection:
            await until(drained)
        assert (await ask(site.ingest, post(ping()))).status < 300


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_port_in_use_is_told(workers: str, database: str) -> None:
    """Neither a second supervisor of this user nor a single server joins the workers that listen: it is told why."""
    async with supervised(database, 2) as site:
        done = await asyncio.to_thread(
            callhome,
            *("serve", "--workers", workers, "--ingest-listen", str(site.ingest)),
            CALLHOME_DATABASE_URL=database,
            CALLHOME_SECRET="s" * 32,
            CALLHOME_CONSOLE_LISTEN="127.0.0.1:0",
        )
        assert done.returncode == 2, done.stderr
        assert "callhome: can't listen: " in done.stderr
        assert "Traceback" not in done.stderr
        assert (await ask(site.ingest, post(ping()))).status < 300


async def test_a_start_that_fails_ends_with_the_workers_error(database: str, tmp_path: Path) -> None:
    """What a worker can't do at its start is told as one server would tell it, once, with its exit code."""
    for environ, code, words in (
        ({"CALLHOME_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, 1, "database"),
        ({"CALLHOME_SPOOL_DIR": str(tmp_path / "used")}, 2, str(tmp_path / "used" / "worker-")),
    ):
        (tmp_path / "used").mkdir(exist_ok=True)
        for number in (1, 2):
            (tmp_path / "used" / f"worker-{number}").write_text("no folder")
        done = await asyncio.to_thread(
            callhome,
            *("serve", "--workers", "2", "--ingest-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0"),
            **{"CALLHOME_DATABASE_URL": database, "CALLHOME_SECRET": "s" * 32, **environ},
        )
        assert done.returncode == code, done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("callhome: ")]
        assert words in line
        assert "Traceback" not in done.stderr


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has each worker run these lines of Python instead; ``number`` is which one it is."""
    read = "import os, signal, sys; os.read(0, 9999); number = int(sys.argv[1]); ready = b'{\"ready\": true}\\n'\n"

    def use(code: str) -> None:
        monkeypatch.setattr(
            child, "command", lambda _, number: [sys.executable, "-S", "-c", read + code, number]
        )
        monkeypatch.setattr(supervisor, "_PAUSE_S", (0.01, 0.02))

    return use


def plan(dsn: str, **given: Any) -> Plan:
    """Return a plan of two workers."""
    return Plan(settings_of(dsn, workers=2, **given), {})


async def test_a_worker_that_dies_at_once_ends_the_start(
    program: Callable[[str], None], tmp_path: Path
) -> None:
    """One that dies again and again without a word before it was ready is given up, and the other one stops."""
    log = tmp_path / "log"
    program(
        f"open({str(log)!r}, 'a').write(str(number))\n"
        "if number == 2: os.kill(os.getpid(), 11)\n"
        "os.write(0, ready); signal.pause()\n"
    )
    with pytest.raises(StartFailed, match=r"worker 2 \(process \d+\) was killed by SIGSEGV") as raised:
        await supervise(plan("postgresql://127.0.0.1/x"), on_ready=lambda *_: pytest.fail("it is not ready"))
    assert raised.value.exit_code == 1
    assert sorted(log.read_text()) == ["1", *["2"] * supervisor.START_TRIES]


async def test_a_worker_that_dies_later_is_started_ever_again(
    program: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Once all were ready a worker may die as often as it likes, and say that it can't start; the log tells each."""
    program(
        'os.write(0, ready); number == 1 and signal.pause()\nos.write(0, b\'{"error": "no", "exit_code": 2}\\n\')\n'
    )
    ready = asyncio.Event()
    running = asyncio.create_task(
        supervise(plan("postgresql://127.0.0.1/x"), on_ready=lambda *_: ready.set())
    )

    async def often() -> bool:
        return caplog.text.count("ended with status 0: no; started again in") > supervisor.START_TRIES

    await until(often)
    assert ready.is_set()
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert "worker 1" not in caplog.text


async def test_cancelling_it_stops_the_workers(program: Callable[[str], None], tmp_path: Path) -> None:
    """A supervisor that is cancelled has no worker left."""
    program(f"open({str(tmp_path)!r} + '/' + str(os.getpid()), 'w'); os.write(0, ready); signal.pause()\n")
    ready = asyncio.Event()
    running = asyncio.create_task(
        supervise(plan("postgresql://127.0.0.1/x"), on_ready=lambda *_: ready.set())
    )
    await ready.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    pids = [int(name) for name in os.listdir(tmp_path)]
    assert len(pids) == 2
    assert not any(map(psutil.pid_exists, pids))


def test_sockets_have_short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the place for temporary folders has a long path, that of the sockets, which may not, is elsewhere."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with supervisor._private_folder() as folder, socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "256.sock"))
        assert long not in folder.parents
    assert not folder.exists()


async def test_a_spool_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The supervisor makes the folder of the workers' spools, for its user alone, or says why not."""
    (tmp_path / "spool").symlink_to(tmp_path / "gone" / "gone")
    with pytest.raises(CallhomeError, match=r"CALLHOME_SPOOL_DIR=.*can't be made"):
        await supervise(
            plan("postgresql://127.0.0.1/x", spool_dir=str(tmp_path / "spool")), on_ready=lambda *_: None
        )
