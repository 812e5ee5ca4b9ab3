"""`callhome.measuring`: what a whole server tells of its parts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from callhome.app import App
from callhome.ingest.reasons import Reason
from callhome.store import keeper
from listener import post
from mailpeers import Peer, always
from running import all_folded, connected, locking, ping, raw, running, until
from subscriptions import due, hurry

Samples = dict[tuple[str, ...], float]
SUCCESS = "callhome_task_last_success_timestamp_seconds"
TASKS = {"access", "catalogue", "keeper", "live counters", "alerts", "alert messages", "licenses", "series"}
OF_MAILS = {"mails", "reports"}


async def told(app: App) -> Samples:
    """What a server tells: name and labels' values -> value."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{app.addresses.console.url}/metrics") as got,
    ):
        text = await got.text()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def is_told(app: App, expected: Mapping[Any, float]) -> bool:
    """Whether it tells this, among others."""
    found = await told(app)
    return all(found.get(key) == value for key, value in expected.items())


async def test_all_tasks_do_their_work(database: str) -> None:
    """Each task that uses the database is connected and went well; partitions, too. Nothing has failed."""
    async with running(database) as app:
        begun_s = time.time() - 60

        async def all_went_well() -> bool:
            found = await told(app)
            done = {key[1] for key, value in found.items() if key[0] == SUCCESS and value > begun_s}
            return done == TASKS | {"partitions"}

        await until(all_went_well)
        found = await told(app)
    assert {key[1]: value for key, value in found.items() if key[0] == "callhome_task_connected"} == (
        dict.fromkeys(TASKS, 1.0)
    )
    assert {value for key, value in found.items() if key[0] == "callhome_task_interruptions_total"} == {0.0}


async def test_a_task_that_loses_its_connection_is_told(database: str) -> None:
    """A session that is ended is an interruption of its task alone, and connected again."""
    async with running(database) as app, connected(database) as connection:
        await until(partial(is_told, app, {("callhome_task_connected", "licenses"): 1.0}))
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'callhome licenses'"
        )
        interrupted = {("callhome_task_interruptions_total", "licenses"): 1.0}
        await until(partial(is_told, app, interrupted | {("callhome_task_connected", "licenses"): 1.0}))
        assert await is_told(app, {("callhome_task_interruptions_total", "keeper"): 0.0})


async def test_partitions_that_can_not_be_made_are_told(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the table up makes the task partitions fail, while folding goes on."""
    monkeypatch.setattr(keeper, "_PARTITIONS_S", 0.0)
    async with running(database) as app, locking(database, "ping_default"):

        async def has_failed() -> bool:
            return (await told(app))["callhome_task_interruptions_total", "partitions"] > 0

        await until(has_failed)


async def test_what_became_of_mails_is_counted(database: str) -> None:
    """A mail that is taken, one that is refused and one that is to come later are one of each."""
    later = always("RCPT", "451 later", "later@")
    refuse = always("RCPT", "550 no", "never@")
    peer = Peer(lambda *heard: later(*heard) or refuse(*heard))
    settings = {"mail_from": "callhome@example.com"}
    async with (
        connected(database) as connection,
        peer.listening(),
        running(database, smtp_url=str(peer.url), **settings) as app,
    ):
        await due(connection, recipients=("ok@example.com", "never@example.com", "later@example.com"))
        counted = {("callhome_deliveries_total", outcome, "mails"): 1.0 for outcome in ("sent", "failed")}
        await until(
            partial(is_told, app, counted | {("callhome_deliveries_total", "postponed", "mails"): 1.0})
        )
        await hurry(connection)
        await until(
            partial(is_told, app, counted | {("callhome_deliveries_total", "postponed", "mails"): 2.0})
        )
        found = await told(app)
    assert {key[1] for key in found if key[0] == SUCCESS} == TASKS | OF_MAILS | {"partitions"}
    assert found["callhome_deliveries_total", "uncertain", "mails"] == 0


async def test_a_mail_server_that_is_away_is_told(database: str) -> None:
    """A mail server that does not answer is unreachable, and no mail has failed."""
    settings = {"mail_from": "callhome@example.com", "smtp_url": "smtp://127.0.0.1:1"}
    async with connected(database) as connection, running(database, **settings) as app:
        await due(connection)

        async def is_unreachable() -> bool:
            return (await told(app))["callhome_deliveries_total", "unreachable", "mails"] > 0

        await until(is_unreachable)
        assert await is_told(app, {("callhome_deliveries_total", "failed", "mails"): 0.0})


async def test_connections_and_reasons_are_told(database: str) -> None:
    """Open connections of both listeners beside their bounds, and each reason, of which none has come yet."""
    async with running(database, connections="70", viewers="3") as app, raw(app.addresses.ingest):
        await until(partial(is_told, app, {("callhome_connections", "ingest"): 1.0}))
        found = await told(app)
    assert found["callhome_connections_limit", "ingest"] == 70
    assert 1 <= found["callhome_connections", "console"] <= found["callhome_connections_limit", "console"]
    assert {key[1]: value for key, value in found.items() if key[0] == "callhome_refused_pings_total"} == (
        dict.fromkeys(Reason, 0.0)
    )


async def test_the_spool_and_its_disk_are_told(database: str, tmp_path: Path) -> None:
    """The bounds of the spool, and how full its disk is; without a spool nothing of that."""
    async with running(database) as app:
        assert ("callhome_spool_bytes",) not in await told(app)
    given: dict[str, Any] = {"spool_dir": str(tmp_path / "spool"), "spool_disk_percent": 99}
    async with running(database, spool_bytes=2**24, **given) as app:

        async def is_measured() -> bool:
            return 0 < (await told(app))["callhome_spool_disk_used_ratio",] < 1

        await until(is_measured)
        expected = {("callhome_spool_limit_bytes",): 2.0**24, ("callhome_spool_disk_limit_ratio",): 0.99}
        assert await is_told(app, expected)


async def test_what_waits_to_be_folded_is_told(database: str) -> None:
    """Batches and pings that wait are counted while the fold can't go on, and are none once it has."""
    async with running(database) as app, connected(database) as other:
        async with other.transaction():
            # Another replica that folds, and takes its time.
            await other.execute("SELECT pg_advisory_xact_lock(x'63616C6C00000002'::bigint)")
            async with raw(app.addresses.ingest) as client:
                for number in range(3):
                    body = ping(install=f"install-{number}")
                    assert (await client.send(post(body)).answer()).status in (200, 204)
            expected = {("callhome_unfolded_batches",): 3.0, ("callhome_unfolded_pings",): 3.0}
            await until(partial(is_told, app, expected))
        await until(partial(all_folded, other))
        await until(partial(is_told, app, dict.fromkeys(expected, 0.0)))
        assert (await told(app))["callhome_last_fold_timestamp_seconds",] > time.time() - 60


async def test_the_loop_is_watched(database: str) -> None:
    """A server looks at its own event loop."""
    async with running(database) as app:

        async def looked() -> bool:
            return (await told(app))["callhome_loop_lag_seconds_count",] > 0

        await until(looked)
