"""`callhome.store.partitions`: made ahead, filled from the default partition, dropped by retention."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from callhome.store import partitions
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from rows import Row

TODAY = datetime.now(UTC).date()


def noon_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()


async def where(connection: Any, table: str = "ping") -> list[str]:
    rows = await connection.fetch(f"SELECT tableoid::regclass::text FROM {table} ORDER BY 1")
    # Of a distributed table it is the part of the partition that lies on one worker: its name with a number.
    return [re.sub(r"_\d{6}$", "", row[0]) for row in rows]


@pytest.mark.parametrize("days", [-90, -1, 0, 30])
async def test_an_id_lies_in_the_partition_of_its_day(database: str, days: int) -> None:
    """From 90 days ago to 30 days ahead there is a partition for each day."""
    day = TODAY + timedelta(days=days)
    writer = BatchWriter(database)
    await writer.write([bytes(Row(id=new_id(noon_s(day))))])
    connection = await asyncpg.connect(database)
    assert await where(connection) == [f"ping_{day:%Y%m%d}"]
    await connection.close()
    await writer.close()


async def test_rows_move_out_of_the_default_partition(database: str) -> None:
    """A ping of a day that has no partition yet moves into it when it is made, and still meets its twin."""
    later = TODAY + timedelta(days=40)
    row = [bytes(Row(id=new_id(noon_s(later))))]
    writer = BatchWriter(database)
    await writer.write(row)
    connection = await asyncpg.connect(database)
    assert await where(connection) == ["ping_default"]
    async with connection.transaction():
        made = await partitions.ensure(connection, TODAY + timedelta(days=15))
    assert f"ping_{later:%Y%m%d}" in made
    assert await where(connection) == [f"ping_{later:%Y%m%d}"]
    assert (await writer.write(row)).duplicates == 1
    async with connection.transaction():
        assert await partitions.ensure(connection, TODAY + timedelta(days=15)) == []
    await connection.close()
    await writer.close()


async def test_retention_drops_whole_partitions_and_old_wrong_clocks(database: str) -> None:
    """Past the retention, days of ping, months of activity and rows of wrong clocks go, the unfolded and newer stay."""
    connection = await asyncpg.connect(database)
    writer = BatchWriter(database)
    old_s = noon_s(TODAY - timedelta(days=80))
    rows = [
        Row(id=new_id(0.0), at_s=old_s),
        Row(id=new_id(1.0)),
        Row(id=new_id(old_s), at_s=old_s),
        Row(id=new_id(noon_s(TODAY))),
    ]
    await writer.write([bytes(row) for row in rows])
    stored = await where(connection)
    dropped = await partitions.drop_old(connection, TODAY, 60)
    assert await where(connection) == stored, "they wait to be folded"
    await connection.execute("DELETE FROM batch")  # as the rollup that has folded them
    dropped += await partitions.drop_old(connection, TODAY, 60)
    keep_from = TODAY - timedelta(days=60)
    assert f"ping_{TODAY - timedelta(days=61):%Y%m%d}" in dropped
    assert f"ping_{keep_from:%Y%m%d}" not in dropped
    assert await where(connection) == [f"ping_{TODAY:%Y%m%d}", "ping_default"]
    months = await connection.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'activity'::regclass"
    )
    assert min(row[0] for row in months) == f"activity_{keep_from:%Y%m}01"
    await connection.close()
    await writer.close()


def test_the_first_id_of_a_day_is_its_midnight() -> None:
    """Ids of a day's first and the day before's last millisecond fall on either side of it."""
    midnight_ms = 1_709_251_200_000  # 2024-03-01
    boundary = partitions.first_id(date(2024, 3, 1)).bytes
    assert new_id((midnight_ms - 1) / 1000) < boundary <= new_id(midnight_ms / 1000)
