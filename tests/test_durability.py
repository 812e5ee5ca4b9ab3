"""`callhome.durability`: a whole server with a spool, while its database is away, slow, late or refuses a row."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from callhome.app import App
from callhome.embedded.launcher import EmbeddedPostgres
from callhome.errors import CallhomeError
from callhome.metrics import Tally
from callhome.store import schema
from callhome.store.connection import StoreUnavailable
from listener import Answer, get, post
from running import all_folded, ask, connected, is_right, locking, ping, running, settings_of, until
from signed import let_token_in
from test_metrics import samples_of


def is_taken(answer: Answer) -> bool:
    """Whether a ping was answered as durable."""
    return answer.status in (200, 204)


async def drained(app: App) -> bool:
    """Whether its spool is empty."""
    return (await samples(app))["callhome_spool_pings",] == 0


async def samples(app: App) -> dict[tuple[str, ...], float]:
    """What its `/metrics` says."""
    status, text = await console(app, "/metrics")
    assert status == 200
    return samples_of_text(text)


async def console(app: App, path: str) -> tuple[int, str]:
    """What its console answers."""
    async with aiohttp.ClientSession(app.addresses.console.url) as session, session.get(path) as answer:
        return answer.status, await answer.text()


def samples_of_text(text: str) -> dict[tuple[str, ...], float]:
    """Name and labels' values -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def balances(found: dict[tuple[str, ...], float]) -> bool:
    """Whether what came in is what became of it."""

    def total(name: str) -> float:
        return sum(value for key, value in found.items() if key[0] == f"callhome_{name}")

    outcomes = (
        "stored_pings_total",
        "duplicate_pings_total",
        "refused_pings_total",
        "quarantined_pings_total",
        "spool_pings",
        "pending_pings",
        "lost_pings_total",
    )
    return total("received_pings_total") + total("recovered_pings_total") == sum(map(total, outcomes))


@asynccontextmanager
async def postgres_at(folder: Path, port: int) -> AsyncIterator[str]:
    """A PostgreSQL that syncs, started on what it left the last time; with the schema and the product."""
    async with EmbeddedPostgres(folder, settings={"port": str(port)}) as postgres:
        await schema.upgrade(postgres.dsn)
        async with connected(postgres.dsn) as connection:
            await connection.execute(
                "INSERT INTO product (key, name) VALUES ('es', 'ES') ON CONFLICT DO NOTHING"
            )
            await let_token_in(connection)
        yield postgres.dsn


@pytest.mark.fault(22)
async def test_an_outage_costs_no_ping_and_no_refusal(
    open_tmp_path: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    """With PostgreSQL stopped every kind of ping is answered as ever; once it is back each is stored once."""
    place = (open_tmp_path / "data", unused_tcp_port)
    async with AsyncExitStack() as stack:
        async with postgres_at(*place) as dsn:
            app = await stack.enter_async_context(
                App(settings_of(dsn, allow_fsync_off="false", spool_dir=str(tmp_path / "spool")))
            )
            ingest = app.addresses.ingest
            assert is_taken(await ask(ingest, post(ping())))
        requests = [post(ping()), get("/ping?product=es&version=1"), post(ping(), path="/v1/pings")]
        for request in requests:
            assert is_taken(await ask(ingest, request))
        found = await samples(app)
        assert (found["callhome_spool_pings",], found["callhome_database_away",]) == (3, 1)
        assert found["callhome_spool_bytes",] > 0 < found["callhome_spool_age_seconds",]
        assert balances(found)
        assert (await console(app, "/readyz"))[0] == 200

        async with postgres_at(*place), connected(dsn) as connection:
            await until(lambda: drained(app))
            assert is_taken(await ask(ingest, post(ping(install="install-2"))))
            await until(lambda: is_right(app.addresses.console, connection))
            assert await connection.fetchval("SELECT count(*) FROM ping") == 5
            found = await samples(app)
            assert found["callhome_stored_pings_total", "es"] == 5
            assert (found["callhome_database_away",], found["callhome_spooled_pings_total",]) == (0, 3)
            assert balances(found)
            assert app.tally.refused == {}


async def test_a_start_without_the_database_knows_what_was_known(
    open_tmp_path: Path, tmp_path: Path, unused_tcp_port: int
) -> None:
    """Restarted during an outage it takes pings of the products it knew, and stores them when the database is back."""
    place = (open_tmp_path / "data", unused_tcp_port)
    async with postgres_at(*place) as dsn:
        given = settings_of(dsn, allow_fsync_off="false", spool_dir=str(tmp_path / "spool"))
        async with App(given):
            pass
    async with App(given) as app:
        assert is_taken(await ask(app.addresses.ingest, post(ping())))
        assert (await ask(app.addresses.ingest, post(ping(product="never")))).status == 400
    async with App(given) as app:
        assert is_taken(await ask(app.addresses.ingest, post(ping(install="install-2"))))
        assert (await samples(app))["callhome_recovered_pings_total",] == 1
        async with postgres_at(*place), connected(dsn) as connection:
            await until(lambda: drained(app))
            await until(lambda: is_right(app.addresses.console, connection))
            assert await connection.fetchval("SELECT count(*) FROM ping") == 2
            assert balances(await samples(app))


async def test_a_first_start_needs_the_database(tmp_path: Path, unused_tcp_port: int) -> None:
    """With nothing known from before, a start without the database fails and says where it looked."""
    dsn = f"postgresql://callhome@127.0.0.1:{unused_tcp_port}/callhome"
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{unused_tcp_port}/callhome"):
        async with App(settings_of(dsn, spool_dir=str(tmp_path / "spool"))):
            pass


async def test_a_database_that_may_lose_commits_gets_nothing_later(
    open_tmp_path: Path, tmp_path: Path, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """One that comes back without fsync is not written to: pings stay in the spool, and the log says why."""
    place = (open_tmp_path / "data", unused_tcp_port)
    async with postgres_at(*place) as dsn:
        given = settings_of(dsn, allow_fsync_off="false", spool_dir=str(tmp_path / "spool"))
        async with App(given):
            pass
    async with App(given) as app:
        assert is_taken(await ask(app.addresses.ingest, post(ping())))
        off = {"port": str(unused_tcp_port)}
        async with (
            EmbeddedPostgres(open_tmp_path / "data", durable=False, settings=off) as postgres,
            connected(postgres.dsn) as connection,
        ):
            await until(lambda: said(caplog, "fsync = off"))
            assert await connection.fetchval("SELECT count(*) FROM ping") == 0
            assert not await drained(app)


async def said(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    """Whether the log has a text."""
    return text in caplog.text


@pytest.mark.fault(21)
async def test_a_commit_that_hangs_is_spooled(database: str, tmp_path: Path) -> None:
    """SPOOL_AFTER_S decides how long a commit may take; what was in it is stored once when the way is free."""
    async with (
        connected(database) as connection,
        running(database, spool_dir=str(tmp_path / "spool"), spool_after_s=0.2, commit_s=30) as app,
    ):
        ingest = app.addresses.ingest
        async with locking(database, "ping"):
            begun_s = time.monotonic()
            assert is_taken(await ask(ingest, post(ping())))
            assert time.monotonic() - begun_s < 10  # COMMIT_S is 30
            assert is_taken(await ask(ingest, post(ping(install="install-2"))))
            assert (await samples(app))["callhome_spool_pings",] == 2
        await until(lambda: drained(app))
        assert await connection.fetchval("SELECT count(*) FROM ping") == app.tally.stored == 2
        assert balances(await samples(app))


@pytest.mark.fault(24)
async def test_a_full_spool_takes_nothing_until_there_is_room(database: str, tmp_path: Path) -> None:
    """Beyond SPOOL_BYTES pings get 503 and /readyz says why; what was taken is stored, and then all goes on."""
    given: dict[str, Any] = {"spool_dir": str(tmp_path / "spool"), "spool_bytes": 2**20}
    given |= {"spool_after_s": 0.2, "commit_s": 0.5}
    async with connected(database) as connection, running(database, **given) as app:
        ingest = app.addresses.ingest
        taken = 0
        async with locking(database, "ping"):
            for number in range(100):
                lines = [
                    ping(install=f"install-{number}-{line}", extra={"text": "x" * 250}) for line in range(100)
                ]
                answer = await ask(ingest, post(b"\n".join(lines), path="/v1/pings"))
                if answer.status == 503:
                    break
                taken += json.loads(answer.body)["stored"]
            assert answer.status == 503
            assert "retry-after" in answer.headers
            assert taken >= 1_000
            status, said_why = await console(app, "/readyz")
            assert (status, "spool" in said_why) == (503, True)
        await until(lambda: drained(app))
        # Of what was refused nobody knows; it may be stored, and its sender sends it again.
        assert taken <= await connection.fetchval("SELECT count(*) FROM ping") <= taken + 100
        assert (await console(app, "/readyz"))[0] == 200
        assert is_taken(await ask(ingest, post(ping())))
        assert balances(await samples(app))


async def test_a_full_disk_takes_nothing(database: str, tmp_path: Path) -> None:
    """Where the disk is fuller than SPOOL_DISK_PERCENT, the spool takes nothing, whatever it holds itself."""
    given: dict[str, Any] = {"spool_dir": str(tmp_path / "spool"), "spool_after_s": 0.2, "commit_s": 0.5}
    async with running(database, spool_disk_percent=1, **given) as app, locking(database, "ping"):
        assert (await ask(app.addresses.ingest, post(ping()))).status == 503
        assert (await console(app, "/readyz"))[0] == 503
    async with running(database, spool_disk_percent=100, **given) as app, locking(database, "ping"):
        assert is_taken(await ask(app.addresses.ingest, post(ping())))


@pytest.mark.fault(29)
async def test_a_row_refused_at_drain_is_quarantined(database: str, tmp_path: Path) -> None:
    """A row that PostgreSQL refuses only when it is drained is kept with its reason; those beside it are stored."""
    async with (
        connected(database) as connection,
        running(database, spool_dir=str(tmp_path / "spool"), spool_after_s=0.2) as app,
    ):
        await connection.execute("ALTER TABLE ping ADD CHECK (version <> 'poison')")
        async with locking(database, "ping"):
            requests = [post(ping(install=f"install-{number}")) for number in range(20)]
            answers = await asyncio.gather(
                *(ask(app.addresses.ingest, request) for request in [*requests, post(ping(version="poison"))])
            )
            assert all(map(is_taken, answers))
        await until(lambda: drained(app))
        assert await connection.fetchval("SELECT count(*) FROM ping") == 20
        assert "check" in await connection.fetchval("SELECT reason FROM quarantine")
        found = await samples(app)
        assert found["callhome_quarantined_pings_total",] == 1
        assert balances(found)


@pytest.mark.fault(25)
async def test_stopping_spools_what_can_not_be_committed(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped while the database hangs, all that waits is spooled and answered; the next start stores it."""
    spool = str(tmp_path / "spool")
    caplog.set_level("INFO")
    async with connected(database) as connection:
        async with running(database, spool_dir=spool, spool_after_s=60, stop_s=4) as app:
            async with locking(database, "ping"):
                asked = []
                for number in range(1, 4):  # one is being written, the others wait behind it
                    request = post(ping(install=f"install-{number}"))
                    asked.append(asyncio.create_task(ask(app.addresses.ingest, request)))
                    await until(partial(waits, app, number))
                await app.__aexit__()
                assert all(map(is_taken, await asyncio.gather(*asked)))
            assert f"3 pings wait in the spool {spool}" in caplog.text
            assert app.tally.refused == {}
        assert await connection.fetchval("SELECT count(*) FROM ping") == 0
        async with running(database, spool_dir=spool) as app:
            await until(lambda: drained(app))
            await until(lambda: all_folded(connection))
        assert await connection.fetchval("SELECT count(*) FROM ping") == 3


async def test_a_stop_waits_for_the_spool(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With STOP_DRAIN_S a server ends once its spool is in the database, however long beyond STOP_S that takes."""
    caplog.set_level("INFO")
    spool = {"spool_dir": str(tmp_path / "spool"), "spool_after_s": 0.1}
    async with connected(database) as connection:
        async with running(database, **spool, stop_s=3, stop_drain_s=600) as app:
            async with locking(database, "ping"):
                assert is_taken(await ask(app.addresses.ingest, post(ping())))
                stopping = asyncio.create_task(app.__aexit__())
                await until(partial(says, caplog, "stopping waits until 1 pings are out of the spool"))
                assert not (await asyncio.wait([stopping], timeout=4))[0]
                assert (await console(app, "/readyz"))[0] == 503
            await stopping
        assert await connection.fetchval("SELECT count(*) FROM ping") == 1
    assert "the rest was cut" not in caplog.text
    assert "wait in the spool" not in caplog.text


async def test_a_stop_waits_for_the_spool_no_longer_than_that(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After STOP_DRAIN_S it ends all the same, and the next start stores what is in the spool."""
    caplog.set_level("INFO")
    spool = {"spool_dir": str(tmp_path / "spool"), "spool_after_s": 0.1}
    async with connected(database) as connection:
        async with running(database, **spool, stop_drain_s=0.3) as app, locking(database, "ping"):
            assert is_taken(await ask(app.addresses.ingest, post(ping())))
            await app.__aexit__()
        assert "1 pings wait in the spool" in caplog.text
        async with running(database, **spool) as app:
            await until(lambda: drained(app))
        assert await connection.fetchval("SELECT count(*) FROM ping") == 1


async def says(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    """Whether the log has a text."""
    return text in caplog.text


async def waits(app: App, pings: int) -> bool:
    """Whether so many pings wait for their commit."""
    return app.tally.pending == pings


async def test_a_database_that_hangs_is_away_until_it_commits(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes connections, but commits nothing: only the first ping waits for it, the others are spooled at once."""
    caplog.set_level("INFO")
    async with running(database, spool_dir=str(tmp_path / "spool"), spool_after_s=0.3) as app:
        async with locking(database, "ping"):
            for number in range(5):
                assert is_taken(await ask(app.addresses.ingest, post(ping(install=f"install-{number}"))))
                assert (await samples(app))["callhome_database_away",] == 1
            assert "pings go to it" not in caplog.text
        await until(lambda: drained(app))
        assert "pings go to it" in caplog.text
        assert balances(await samples(app))


async def test_a_folder_is_for_one_server(database: str, tmp_path: Path) -> None:
    """A second server on the same folder does not start, and says which folder it is."""
    spool = tmp_path / "spool"
    async with running(database, spool_dir=str(spool)):
        with pytest.raises(CallhomeError, match=str(spool)):
            async with App(settings_of(database, spool_dir=str(spool))):
                pass


def test_a_plain_account_balances() -> None:
    """The account is wrong by one ping that is in none of its outcomes."""
    tally = Tally()
    tally.received, tally.recovered = 5, 1
    tally.stored_by_product[1] += 2
    tally.duplicates = tally.quarantined = tally.spooled = 1
    tally.refuse("too_long")
    assert balances(samples_of(tally))
    tally.received += 1
    assert not balances(samples_of(tally))
