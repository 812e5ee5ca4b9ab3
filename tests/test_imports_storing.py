"""`callhome.imports.storing`: rows that PostgreSQL refuses, and giving way to servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from callhome.imports.checks import keep_from, midnight_ms
from callhome.imports.chunks import chunks
from callhome.imports.converting import Reach
from callhome.imports.preparing import Prepared
from callhome.imports.storing import QUEUE_ROWS, Outcome, Storing, Wanted
from callhome.store.ids import id_at, new_id
from histories import RETENTION_DAYS, TODAY
from rows import Row
from running import connected, until

OLD_MS = midnight_ms(TODAY - timedelta(days=RETENTION_DAYS + 50))
NEW_MS = midnight_ms(TODAY - timedelta(days=3))
WANTED = Wanted("a test", refused=0, retention_days=RETENTION_DAYS, wait=True, overlapping=False)


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
