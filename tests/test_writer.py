"""`callhome.store.writer` on a real PostgreSQL: stored once, or known not to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from callhome.settings import Listen
from callhome.store.connection import StoreUnavailable
from callhome.store.encoding import row_key
from callhome.store.writer import BatchWriter
from cutting import CutLine
from rows import Row

# The writer itself waits 2 s for a lock.
PATIENCE_S = 10.0
OF_THE_WRITER = "datname = current_database() AND application_name = 'callhome writer'"


@pytest.fixture
async def writer(database: str) -> AsyncIterator[BatchWriter]:
    writer = BatchWriter(database)
    yield writer
    await writer.close()


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


def rows(count: int, **given: Any) -> list[bytes]:
    return [bytes(Row(install=i, **given)) for i in range(count)]


async def test_new_rows_are_stored_under_one_batch(writer: BatchWriter, connection: Any) -> None:
    """Every row belongs to the batch row of its transaction, which says how many and from which id to which."""
    batch = rows(50)
    written = await writer.write(batch)
    assert (written.stored, written.duplicates, written.refused) == (50, 0, {})
    assert await connection.fetchval(
        "SELECT (SELECT count(*) FROM ping WHERE batch = (SELECT id FROM batch)) = b.received AND b.duplicates = 0 "
        "AND b.first_id = (SELECT id FROM ping ORDER BY id LIMIT 1) "
        "AND b.last_id = (SELECT id FROM ping ORDER BY id DESC LIMIT 1) "
        "FROM batch b"
    )


@pytest.mark.parametrize("replay", [False, True])
async def test_rows_and_their_batch_are_stored_together(
    writer: BatchWriter, connection: Any, replay: bool
) -> None:
    """Where the row of the batch can't be written, none of its pings stays, and writing them again stores each once."""
    batch = rows(50)
    await connection.execute("ALTER TABLE batch RENAME TO elsewhere")
    with pytest.raises(StoreUnavailable):
        await writer.write(batch, replay=replay)
    assert await connection.fetchval("SELECT count(*) FROM ping") == 0
    await connection.execute("ALTER TABLE elsewhere RENAME TO batch")
    assert (await writer.write(batch, replay=True)).stored == 50
    assert await connection.fetchval("SELECT count(*) = 50 FROM ping JOIN batch ON batch.id = ping.batch")


@pytest.mark.parametrize("replay", [False, True])
async def test_a_replay_stores_nothing_twice(writer: BatchWriter, connection: Any, replay: bool) -> None:
    """Rows written again, announced as a replay or not, stay one row each and keep their first batch."""
    batch = rows(10)
    await writer.write(batch)
    before = await connection.fetch("SELECT id, batch FROM ping ORDER BY id")
    written = await writer.write(batch + rows(5), replay=replay)
    assert (written.stored, written.duplicates) == (5, 10)
    assert await connection.fetchval("SELECT count(*) FROM ping") == 15
    assert [
        row for row in await connection.fetch("SELECT id, batch FROM ping ORDER BY id") if row in before
    ] == before


async def test_a_replay_of_nothing_new_still_leaves_a_batch_row(writer: BatchWriter, connection: Any) -> None:
    """A batch of only duplicates writes its batch row, so that its COMMIT waits for a synchronous standby."""
    batch = rows(3)
    await writer.write(batch)
    await writer.write(batch)
    found = await connection.fetch("SELECT received, duplicates FROM batch ORDER BY id")
    assert [tuple(row) for row in found] == [(3, 0), (3, 3)]


async def test_twins_in_one_batch_are_one_row(writer: BatchWriter, connection: Any) -> None:
    """The same ping twice in one batch is stored once and counted as one duplicate."""
    written = await writer.write(rows(4) + (twins := [bytes(Row(install=9))]) + twins)
    assert (written.stored, written.duplicates) == (5, 1)


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.fault(29)
async def test_a_refused_row_is_found_and_quarantined(
    writer: BatchWriter, connection: Any, replay: bool
) -> None:
    """Row 29: of 2,000 rows, two that PostgreSQL refuses are kept with its reason, and the 1,998 others are stored."""
    await connection.execute("ALTER TABLE ping ADD CONSTRAINT no_poison CHECK (version <> 'poison')")
    poison = [bytes(Row(install=-1 % 2**64, version="poison")), bytes(Row(install=2**100, version="poison"))]
    good = rows(1_998)
    written = await writer.write([*good[:700], poison[0], *good[700:], poison[1]], replay=replay)
    assert (written.stored, written.duplicates) == (1_998, 0)
    assert set(written.refused) == {row_key(row) for row in poison}
    assert await connection.fetchval("SELECT count(*) FROM ping") == 1_998
    await writer.write(poison, replay=True)  # their senders try again
    kept = await connection.fetch("SELECT sqlstate, reason, row FROM quarantine")
    assert sorted(row["row"] for row in kept) == sorted(poison)
    assert {row["sqlstate"] for row in kept} == {"23514"}
    assert all("no_poison" in row["reason"] for row in kept)


async def test_the_twin_of_a_refused_row_is_refused_with_it(writer: BatchWriter, connection: Any) -> None:
    """A twin is left out of the batch; where the row that stands for both is refused, neither counts as stored."""
    await connection.execute("ALTER TABLE ping ADD CHECK (version <> 'poison')")
    poison = Row(version="poison", users=1)
    twin = Row(id=poison.id, version="poison", users=2)
    written = await writer.write([bytes(poison), bytes(twin), bytes(twin), *rows(2)])
    assert (written.stored, written.duplicates, len(written.refused)) == (2, 0, 1)


@pytest.mark.parametrize("clock_s", [0.0, 4_102_444_800.0], ids=["1970", "2100"])
@pytest.mark.fault(30)
async def test_wrong_clocks_meet_their_twins(writer: BatchWriter, connection: Any, clock_s: float) -> None:
    """Row 30: an id of 1970 or 2100 lies in the default partition and is stored once, however often it comes."""
    from callhome.store.ids import new_id

    row = [bytes(Row(id=new_id(clock_s)))]
    assert (await writer.write(row)).stored == 1
    assert (await writer.write(row)).duplicates == 1
    assert await connection.fetchval("SELECT count(*) FROM ping_default") == 1


async def test_a_killed_backend_is_an_unknown_outcome(writer: BatchWriter, connection: Any) -> None:
    """A connection that is lost raises StoreUnavailable; the next write opens another and settles it by a replay."""
    await writer.write(rows(1))
    blocked = connection.transaction()
    await blocked.start()
    await connection.execute("LOCK TABLE ping IN SHARE MODE")
    batch = rows(20)
    writing = asyncio.create_task(writer.write(batch))
    await wait_for_a_lock(connection)
    await connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OF_THE_WRITER}")
    with pytest.raises(StoreUnavailable):
        await writing
    await blocked.rollback()
    assert (await writer.write(batch, replay=True)).stored == 20


async def test_an_attempt_that_was_stored_counts_as_stored(writer: BatchWriter, connection: Any) -> None:
    """Rows that an attempt of unknown outcome has stored are told as stored, by product; others' rows as duplicates."""
    ours = [*rows(3), *rows(2, product=2)]
    theirs = rows(4)
    attempts: list[bytes] = []
    await writer.write(theirs)
    await writer.write(ours, attempts=attempts)  # nobody hears of it
    written = await writer.write([*ours, *theirs, *rows(1)], replay=True, attempts=attempts)
    assert (written.by_product, written.duplicates) == ({1: 4, 2: 2}, 4)
    assert len(attempts) == 2


async def wait_for_a_lock(connection: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await connection.fetchval(
            f"SELECT count(*) FROM pg_stat_activity WHERE {OF_THE_WRITER} AND wait_event_type = 'Lock'"
        ):
            # A transaction sees one state of it otherwise.
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)


async def test_cancelling_a_write_cuts_its_connection(writer: BatchWriter, connection: Any) -> None:
    """After a cancelled write nothing is left running, and the rows can be written again."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE ping IN SHARE MODE")
        batch = rows(5)
        writing = asyncio.create_task(writer.write(batch))
        await wait_for_a_lock(connection)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    written = await writer.write(batch, replay=True)
    assert written.stored + written.duplicates == 5
    assert await connection.fetchval("SELECT count(*) FROM ping") == 5


@pytest.mark.parametrize("replay", [False, True])
async def test_cancelling_ends_where_the_database_is_frozen(
    database: str, connection: Any, *, replay: bool
) -> None:
    """A server that answers nothing is asked for nothing, no ROLLBACK either: a drain ends when it is to."""
    place = urlsplit(database)
    async with CutLine(Listen(str(place.hostname), place.port or 5432)) as line, connection.transaction():
        writer = BatchWriter(database.replace(f":{place.port}/", f":{line.port}/"))
        await connection.execute("LOCK TABLE ping IN SHARE MODE")
        writing = asyncio.create_task(writer.write(rows(3), replay=replay))
        await wait_for_a_lock(connection)
        with line.hole():
            writing.cancel()
            done, _ = await asyncio.wait({writing}, timeout=PATIENCE_S)
            assert done
            assert writing.cancelled()


async def test_a_probe_commits_or_says_so(writer: BatchWriter, unused_tcp_port: int) -> None:
    """It asks for a commit, as anybody who may write, and leaves nothing."""
    await writer.probe()
    with pytest.raises(StoreUnavailable):
        await BatchWriter(f"postgresql://u:p@127.0.0.1:{unused_tcp_port}/x").probe()


async def test_a_database_that_is_not_there_is_named(unused_tcp_port: int) -> None:
    """The error names host, port and database, never the password, and what to check."""
    writer = BatchWriter(f"postgresql://user:hunter2@127.0.0.1:{unused_tcp_port}/nowhere")
    with pytest.raises(StoreUnavailable) as caught:
        await writer.write(rows(1))
    assert f"127.0.0.1:{unused_tcp_port}/nowhere" in str(caught.value)
    assert "hunter2" not in str(caught.value)
