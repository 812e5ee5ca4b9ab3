"""`callhome.ingest.drainer`: what is spooled reaches a real PostgreSQL, in order, once, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from callhome.errors import CallhomeError
from callhome.ingest.drainer import Drainer
from callhome.ingest.failover import Failover
from callhome.metrics import Tally
from callhome.spool.errors import SpoolUnavailable
from callhome.store.writer import BatchWriter
from rows import Row
from running import connected, locking, until


@dataclass
class Record:
    rows: list[bytes]
    attempts: list[bytes] = field(default_factory=list)
    is_fresh: bool = True


@dataclass
class Shelf:
    """A spool in memory: what is on it, and what went."""

    records: deque[Record] = field(default_factory=deque)
    gone: list[Record] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    async def oldest(self, limit_rows: int) -> Record | None:
        assert limit_rows == 100
        if self.errors:
            raise self.errors.pop()
        return self.records[0] if self.records else None

    async def settled(self, spooled: Any) -> None:
        assert self.records.popleft() is spooled
        self.gone.append(spooled)


def record(*installs: int, **given: Any) -> Record:
    return Record([bytes(Row(install=install)) for install in installs], **given)


@asynccontextmanager
async def draining(
    dsn: str, shelf: Shelf, failover: Failover | None = None
) -> AsyncIterator[tuple[Failover, Tally]]:
    """Drain a shelf into a database."""
    failover = failover or Failover(None, commit_s=1.0, spool_after_s=1.0)
    tally = Tally()
    async with Drainer(shelf, failover, BatchWriter(dsn), tally, batch_pings=100, commit_s=1.0):
        yield failover, tally


async def is_empty(shelf: Shelf) -> bool:
    return not shelf.records


async def is_back(failover: Failover) -> bool:
    return not failover.is_away


async def test_the_oldest_comes_first(database: str) -> None:
    """Each record is a batch of its own, stored in the order in which it was spooled, and counted by product."""
    shelf = Shelf(deque([record(1, 2), record(3), record(4)]))
    expected = list(shelf.records)
    async with draining(database, shelf) as (_, tally), connected(database) as connection:
        await until(lambda: is_empty(shelf))
        assert shelf.gone == expected
        batches = await connection.fetch("SELECT received FROM batch ORDER BY id")
        assert [row["received"] for row in batches] == [2, 1, 1]
        assert tally.stored_by_product == {1: 4}


async def test_what_an_attempt_stored_before_is_no_duplicate(database: str) -> None:
    """Rows that were committed without an answer, and spooled, count as stored; a client's twins as duplicates."""
    attempts: list[bytes] = []
    ours, theirs = record(1, 2), record(3)
    writer = BatchWriter(database)
    await writer.write(ours.rows, attempts=attempts)
    await writer.write(theirs.rows)
    await writer.close()
    ours.attempts = attempts
    shelf = Shelf(deque([ours, theirs]))
    async with draining(database, shelf) as (_, tally):
        await until(lambda: is_empty(shelf))
        assert (tally.stored, tally.duplicates) == (2, 1)


async def test_it_goes_on_when_the_way_is_free(database: str) -> None:
    """While the table is locked nothing is lost or given up; then it is stored, and new pings go straight again."""
    shelf = Shelf(deque([record(1)]))
    failover = Failover(None, commit_s=1.0, spool_after_s=1.0)
    failover.is_away = True
    async with connected(database) as connection:
        async with locking(database, "ping"), draining(database, shelf, failover) as (_, tally):
            await until(lambda: waits_for_lock(connection))
            assert failover.is_away
            assert tally.stored == 0
        async with draining(database, shelf, failover) as (_, tally):
            await until(lambda: is_empty(shelf))
            await until(lambda: is_back(failover))
            assert tally.stored == 1
        assert await connection.fetchval("SELECT count(*) FROM ping") == 1


async def waits_for_lock(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Whether the drainer has asked for what is locked."""
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND application_name = 'callhome writer'"
        )
    )


async def test_an_empty_spool_only_asks_whether_the_database_is_back(database: str) -> None:
    """Where nothing could be spooled, a connection is enough to send new pings there again."""
    failover = Failover(None, commit_s=1.0, spool_after_s=1.0)
    failover.is_away = True
    async with draining(database, Shelf(), failover):
        await until(lambda: is_back(failover))


async def test_nothing_is_written_before_the_database_is_prepared(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It asks for the preparation until that succeeds, says once why not, and then drains."""
    asked = 0

    async def prepare() -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise CallhomeError("its schema is of another time")

    shelf = Shelf(deque([record(1)]))
    failover = Failover(None, commit_s=1.0, spool_after_s=1.0, prepare=prepare)
    async with draining(database, shelf, failover) as (_, tally):
        await until(lambda: is_empty(shelf))
        await until(lambda: is_back(failover))
        assert (asked, tally.stored) == (3, 1)
    assert caplog.text.count("its schema is of another time") == 1


async def test_a_spool_that_can_not_be_read_is_tried_again(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the disk is logged, and what is there is drained once it can be read."""
    shelf = Shelf(deque([record(1)]), errors=[SpoolUnavailable("input/output error")])
    async with draining(database, shelf):
        await until(lambda: is_empty(shelf))
    assert "input/output error" in caplog.text


async def test_what_is_spooled_later_is_drained(database: str) -> None:
    """It sleeps while there is nothing, and is woken by what is spooled."""
    shelf = Shelf()
    async with draining(database, shelf) as (failover, tally):
        await until(lambda: sleeps(failover))
        shelf.records.append(record(1))
        failover.attention.set()
        await until(lambda: is_empty(shelf))
        assert tally.stored == 1


async def sleeps(failover: Failover) -> bool:
    return not failover.attention.is_set()


async def test_leaving_does_not_wait_for_the_database(database: str) -> None:
    """Left while a write hangs it ends at once; the record stays."""
    shelf = Shelf(deque([record(1)]))
    async with connected(database) as connection, locking(database, "ping"):
        async with draining(database, shelf):
            await until(lambda: waits_for_lock(connection))
        async with asyncio.timeout(5):
            await until(lambda: no_writer(connection))
    assert len(shelf.records) == 1


async def no_writer(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Whether the session of the drainer is gone."""
    return not await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'callhome writer'"
    )
