"""`callhome.store.keeper`: batches are folded without being asked, midnight is noticed, replicas take turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from callhome.metrics import Tally
from callhome.settings import Listen
from callhome.store.keeper import Keeper, pause_share
from callhome.store.writer import BatchWriter
from cutting import CutLine
from rows import Row
from test_rollup import TODAY


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what must come; a test that waits in vain ends by its time limit here."""
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)


def folded(connection: Any, launches: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return bool(
            await connection.fetchval("SELECT coalesce(sum(launches), 0) = $1 FROM usage_daily", launches)
        )

    return check


@pytest.mark.parametrize(
    ("commits", "behind", "lag_s", "share"),
    [
        (0.0, False, 0.0, 1.0),
        (0.8, False, 0.0, 1.0),
        (0.0, True, 5.0, 0.0),
        (0.8, True, 5.0, 0.4),
        (1.0, True, 5.0, 0.5),
        (1.2, True, 5.0, 6.0),
        (1.2, False, 0.0, 6.0),
        (1.2, True, 60.0, 0.6),
    ],
)
def test_commits_go_first(commits: float, behind: bool, lag_s: float, share: float) -> None:
    """The more commits are under way the longer a fold's pause, until counts are late; alone, it makes none."""
    assert pause_share(commits, behind, lag_s) == pytest.approx(share)


async def test_two_keepers_fold_each_batch_once(database: str) -> None:
    """With two replicas at work, and the connection of each cut in between, every launch is counted exactly once."""
    connection = await asyncpg.connect(database)
    writer, tallies = BatchWriter(database), (Tally(), Tally())
    keepers = [Keeper(database, tally, retention_days=400) for tally in tallies]
    async with keepers[0], keepers[1]:
        for number in range(30):
            await writer.write([bytes(Row(install=i)) for i in range(20)])
            keepers[number % 2].wake()
            if number in (10, 20):
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'callhome keeper' AND datname = current_database()"
                )
        await until(folded(connection, 600))
    assert await connection.fetchval("SELECT count(*) FROM batch") == 0
    assert await connection.fetchval("SELECT count(*) FROM activity") == 20
    await writer.close()
    await connection.close()


async def test_midnight_starts_the_day_at_nought(database: str) -> None:
    """When the UTC day changes, today's numbers are those of the new day and the 30 days move on by one."""
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
    writer = BatchWriter(database)
    clock: list[date] = [TODAY]
    async with Keeper(database, Tally(), retention_days=400, today=lambda: clock[0]):
        await writer.write([bytes(Row(users=4))])
        await until(folded(connection, 1))
        live = await connection.fetch("SELECT installs_today, installs_30d FROM live_count")
        assert [tuple(row) for row in live] == [(1, 1)]
        for days, expected in ((1, [(0, 0, 0, 1, 4, 1)]), (30, [])):
            clock[0] = TODAY + timedelta(days=days)

            async def recounted() -> bool:
                return bool(await connection.fetchval("SELECT today = $1 FROM live_seq", clock[0]))

            await until(recounted)
            rows = await connection.fetch("SELECT * FROM live_count")
            assert [tuple(row)[2:] for row in rows] == expected
    await writer.close()
    await connection.close()


async def test_a_long_reader_does_not_stop_the_folding(database: str) -> None:
    """While pg_dump or the like reads ping, new partitions wait, and pings are folded all the same."""
    connection, reader = await asyncpg.connect(database), await asyncpg.connect(database)
    writer = BatchWriter(database)
    later = TODAY + timedelta(days=40)
    async with reader.transaction():
        await reader.execute("SELECT count(*) FROM ping")
        async with Keeper(database, Tally(), retention_days=400, today=lambda: later):
            await writer.write([bytes(Row())])
            await until(folded(connection, 1))
    assert await connection.fetchval("SELECT to_regclass($1) IS NULL", f"ping_{later:%Y%m%d}")
    await writer.close()
    await reader.close()
    await connection.close()


async def test_the_lag_is_the_age_of_the_oldest_batch(database: str) -> None:
    """While another replica holds the rollup's lock the lag grows, and is nought once its batches are folded."""
    from callhome.store.rollup import ROLLUP_LOCK

    connection = await asyncpg.connect(database)
    writer, tally = BatchWriter(database), Tally()
    async with Keeper(database, tally, retention_days=400):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", ROLLUP_LOCK)
            await writer.write([bytes(Row())])

            async def lagging() -> bool:
                return tally.rollup_lag_s > 0.6

            await until(lagging)
        await until(folded(connection, 1))

        async def caught_up() -> bool:
            return tally.rollup_lag_s < 0.5

        await until(caught_up)
        assert tally.folded == 1
    await writer.close()
    await connection.close()


async def test_a_step_that_hangs_is_cut_when_the_database_is_back(database: str) -> None:
    """A line that swallows everything holds folding up until the database is known to be back: then it begins anew."""
    connection = await asyncpg.connect(database)
    writer = BatchWriter(database)
    place, _, name = database.rpartition("@")[2].partition("/")
    async with CutLine(Listen(place.partition(":")[0], int(place.partition(":")[2]))) as line:
        dsn = f"{database.rpartition('@')[0]}@127.0.0.1:{line.port}/{name}"
        async with Keeper(dsn, Tally(), retention_days=400) as keeper:
            await writer.write([bytes(Row(install=1))])
            await until(folded(connection, 1))
            before_s = time.monotonic()
            line.strand()
            await writer.write([bytes(Row(install=1))])
            keeper.database_is_back(before_s - 60)  # no step is as old as that: nothing is cut
            await asyncio.sleep(1)
            assert not await folded(connection, 2)()
            keeper.database_is_back(time.monotonic())
            await until(folded(connection, 2))
    await writer.close()
    await connection.close()
