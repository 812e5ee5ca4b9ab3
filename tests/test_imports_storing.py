"""`callhome.imports.storing`: rows that PostgreSQL refuses, and giving way to servers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from callhome.imports import storing
from callhome.imports.checks import midnight_ms
from callhome.imports.chunks import chunks
from callhome.imports.converting import Reach
from callhome.imports.preparing import Prepared
from callhome.imports.storing import QUEUE_ROWS, Storing
from callhome.imports.wanted import Outcome, Wanted
from callhome.store import imports
from callhome.store.ids import id_at, new_id
from callhome.store.partitions import keep_from
from histories import RETENTION_DAYS, TODAY
from rows import Row
from running import connected, until

OLD_MS = midnight_ms(TODAY - timedelta(days=RETENTION_DAYS + 50))
NEW_MS = midnight_ms(TODAY - timedelta(days=3))
WANTED = Wanted("a test", rejected=0, retention_days=RETENTION_DAYS, wait=True, overlapping=False)


def row(ms: int, number: int, version: str = "1.0") -> bytes:
    """A row of a time."""
    return bytes(Row(install=number, id=id_at(ms + number), at_s=ms / 1000, version=version))


async def store(dsn: str, rows: Sequence[bytes], wanted: Wanted = WANTED) -> Outcome:
    """Store these rows as an import does."""
    prepared = Prepared(reach={1: Reach(len(rows), OLD_MS, NEW_MS)}, fingerprint=b"f" * 32)
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES') ON CONFLICT DO NOTHING")
    async with Storing(dsn, prepared, wanted, lambda *_: None) as storing:
        done = await storing.begin(TODAY)
        await storing.store(chunks([sorted(rows)], done, midnight_ms(keep_from(TODAY, RETENTION_DAYS))))
        return storing.outcome


@pytest.mark.parametrize("ms", [OLD_MS, NEW_MS])
async def test_a_row_that_postgresql_refuses_costs_no_other(database: str, ms: int) -> None:
    """It goes into the quarantine, whether it is old or new; all others are counted."""
    rows = [row(ms, n, "a\0b" if n == 13 else "1.0") for n in range(40)]
    outcome = await store(database, rows)
    assert (outcome.rows, outcome.quarantined) == (40, 1)
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == 39
        assert await connection.fetchval("SELECT row FROM quarantine") == rows[13]


async def test_it_waits_while_much_is_to_be_folded_by_servers(database: str) -> None:
    """Where a server folds, no more than two folds' worth waits before what is live."""
    server = await asyncpg.connect(database, server_settings={"application_name": "callhome keeper"})
    id_ = new_id()
    await server.execute(
        "INSERT INTO batch (id, first_id, last_id, received, duplicates) VALUES ($1, $1, $1, $2, 0)",
        id_.hex(),
        QUEUE_ROWS,
    )
    task = asyncio.create_task(store(database, [row(NEW_MS, 1)]))
    looks = set[object]()

    async def has_looked_again() -> bool:
        looks.update(
            one["query_start"]
            for one in await server.fetch(
                "SELECT query_start FROM pg_stat_activity WHERE application_name = 'callhome import' "
                "AND datname = current_database() AND query LIKE '%FROM batch%' AND query LIKE '%received%'"
            )
        )
        return len(looks) > 3

    await until(has_looked_again)
    assert await server.fetchval("SELECT count(*) FROM ping") == 0
    await server.execute("DELETE FROM batch")
    await server.close()
    assert (await task).rows == 1
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == 1


@asynccontextmanager
async def crowded(
    dsn: str,
) -> AsyncIterator[tuple[asyncpg.Connection[asyncpg.Record], asyncio.Task[Outcome]]]:
    """A server's session, and an import of one row that waits because much is to be folded, until that is deleted."""
    server = await asyncpg.connect(dsn, server_settings={"application_name": "callhome keeper"})
    await server.execute(
        "INSERT INTO batch (id, first_id, last_id, received, duplicates) VALUES ($1, $1, $1, $2, 0)",
        new_id().hex(),
        QUEUE_ROWS,
    )
    task = asyncio.create_task(store(dsn, [row(NEW_MS, 1)]))
    try:
        await until(lambda: waits(server))
        yield server, task
        await server.execute("DELETE FROM batch")
        await server.close()  # now it folds by itself
        assert (await asyncio.wait_for(task, 60)).rows == 1
        async with connected(dsn) as connection:
            assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == 1
    finally:
        task.cancel()
        await server.close()


# Of an import: that which stores, and that which folds.
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"


async def sessions(server: asyncpg.Connection[asyncpg.Record]) -> set[int]:
    """The sessions of imports."""
    return {one["pid"] for one in await server.fetch(SESSIONS, "callhome import")}


async def storing_session(server: asyncpg.Connection[asyncpg.Record]) -> int:
    """That which stores: it holds the lock of imports."""
    locked = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = $1::bigint & 65535"
    (pid,) = {one["pid"] for one in await server.fetch(locked, imports.IMPORT_LOCK)} & await sessions(server)
    return int(pid)


async def waits(server: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Whether an import has begun to wait."""
    return bool(
        await server.fetch(
            f"{SESSIONS} AND query LIKE '%FROM batch%' AND query LIKE '%received%'", "callhome import"
        )
    )


async def test_a_cut_is_borne_however_long_it_has_waited(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience counts from the moment at which the connection was lost."""
    monkeypatch.setattr(storing, "PATIENCE_S", 1.0)
    async with crowded(database) as (server, task):
        await asyncio.sleep(1.2)  # longer than its patience
        await server.execute("SELECT pg_terminate_backend($1::integer)", await storing_session(server))
        await until(lambda: waits(server))
        assert not task.done()


async def test_its_own_lock_of_before_is_waited_for(database: str) -> None:
    """Whose session PostgreSQL still thinks alive gets its turn once that is over."""
    async with crowded(database) as (server, task):
        session, known = await storing_session(server), await sessions(server)
        # Given up together with the lock: whoever waits for it has it next.
        holder = await asyncpg.connect(database)
        locking = asyncio.create_task(holder.execute("SELECT pg_advisory_lock($1)", imports.IMPORT_LOCK))
        await until(lambda: is_waited_for(server))
        await server.execute("SELECT pg_terminate_backend($1::integer)", session)
        await locking

        async def has_tried_twice() -> bool:
            known.update(await sessions(server))
            return len(known) > 3

        await until(has_tried_twice)
        assert not task.done()
        await holder.close()
        await until(lambda: waits(server))


async def is_waited_for(server: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Whether somebody waits for an advisory lock."""
    return bool(
        await server.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    )


async def test_a_session_that_never_answers_is_left(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the database's machine freezes: the import goes on over another session."""
    monkeypatch.setattr(storing, "STEP_S", 1.0)
    async with crowded(database) as (server, task):
        frozen, known = await storing_session(server), await sessions(server)
        os.kill(frozen, signal.SIGSTOP)
        try:

            async def has_another() -> bool:
                return bool(await sessions(server) - known)

            await until(has_another)
        finally:
            os.kill(frozen, signal.SIGCONT)  # its lock goes with it
        await until(lambda: waits(server))
        assert not task.done()
