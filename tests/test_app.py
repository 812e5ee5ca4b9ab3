"""`callhome.app`: what a start demands, what an outage costs, and how a server stops or is killed under load."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from callhome.app import App
from callhome.embedded.launcher import EmbeddedPostgres
from callhome.errors import CallhomeError
from callhome.settings import Listen
from callhome.store import schema
from listener import get, post
from running import (
    PATIENCE_S,
    Load,
    ask,
    connected,
    is_right,
    live,
    locking,
    ping,
    raw,
    running,
    serving_apart,
    settings_of,
    stored_ids,
    until,
)
from signed import SIGNED

# --- starting ---------------------------------------------------------------------------------------------------------


async def test_a_database_that_may_lose_commits_is_refused(database: str) -> None:
    """A PostgreSQL that doesn't sync stops the start, with what to do, unless a setting allows it."""
    with pytest.raises(
        CallhomeError, match=r"fsync = off and full_page_writes = off.*ALLOW_FSYNC_OFF"
    ) as caught:
        async with App(settings_of(database, allow_fsync_off="false")):
            pass
    assert database not in str(caught.value), "it shows the password"
    async with running(database, allow_fsync_off="true"):
        pass


async def test_a_failed_start_leaves_nothing_running(database: str) -> None:
    """Where the last listener can't bind, those before it are closed and no connection stays."""
    async with running(database) as first, connected(database) as connection:
        taken = str(first.addresses.ingest)
        with pytest.raises(OSError, match="in use"):
            async with App(settings_of(database, ingest_listen=taken)):
                pass
        names = await connection.fetch(
            "SELECT application_name FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'callhome catalogue'"
        )
        assert len(names) == 1
        assert (await ask(first.addresses.ingest, post(ping()))).status == 204


# --- the database goes away -------------------------------------------------------------------------------------------


async def test_an_outage_costs_no_restart(open_tmp_path: Path, unused_tcp_port: int) -> None:
    """With PostgreSQL stopped pings get 503 and Retry-After within COMMIT_S; once it is back all goes on."""
    folder, port = open_tmp_path / "data", {"port": str(unused_tcp_port)}
    async with AsyncExitStack() as stack:
        async with EmbeddedPostgres(folder, settings=port) as postgres:
            dsn = postgres.dsn
            await schema.upgrade(dsn)
            app = await stack.enter_async_context(running(dsn, allow_fsync_off="false", commit_s=1))
            ingest, console = app.addresses.ingest, app.addresses.console
            assert (await ask(ingest, post(ping()))).status == 204
            await until(lambda: shows_builds(console))

        begun_s = time.monotonic()
        requests = [post(ping()), get("/ping?product=es&version=1"), post(ping(), path="/v1/pings")]
        answers = await asyncio.gather(*(ask(ingest, request) for request in requests))
        assert {(answer.status, "retry-after" in answer.headers) for answer in answers} == {(503, True)}
        assert time.monotonic() - begun_s < 1 + 2  # COMMIT_S, and what a busy machine may need
        assert (await ask(ingest, get("/livez"))).status == 200
        assert await shows_builds(console), "what was known is not shown any more"

        async with EmbeddedPostgres(folder, settings=port), connected(dsn) as connection:
            for number in range(3):
                again = ping(install=f"install-{number}", version="2.0")
                assert (await ask(ingest, post(again))).status == 204
            await until(lambda: is_right(console, connection))
            assert await connection.fetchval("SELECT count(*) FROM ping") == app.tally.stored == 4
            assert app.tally.refused == {"unavailable": 3}


async def shows_builds(console: Listen) -> bool:
    """Whether a ping is counted and shown."""
    return bool((await live(console)).get("builds"))


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault(25)
async def test_stopping_commits_and_answers_what_was_asked(database: str) -> None:
    """Row 25: pings that wait are committed and answered, one half read too; no new ones; viewers hear 1001."""
    async with connected(database) as connection, running(database, stop_s=10) as app:
        ingest, console = app.addresses.ingest, app.addresses.console
        async with (
            connect(f"ws://{console}/live", additional_headers=SIGNED) as viewer,
            raw(ingest) as whole,
            raw(ingest) as half,
        ):
            async with locking(database, "ping"):
                whole.send(post(ping()))
                half.send(post(ping())[:-1])
                await until(lambda: waiting(app, 1))
                stopping = asyncio.create_task(app.__aexit__())
                await asyncio.sleep(0.1)
                with pytest.raises(OSError, match="Connect call failed"):
                    await ask(ingest, post(ping()))
                half.send(post(ping())[-1:])
                await until(lambda: waiting(app, 2))
            for client in (whole, half):
                answer = await client.answer()
                assert (answer.status, answer.closes) == (204, True)
            whole.writer.close()
            half.writer.close()
            await stopping
            await viewer.wait_closed()
            assert viewer.close_code == 1001
        assert await connection.fetchval("SELECT count(*) FROM ping") == 2
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(console, get("/livez"))
        await app.__aexit__()


async def test_who_is_about_to_stop_takes_pings_for_a_while(database: str) -> None:
    """Within STOP_DELAY_S it is not ready, but takes what comes; each answer ends its connection; then it refuses."""
    async with running(database, stop_delay_s=3) as app:
        ingest = app.addresses.ingest
        async with raw(ingest) as known:
            assert not (await known.send(post(ping())).answer()).closes
            stopping = asyncio.create_task(app.__aexit__())
            await until(lambda: answers(ingest, "/readyz", 503))
            for answer in (await known.send(post(ping())).answer(), await ask(ingest, post(ping()))):
                assert (answer.status, answer.closes) == (204, True)
            assert not stopping.done()
        await stopping
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(ingest, post(ping()))


async def test_who_is_cut_short_while_it_takes_leave_stops_all_the_same(database: str) -> None:
    """Cancelled within STOP_DELAY_S, it listens no more and has no session left."""
    async with running(database, stop_delay_s=30) as app:
        ingest = app.addresses.ingest
        stopping = asyncio.create_task(app.__aexit__())
        await until(lambda: answers(ingest, "/readyz", 503))
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(ingest, post(ping()))
        async with connected(database) as connection:
            sessions = (
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'callhome %' "
                "AND datname = current_database() AND pid <> pg_backend_pid()"
            )

            async def are_gone() -> bool:
                return bool(await connection.fetchval(sessions) == 0)

            await until(are_gone)


async def answers(place: Listen, path: str, status: int) -> bool:
    """Whether this is answered with that."""
    return (await ask(place, get(path))).status == status


async def waiting(app: App, pings: int) -> bool:
    """Whether so many pings wait for their commit."""
    return app.tally.pending == pings


@asynccontextmanager
async def frozen_backends(dsn: str) -> AsyncIterator[int]:
    """All sessions of callhome are stopped as a frozen machine would be; their number."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'callhome %'"
        )
        pids = [row["pid"] for row in rows]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield len(pids)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("locked", ["install", None])
async def test_stopping_is_bounded_though_the_database_hangs(locked: str | None, database: str) -> None:
    """With its sessions frozen, the rollup's within a transaction, it stops within STOP_S: clients hear 503 or 1001."""
    async with running(database, stop_s=5, commit_s=60) as app, AsyncExitStack() as stack:
        ingest, console = app.addresses.ingest, app.addresses.console
        viewer = await stack.enter_async_context(connect(f"ws://{console}/live", additional_headers=SIGNED))
        asks = await stack.enter_async_context(raw(ingest))
        half = await stack.enter_async_context(raw(ingest))
        if locked:
            await stack.enter_async_context(locking(database, locked))
        assert (await ask(ingest, post(ping()))).status == 204
        if locked:
            await until(lambda: keeper_waits(database))
        assert await stack.enter_async_context(frozen_backends(database)) >= 4
        asks.send(post(ping()))
        half.send(post(ping())[:-1])
        await until(lambda: waiting(app, 1))

        begun_s = time.monotonic()
        await app.__aexit__()

        assert time.monotonic() - begun_s < 5 + PATIENCE_S  # STOP_S, and what a busy machine may need
        answer = await asks.answer()
        assert (answer.status, b"stopping" in answer.body) == (503, True)
        assert not await half.end()
        await viewer.wait_closed()
        assert viewer.close_code == 1001
        assert app.tally.pending == 0


async def keeper_waits(dsn: str) -> bool:
    """Whether the rollup waits for a lock."""
    async with connected(dsn) as connection:
        waits = await connection.fetchval(
            "SELECT wait_event_type FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'callhome keeper'"
        )
    return bool(waits == "Lock")


# --- signals under load -----------------------------------------------------------------------------------------------


@pytest.mark.fault(25)
async def test_sigterm_under_load_loses_nothing(database: str) -> None:
    """Row 25: at SIGTERM `callhome serve` ends with 0, and what was answered with 204 is what is stored, each once."""
    async with connected(database) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
        async with serving_apart(database) as (process, ingest):
            load = Load(lambda: [ingest], copies=32)
            async with load.under():
                await load.has(300)
                process.terminate()
                assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        assert sorted(await stored_ids(connection)) == sorted(load.acked)
        assert load.statuses <= {204, 503}


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.fault(18)
async def test_kills_under_load_lose_nothing(database: str, unused_tcp_port: int, kills: int) -> None:
    """Row 18, small: through kills of the server under load what was acknowledged is stored, and counted once."""
    place = Listen("127.0.0.1", unused_tcp_port)
    load = Load(lambda: [place], copies=32)
    async with connected(database) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
        async with load.under():
            for _ in range(kills):
                async with serving_apart(database, "--ingest-listen", str(place)) as (process, _):
                    await load.has(200)
                    process.kill()
        stored = await stored_ids(connection)
        assert len(stored) == len(set(stored))
        assert set(load.acked) <= set(stored) <= load.sent
        async with running(database) as app:
            await until(lambda: is_right(app.addresses.console, connection))
            assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == len(stored)


@pytest.mark.parametrize("cuts", [10, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.fault(20)
async def test_cut_sessions_under_load_lose_nothing(database: str, cuts: int) -> None:
    """Row 20, small: sessions cut in the midst of their commits cost no ping, none is stored twice, none is refused."""
    async with connected(database) as connection, running(database) as app:
        load = Load(lambda: [app.addresses.ingest], copies=32)
        async with load.under():
            for _ in range(cuts):
                await load.has(50)
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND application_name = 'callhome writer'"
                )
        assert sorted(await stored_ids(connection)) == sorted(load.acked)
        assert load.statuses == {204}
        await until(lambda: is_right(app.addresses.console, connection))
