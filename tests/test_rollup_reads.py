"""What a fold reads of the table ``ping``: the pings of its batches, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from callhome.store import partitions, rollup
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from rows import Row

NOW = datetime.now(UTC)
OTHERS = 3_000
# With a few batches the planner may be right by luck.
BATCHES = 30


async def test_batches_of_old_and_new_read_nothing_between(database: str) -> None:
    """Batches with a ping of three days ago and one of now: the thousands of pings between are not read."""
    connection, writer = await asyncpg.connect(database), BatchWriter(database)
    await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
    await partitions.ensure(connection, NOW.date())
    await rollup.prepare(connection)
    between_s = (NOW - timedelta(days=1)).timestamp()
    await writer.write([bytes(Row(id=new_id(between_s), install=number)) for number in range(OTHERS)])
    while (folded := await rollup.fold(connection)) and folded.batches:
        pass

    async def read() -> int:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        count: int = await connection.fetchval(
            "SELECT coalesce(sum(idx_tup_read), 0)::int FROM pg_stat_user_indexes WHERE relname LIKE 'ping%'"
        )
        return count

    before = await read()
    for _ in range(BATCHES):
        ids = [new_id((NOW - timedelta(days=days)).timestamp()) for days in (3, 0)]
        await writer.write([bytes(Row(id=id, install=number)) for number, id in enumerate(ids)])
    folded = await rollup.fold(connection)
    assert folded is not None
    assert folded.pings == 2 * BATCHES
    assert await read() - before < OTHERS / 10
    await writer.close()
    await connection.close()


async def test_late_pings_cost_no_more_than_their_number(database: str) -> None:
    """A fold of pings that all come late reads its scratch tables some times over, and not once for each ping."""
    connection, writer = await asyncpg.connect(database), BatchWriter(database)
    await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
    await partitions.ensure(connection, NOW.date())
    await rollup.prepare(connection)
    late = 1_000
    for days in (0, 1):
        at_s = (NOW - timedelta(days=days)).timestamp()
        pings = [
            Row(id=new_id(at_s), at_s=at_s, install=number, version=f"{days}.0") for number in range(late)
        ]
        await writer.write([bytes(ping) for ping in pings])
        folded = await rollup.fold(connection)
        assert folded is not None
        assert folded.pings == late
    await connection.execute("SELECT pg_stat_force_next_flush()")
    read = await connection.fetchval(
        "SELECT seq_tup_read FROM pg_stat_all_tables WHERE relname = 'fold_change'"
    )
    assert read < 100 * late
    assert await connection.fetchval("SELECT installs FROM upgrade_daily") == late
    await writer.close()
    await connection.close()
