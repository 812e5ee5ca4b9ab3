"""`callhome.ingest.batch`: batches form by themselves, bounds hold, every waiter is told once, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from callhome.ingest.batch import CROWD, GroupCommit
from callhome.ingest.failover import Failover
from callhome.ingest.reasons import Reason, Refused
from callhome.metrics import Tally
from callhome.store.connection import StoreUnavailable
from callhome.store.writer import BatchWriter, Written
from rows import Row

LIMITS: dict[str, Any] = {"pending_pings": 1_000, "pending_bytes": 2**20, "batch_pings": 100}


def without_spool(commit_s: float = 2.0) -> Failover:
    return Failover(None, commit_s=commit_s, spool_after_s=2.0)


class Told:
    """A waiter that remembers what it was told; being told twice fails the test."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[Mapping[int, Refused] | Refused] = (
            asyncio.get_running_loop().create_future()
        )

    def settled(self, refused: Mapping[int, Refused]) -> None:
        self.outcome.set_result(refused)

    def failed(self, error: Refused) -> None:
        self.outcome.set_result(error)

    async def reason(self) -> Reason:
        told = await self.outcome
        assert isinstance(told, Refused), "stored, though it should not be"
        return told.reason


class GatedWriter:
    """Writes batches when the test says so: it stands for the time that a commit takes."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.replays: list[bool] = []
        self.gate = asyncio.Event()
        self.errors: list[Exception] = []

    async def write(
        self, rows: Sequence[bytes], *, replay: bool = False, attempts: list[bytes] | None = None
    ) -> Written:
        self.batches.append(list(rows))
        self.replays.append(replay)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return Written(Counter({1: len(rows)}))

    def terminate(self) -> None:
        """The connection is cut: a write that waits ends."""
        self.errors.append(StoreUnavailable("cut"))
        self.gate.set()


@asynccontextmanager
async def gated(
    commit_s: float = 2.0, **limits: Any
) -> AsyncIterator[tuple[GroupCommit, GatedWriter, Tally]]:
    writer, tally = GatedWriter(), Tally()
    limits = {**LIMITS, **limits}
    async with GroupCommit([writer], tally, failover=without_spool(commit_s), **limits) as commit:
        yield commit, writer, tally


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_arrives_during_a_commit_is_the_next_batch() -> None:
    """The first ping is written alone at once; those that come meanwhile go together, and all are told after theirs."""
    async with gated() as (commit, writer, tally):
        waiters = [Told() for _ in range(5)]
        commit.submit_one(b"0", waiters[0])
        await turns()
        for number, waiter in enumerate(waiters[1:], 1):
            commit.submit_one(b"%d" % number, waiter)
        await turns()
        assert writer.batches == [[b"0"]]
        assert not waiters[0].outcome.done()
        assert tally.pending == 5
        writer.gate.set()
        assert [await waiter.outcome for waiter in waiters] == [{}] * 5
        assert writer.batches == [[b"0"], [b"1", b"2", b"3", b"4"]]
        assert (tally.pending, tally.stored, tally.batches) == (0, 5, 2)


async def test_a_second_writer_steps_in_where_many_wait() -> None:
    """While the first writes, the second waits for CROWD rows, takes them, and leaves the next few to the first."""
    writers = [GatedWriter(), GatedWriter()]
    async with GroupCommit(
        writers, Tally(), failover=without_spool(), **{**LIMITS, "batch_pings": CROWD}
    ) as commit:
        waiters = [Told() for _ in range(CROWD + 2)]
        commit.submit_one(b"first", waiters[0])
        for waiter in waiters[1:CROWD]:
            await turns(2)
            commit.submit_one(b"x", waiter)
        assert [len(writer.batches) for writer in writers] == [1, 0]
        commit.submit_one(b"x", waiters[CROWD])
        await turns()
        assert [len(writer.batches) for writer in writers] == [1, 1]
        assert len(writers[1].batches[0]) == CROWD
        commit.submit([b"y", b"z"], waiters[-1])
        writers[1].gate.set()
        await turns(20)
        assert len(writers[1].batches) == 1
        writers[0].gate.set()
        assert await waiters[-1].outcome == {}
        assert writers[0].batches[1] == [b"y", b"z"]


async def test_a_batch_is_bounded_and_a_submission_is_not_torn() -> None:
    """Batches hold whole submissions up to batch_pings; one that is larger is a batch of its own."""
    async with gated(batch_pings=4) as (commit, writer, _):
        commit.submit([b"a"] * 3, first := Told())
        await turns()
        last = Told()
        for size in (2, 2, 1, 9):
            commit.submit([b"b"] * size, last := Told())
        writer.gate.set()
        await first.outcome
        await last.outcome
        assert [len(batch) for batch in writer.batches] == [3, 4, 1, 9]


@pytest.mark.parametrize(
    ("limits", "rows"), [({"pending_pings": 100}, [b"x"] * 101), ({"pending_bytes": 100}, [b"x" * 101])]
)
async def test_beyond_its_bounds_it_refuses_and_recovers(limits: dict[str, int], rows: list[bytes]) -> None:
    """Too many pings or bytes are refused as overloaded, none of them kept; once there is room they are taken."""
    async with gated(**limits) as (commit, writer, tally):
        with pytest.raises(Refused) as caught:
            commit.submit(rows, Told())
        assert caught.value.reason is Reason.OVERLOADED
        assert tally.pending == 0
        full = rows[0] if len(rows) == 1 else b"x"
        for _ in range(100 // len(full) or 1):
            if len(rows) > 1:
                commit.submit_one(full, Told())
        writer.gate.set()
        await turns(20)
        commit.submit(rows[:-1] or [b"x" * 100], waiter := Told())
        assert await waiter.outcome == {}


async def test_an_unknown_outcome_is_settled_by_a_replay() -> None:
    """A write that ends without an answer is tried again with the same rows, marked as a replay."""
    async with gated() as (commit, writer, tally):
        writer.errors.append(StoreUnavailable("the line was cut"))
        writer.gate.set()
        commit.submit_one(b"x", waiter := Told())
        assert await waiter.outcome == {}
        assert writer.batches == [[b"x"], [b"x"]]
        assert writer.replays == [False, True]
        assert tally.refused == {}


async def test_a_commit_that_takes_too_long_is_answered() -> None:
    """A write that hangs is cut at commit_s, and its pings are told that the store can't be reached."""
    async with gated(commit_s=0.1) as (commit, _, tally):
        commit.submit([b"x", b"y"], waiter := Told())
        assert await waiter.reason() is Reason.UNAVAILABLE
        assert (tally.pending, tally.refused) == (0, {"unavailable": 2})


async def test_a_connection_that_is_never_made_is_answered_in_time() -> None:
    """A write that has no connection to cut yet is given up at commit_s all the same, and the next one is tried."""
    async with gated(commit_s=0.1) as (commit, writer, tally):
        writer.terminate = lambda: None  # type: ignore[method-assign]
        commit.submit_one(b"x", first := Told())
        async with asyncio.timeout(2.0):
            assert await first.reason() is Reason.UNAVAILABLE
        writer.gate.set()
        commit.submit_one(b"y", second := Told())
        assert await second.outcome == {}
        assert (tally.pending, tally.stored) == (0, 1)


async def test_nobody_waits_longer_than_commit_s() -> None:
    """What arrived behind a batch that hangs is answered with it, and does not wait for its own turn to hang."""
    async with gated(commit_s=0.1, batch_pings=1) as (commit, writer, tally):
        waiters = [Told() for _ in range(20)]
        for waiter in waiters:
            commit.submit_one(b"x", waiter)
        assert {await waiter.reason() for waiter in waiters} == {Reason.UNAVAILABLE}
        assert len(writer.batches) == 1
        assert (tally.pending, tally.refused) == (0, {"unavailable": 20})


async def test_a_fault_of_ours_fails_its_batch_alone(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error is logged and told as internal; the next batch is written."""
    async with gated() as (commit, writer, _):
        writer.errors.append(ZeroDivisionError())
        writer.gate.set()
        commit.submit_one(b"x", first := Told())
        assert await first.reason() is Reason.INTERNAL_ERROR
        assert "ZeroDivisionError" in caplog.text
        commit.submit_one(b"y", second := Told())
        assert await second.outcome == {}


async def test_a_waiter_that_raises_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """An error on telling one sender is logged; the others of the batch are told, and the next batch is written."""
    async with gated() as (commit, writer, _):
        writer.gate.set()
        gone, here, later = Told(), Told(), Told()
        gone.outcome.cancel()  # being told then raises
        commit.submit_one(b"x", gone)
        commit.submit_one(b"y", here)
        assert await here.outcome == {}
        assert "InvalidStateError" in caplog.text
        commit.submit_one(b"z", later)
        assert await later.outcome == {}


async def test_a_waiter_that_fails_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A fault in one answer is logged; the waiters behind it are told, and the next batch is written."""

    class Broken(Told):
        def settled(self, refused: Mapping[int, Refused]) -> None:
            raise ZeroDivisionError

    async with gated() as (commit, writer, _):
        writer.gate.set()
        commit.submit_one(b"x", Broken())
        commit.submit_one(b"x", behind := Told())
        assert await behind.outcome == {}
        commit.submit_one(b"y", later := Told())
        assert await later.outcome == {}
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.fault(25)
async def test_stopping_writes_what_waits() -> None:
    """Row 25: after stop nothing is taken any more, and what was taken is committed and told so."""
    async with gated() as (commit, writer, _):
        commit.submit_one(b"x", waiter := Told())
        stopping = asyncio.create_task(commit.stop(5.0))
        await turns()
        with pytest.raises(Refused) as caught:
            commit.submit_one(b"y", Told())
        assert caught.value.reason is Reason.STOPPING
        writer.gate.set()
        await stopping
        await commit.stop(5.0)
        assert await waiter.outcome == {}


async def test_stopping_fails_what_can_not_be_written() -> None:
    """Where the store hangs, stopping ends in time and every waiter is told to send again."""
    async with gated() as (commit, _, tally):
        commit.submit_one(b"x", first := Told())
        await turns()
        commit.submit_one(b"y", second := Told())
        await commit.stop(0.05)
        assert {await first.reason(), await second.reason()} <= {Reason.STOPPING, Reason.UNAVAILABLE}
        assert tally.pending == 0


async def test_many_answers_leave_while_the_next_batch_is_written(database: str) -> None:
    """On a real database: 2,000 waiters in turns, all settled, and the table holds exactly their rows."""
    writer, tally = BatchWriter(database), Tally()
    async with GroupCommit(
        [writer], tally, failover=without_spool(), **{**LIMITS, "pending_pings": 5_000, "batch_pings": 500}
    ) as commit:
        waiters = [Told() for _ in range(2_000)]
        for number, waiter in enumerate(waiters):
            commit.submit_one(bytes(Row(install=number)), waiter)
            if number % 100 == 0:
                await asyncio.sleep(0)
        assert [await waiter.outcome for waiter in waiters] == [{}] * 2_000
    await writer.close()
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM ping") == tally.stored == 2_000
    await connection.close()


@pytest.mark.fault(29)
async def test_a_refused_row_fails_its_own_waiter_only(database: str) -> None:
    """Row 29: who sent the row that PostgreSQL refuses is told which, and all others are told that theirs is stored."""
    connection = await asyncpg.connect(database)
    await connection.execute("ALTER TABLE ping ADD CHECK (version <> 'poison')")
    writer, tally = BatchWriter(database), Tally()
    async with GroupCommit([writer], tally, failover=without_spool(), **LIMITS) as commit:
        commit.submit_one(bytes(Row()), one := Told())
        commit.submit([bytes(Row()), bytes(Row(version="poison")), bytes(Row())], several := Told())
        commit.submit_one(bytes(Row(version="poison")), other := Told())
        assert await one.outcome == {}
        told = await several.outcome
        assert isinstance(told, Mapping)
        assert {place: error.reason for place, error in told.items()} == {1: Reason.REFUSED_BY_STORE}
        last = await other.outcome
        assert isinstance(last, Mapping)
        assert list(last) == [0]
    assert (tally.refused, tally.quarantined) == ({}, 2)
    assert await connection.fetchval("SELECT count(*) FROM ping") == tally.stored == 3
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 2
    await connection.close()
    await writer.close()
