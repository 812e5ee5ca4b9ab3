"""The embedded PostgreSQL as its users see it: start, serve, keep, refuse, stop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import stat
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from callhome.embedded.errors import EmbeddedPostgresError
from callhome.embedded.launcher import EmbeddedPostgres

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


async def ask(dsn: str, query: str) -> object:
    """Return the first value of a query's answer."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def keep(folder: Path) -> None:
    """Leave a stopped server's folder with a table in it."""
    async with EmbeddedPostgres(folder, durable=False) as server:
        await ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS n")


async def test_serves_queries(postgres: EmbeddedPostgres) -> None:
    """A started server answers under its DSN, in UTF-8 and UTC."""
    assert re.fullmatch(rf"postgresql://callhome:[\w-]+@127\.0\.0\.1:{postgres.port}/callhome", postgres.dsn)
    query = (
        "SELECT concat_ws(' ', current_user, current_setting('server_encoding'), current_setting('TimeZone'))"
    )
    assert await ask(postgres.dsn, query) == "callhome UTF8 UTC"


def test_listens_on_loopback_only(postgres: EmbeddedPostgres) -> None:
    """The server has one listening socket, on 127.0.0.1, and no Unix socket."""
    listening = [
        place.laddr
        for place in psutil.Process(postgres.pid).net_connections("all")
        if place.status == psutil.CONN_LISTEN or (place.family == socket.AF_UNIX and place.laddr)
    ]
    assert listening == [("127.0.0.1", postgres.port)]


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_wants_the_password(postgres: EmbeddedPostgres, password: str) -> None:
    """Without the generated password nobody gets in."""
    dsn = re.sub(r":[^:@]+@", f":{password}@", postgres.dsn)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn)


async def test_throw_away_folder_is_removed() -> None:
    """Without a data folder everything is gone after the end, the processes too."""
    async with EmbeddedPostgres(durable=False) as server:
        assert server.data_dir.is_dir()
        processes = psutil.Process().children(recursive=True)
        assert server.pid in [process.pid for process in processes]
    assert not server.data_dir.exists()
    assert not [process for process in processes if process.pid == server.pid and process.is_running()]


async def test_kept_folder_keeps_data(open_tmp_path: Path) -> None:
    """A second start with the same folder sees the data; the password stays, readable by its owner only."""
    folder = open_tmp_path / "new" / "data"
    async with EmbeddedPostgres(folder) as first:
        await ask(first.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    async with EmbeddedPostgres(folder) as second:
        assert second.data_dir == folder
        assert second.dsn.split("@")[0] == first.dsn.split("@")[0]
        assert await ask(second.dsn, "SELECT n FROM kept") == 42


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
async def test_settings_reach_the_server(durable: bool, fsync: str) -> None:
    """Only fsync depends on `durable`; a COMMIT waits in any case, and given settings win."""
    async with EmbeddedPostgres(durable=durable, settings={"max_connections": "7"}) as server:
        names = ("fsync", "full_page_writes", "synchronous_commit", "max_connections", "jit")
        shown = [await ask(server.dsn, f"SHOW {name}") for name in names]
    assert shown == [fsync, fsync, "on", "7", "off"]


async def test_port_can_be_fixed() -> None:
    """The setting `port` is used as given; if it is taken, the error quotes the log."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match="Address already in use"):
            await EmbeddedPostgres(settings={"port": str(port)}).__aenter__()
    async with EmbeddedPostgres(settings={"port": str(port)}, durable=False) as server:
        assert server.port == port


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"shared_buffers": "plenty"}, 'invalid value for parameter "shared_buffers": "plenty"'),
        ({"no_such_setting": "1"}, 'unrecognized configuration parameter "no_such_setting"'),
        ({"a b": "1"}, "'a b' is no name of a PostgreSQL setting"),
        ({"port": "any"}, "the setting port is 'any', no TCP port"),
    ],
)
async def test_failed_start_names_the_reason(settings: dict[str, str], reason: str) -> None:
    """A server that doesn't start raises with what its log says, and leaves no process."""
    with pytest.raises(EmbeddedPostgresError, match=re.escape(reason)):
        await EmbeddedPostgres(settings=settings, durable=False).__aenter__()


async def test_refuses_a_foreign_folder(open_tmp_path: Path) -> None:
    """A folder with other people's files is named and left as it was."""
    open_tmp_path.joinpath("somebody").mkdir(mode=0o777)
    folder = open_tmp_path / "data"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    with pytest.raises(EmbeddedPostgresError, match=rf"{folder}.*(thesis\.tex|isn't empty)"):
        await EmbeddedPostgres(folder).__aenter__()
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


async def test_refuses_a_missing_password(open_tmp_path: Path) -> None:
    """A data folder without its password file is an error that names the file."""
    await keep(open_tmp_path / "data")
    password = open_tmp_path / "data" / "password"
    password.unlink()
    with pytest.raises(EmbeddedPostgresError, match=f"{password} is missing"):
        await EmbeddedPostgres(open_tmp_path / "data").__aenter__()


async def test_refuses_a_folder_in_use(open_tmp_path: Path) -> None:
    """Two servers can't share a folder: the second start names the process that has it."""
    async with EmbeddedPostgres(open_tmp_path / "data", durable=False) as server:
        with pytest.raises(EmbeddedPostgresError, match=f"data is in use by process {os.getpid()}"):
            await EmbeddedPostgres(open_tmp_path / "data").__aenter__()
        assert await ask(server.dsn, "SELECT 1") == 1


async def test_recovers_after_everything_was_killed(open_tmp_path: Path) -> None:
    """A folder left by a killed guard and server starts again at once, with all that was committed."""
    server = EmbeddedPostgres(open_tmp_path / "data")
    await asyncio.to_thread(server.start)
    await ask(server.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
    guard = psutil.Process(server.pid).parent()
    assert guard is not None
    os.kill(server.pid, signal.SIGSTOP)
    guard.kill()
    os.kill(server.pid, signal.SIGKILL)
    async with EmbeddedPostgres(open_tmp_path / "data") as again:
        assert await ask(again.dsn, "SELECT n FROM kept") == 42
    server.stop()


@root_only
def test_says_which_folder_is_closed(tmp_path: Path) -> None:
    """As root, a data folder below one that PostgreSQL's user may not enter is an error naming that one."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"runs as user '\w+', who may not enter /.*chmod o\+x"):
        EmbeddedPostgres(closed / "data").start()
    assert not (closed / "data").exists()


async def test_cancelled_start_leaves_nothing() -> None:
    """A start cancelled at any moment ends without a process of ours left behind."""
    before = {process.pid for process in psutil.Process().children()}
    for delay_s in (0, 0.03, 0.15, 0.4):
        server = EmbeddedPostgres(durable=False)
        starting = asyncio.create_task(server.__aenter__())
        await asyncio.sleep(delay_s)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        server.stop()
    deadline_s = time.monotonic() + 5
    while {process.pid for process in psutil.Process().children()} - before:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)


async def test_cancelled_stop_still_stops() -> None:
    """Leaving the context is finished before a cancellation goes on."""
    server = await EmbeddedPostgres(durable=False).__aenter__()
    stopping = asyncio.create_task(server.__aexit__(None, None, None))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not psutil.pid_exists(server.pid)
    assert not server.data_dir.exists()


async def test_starts_once_and_stops_at_will() -> None:
    """Before a start there is no DSN, a second start is refused, a second stop is harmless."""
    server = EmbeddedPostgres(durable=False)
    with pytest.raises(EmbeddedPostgresError, match="isn't started"):
        _ = server.dsn
    async with server:
        with pytest.raises(EmbeddedPostgresError, match="starts once"):
            await asyncio.to_thread(server.start)
        assert await ask(server.dsn, "SELECT 1") == 1
    await asyncio.to_thread(server.stop)
    with pytest.raises(EmbeddedPostgresError, match="starts once"):
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_its_own_database(database: str, turn: int) -> None:
    """The fixture's database has the schema, and nothing that another test left."""
    assert await ask(database, "SELECT to_regclass('ping') IS NOT NULL") is True
    await ask(database, "CREATE TABLE left_by_a_test ()")


async def test_empty_database_is_empty(empty_database: str) -> None:
    """The fixture without a schema has no table."""
    assert await ask(empty_database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
