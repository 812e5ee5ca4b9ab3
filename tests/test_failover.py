"""`callhome.ingest.failover`: a batch lands in PostgreSQL, or in the spool, or its sender is told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from callhome.ingest.failover import Failover
from callhome.spool.errors import SpoolUnavailable
from callhome.store.connection import StoreUnavailable
from callhome.store.writer import Written


class Database:
    """Stands for the time that a commit takes and for an outage; ``given`` are the calls it has seen."""

    def __init__(self) -> None:
        self.given: list[tuple[list[bytes], bool]] = []
        self.is_down = False
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.cuts = 0

    async def write(
        self, rows: Sequence[bytes], *, replay: bool = False, attempts: list[bytes] | None = None
    ) -> Written:
        assert attempts is not None
        self.given.append((list(rows), replay))
        if self.is_down:
            raise StoreUnavailable("down")
        attempts.append(b"%016d" % len(self.given))
        await self.hangs.wait()
        if self.cuts:
            raise StoreUnavailable("cut")
        return Written(Counter({1: len(rows)}))

    def terminate(self) -> None:
        self.cuts += 1
        self.hangs.set()


class Disk:
    """A spool that keeps what it is given in memory."""

    def __init__(self) -> None:
        self.is_ready = True
        self.fails = False
        self.kept: list[tuple[list[bytes], list[bytes]]] = []

    async def append(self, rows: Sequence[bytes], attempts: Sequence[bytes] = ()) -> None:
        if self.fails:
            raise SpoolUnavailable("no space left")
        self.kept.append((list(rows), list(attempts)))


def failover(disk: Disk | None, prepare: Callable[[], Awaitable[None]] | None = None) -> Failover:
    return Failover(disk, commit_s=0.2, spool_after_s=0.1, prepare=prepare)


async def test_a_batch_goes_to_the_database() -> None:
    """While commits go through, nothing is spooled."""
    database, disk = Database(), Disk()
    written = await failover(disk).write(database, [b"a", b"b"])
    assert written is not None
    assert written.stored == 2
    assert disk.kept == []


async def test_while_the_database_is_away_all_goes_to_the_spool() -> None:
    """The first batch finds out; those after it don't ask, until the drainer says that it is back."""
    database, disk = Database(), Disk()
    away = failover(disk)
    database.is_down = True
    for row in (b"a", b"b"):
        assert await away.write(database, [row]) is None
    assert away.is_away
    assert away.attention.is_set()
    assert [rows for rows, _ in database.given] == [[b"a"]]
    assert disk.kept == [([b"a"], []), ([b"b"], [])]
    assert away.spooled == 2
    database.is_down = False
    away.come_back()
    assert await away.write(database, [b"c"]) is not None


async def test_a_commit_that_hangs_is_cut_and_spooled_with_its_attempt() -> None:
    """Row 21: after SPOOL_AFTER_S the batch is spooled, under the id with which it may be stored already."""
    database, disk = Database(), Disk()
    database.hangs.clear()
    assert await failover(disk).write(database, [b"a"]) is None
    assert database.cuts == 1
    assert disk.kept == [([b"a"], [b"%016d" % 1])]


async def test_a_spool_that_takes_nothing_leaves_the_database() -> None:
    """With the spool full, a batch is tried at the database for COMMIT_S, and then its sender is told."""
    database, disk = Database(), Disk()
    disk.is_ready = False
    full = failover(disk)
    assert await full.write(database, [b"a"]) is not None
    database.is_down = True
    with pytest.raises(StoreUnavailable, match="down"):
        await full.write(database, [b"b"])
    assert [replay for rows, replay in database.given if rows == [b"b"]][:2] == [False, True]


async def test_a_spool_that_fails_is_told() -> None:
    """Where neither takes it, that is an error, and both reasons are in it."""
    database, disk = Database(), Disk()
    database.is_down = disk.fails = True
    with pytest.raises(
        StoreUnavailable, match="the database is away, and the spool does not take it: no space left"
    ):
        await failover(disk).write(database, [b"a"])


async def test_nothing_is_written_to_a_database_that_is_not_prepared() -> None:
    """Started without the database, batches are spooled until it has this version's schema, or refused."""
    database, disk, prepared = Database(), Disk(), asyncio.Event()

    async def prepare() -> None:
        prepared.set()

    unprepared = failover(disk, prepare)
    assert await unprepared.write(database, [b"a"]) is None
    disk.is_ready = False
    with pytest.raises(StoreUnavailable, match="away since the start"):
        await unprepared.write(database, [b"b"])
    assert database.given == []
    await unprepared.prepare()
    unprepared.come_back()
    assert prepared.is_set()
    assert await unprepared.write(database, [b"c"]) is not None


async def test_without_a_spool_a_batch_is_tried_for_commit_s() -> None:
    """An outcome that nobody knows is settled by writing again, until COMMIT_S is over."""
    database = Database()
    database.is_down = True
    alone = failover(None)
    with pytest.raises(StoreUnavailable):
        await alone.write(database, [b"a"])
    assert len(database.given) > 1
    assert not alone.is_away


async def test_cancelling_cuts_the_connection() -> None:
    """A cancelled write leaves nothing running."""
    database = Database()
    database.hangs.clear()
    writing = asyncio.create_task(failover(Disk()).write(database, [b"a"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert database.cuts == 1


async def test_being_back_is_told_with_since_when() -> None:
    """Whoever may hang on the old database is told when it is back, once, and since when it was away."""
    database, disk, told = Database(), Disk(), list[float]()
    away = failover(disk)
    away.on_back = told.append
    away.come_back()
    assert told == []
    database.is_down = True
    before_s = time.monotonic()
    await away.write(database, [b"a"])
    after_s = time.monotonic()
    away.come_back()
    away.come_back()
    assert len(told) == 1
    assert before_s <= told[0] <= after_s
