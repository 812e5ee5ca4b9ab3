"""The spool on a disk that crashes at any operation, tears and reorders writes, fails and fills up: a state machine."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from contextlib import ExitStack, suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from callhome.errors import CallhomeError
from callhome.spool.errors import SpoolUnavailable
from callhome.spool.segments import segment_number
from fakedisk import Crash, FakeDisk
from spools import FOLDER, number_of, numbers, on_disk, row, small

LIMIT_BYTES = 2**16


class Inline(Executor):
    """Does everything at once, in the thread of who asks: so that the same steps have the same effect."""

    def __init__(self, *_: object) -> None: ...

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class Machine(RuleBasedStateMachine):
    """A server with a spool, whose machine may lose its power between any two operations of the disk."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        """Start with an empty disk. A full one is asked again at once, as if a second had passed."""
        self.patches = ExitStack()
        self.patches.enter_context(patch("callhome.spool.room.LOOK_S", 0.0))
        for module in ("spool", "inlet"):
            self.patches.enter_context(patch(f"callhome.spool.{module}.ThreadPoolExecutor", Inline))
        self.runner = asyncio.Runner()
        # Whoever waits for an append is gone after a crash, and nobody hears why it failed.
        self.runner.get_loop().set_exception_handler(lambda *_: None)
        self.disk = FakeDisk(seed)
        self.acked: set[int] = set()
        self.settled: set[int] = set()
        self.next = 0
        self.is_rotten = False
        self.counted = 0
        self.open()

    @property
    def has_failed(self) -> bool:
        """Whether the spool takes nothing until the next start."""
        return "has failed" in (self.spool.problem or "")

    def open(self) -> None:
        """Open the spool on what the disk has. All that was acknowledged and not settled is there, or counted."""
        self.spool = small(FOLDER, self.disk, limit_bytes=LIMIT_BYTES)
        self.runner.run(self.spool.__aenter__())
        self.counted += self.spool.damaged + self.spool.torn
        self.check_there()

    def check_there(self) -> None:
        """Nothing that was acknowledged is missing in silence; without rot, nothing is missing."""
        missing = self.acked - self.settled - on_disk(self.disk)
        assert not missing or (self.is_rotten and self.counted), missing

    async def _append(self, sizes: list[tuple[int, int]]) -> None:
        """Append some at the same time, rows and bytes in a row of each."""
        batches = []
        for count, length in sizes:
            batches.append([row(self.next + place, length) for place in range(count)])
            self.next += count

        async def one(batch: list[bytes], attempts: list[bytes]) -> None:
            try:
                await self.spool.append(batch, attempts)
            except SpoolUnavailable:
                return
            self.acked.update(numbers(batch))

        tries = [[bytes(16)] * (length % 2) for _, length in sizes]
        await asyncio.gather(*map(one, batches, tries))

    @rule(sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(70, 700)), min_size=1, max_size=4))
    def append(self, sizes: list[tuple[int, int]]) -> None:
        """Rows of several callers are acknowledged, or not."""
        before, had_failed = len(self.acked), self.has_failed
        needed = sum(count * (length + 4) + 100 for count, length in sizes)
        # It keeps an eighth of its bound free, so that it is not ready before the next rows find it full.
        was_ready = self.spool.is_ready and self.spool.size_bytes + needed < LIMIT_BYTES * 7 // 8
        self.runner.run(self._append(sizes))
        if was_ready and self.disk.room_bytes is None and self.disk.percent < 90:
            assert len(self.acked) == before + sum(count for count, _ in sizes)
        assert not had_failed or (len(self.acked) == before and not self.spool.is_ready)

    @rule(limit=st.integers(1, 20), settles=st.booleans())
    def drain(self, limit: int, settles: bool) -> None:
        """What is oldest comes in order, the same until it is settled."""

        async def once() -> None:
            spooled = await self.spool.oldest(limit)
            if spooled is None:
                assert self.spool.pings == 0
                return
            got = numbers(spooled.rows)
            assert got == sorted(set(got))
            assert await self.spool.oldest(limit + 1) is spooled
            if settles:
                self.settled.update(got)  # by now they are committed, whatever becomes of this call
                await self.spool.settled(spooled)

        self.runner.run(once())

    @rule()
    def reopen(self) -> None:
        """Stop in order, and start."""
        had_failed = self.has_failed
        self.runner.run(self.spool.__aexit__(None, None, None))
        if had_failed:
            self.disk.restart()
        self.open()

    @rule()
    def kill(self) -> None:
        """The process ends; the machine does not, and writes what it was given."""
        self.disk.is_dead = True
        self._leave()
        self.disk.is_dead = False
        for content in self.disk.files.values():
            content.pending.clear()
            content.durable[:] = content.seen
            content.is_doubtful = False
        self.disk._locked.clear()
        self.open()

    @rule(
        fuse=st.integers(0, 25),
        sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(70, 900)), min_size=1, max_size=9),
        drains=st.booleans(),
    )
    def crash(self, fuse: int, sizes: list[tuple[int, int]], drains: bool) -> None:
        """The power fails amid appends and drains, and again while the spool is opened."""
        self.disk.fuse = fuse
        for size in sizes:
            self.runner.run(self._append([size]))
            if drains:
                with suppress(Crash, CallhomeError):
                    self.drain(7, True)
        self._leave()
        self.disk.restart()
        self.disk.fuse = fuse
        with suppress(Crash):
            spool = small(FOLDER, self.disk)
            self.runner.run(spool.__aenter__())
            self.runner.run(spool.__aexit__(None, None, None))
        self.disk.restart()
        self.open()

    def _leave(self) -> None:
        with suppress(Crash):
            self.runner.run(self.spool.__aexit__(None, None, None))

    @precondition(
        lambda self: not self.has_failed and self.disk.room_bytes is None and self.disk.percent < 90
    )
    @rule(sizes=st.lists(st.tuples(st.integers(1, 3), st.integers(70, 200)), min_size=1, max_size=3))
    def fail_a_sync(self, sizes: list[tuple[int, int]]) -> None:
        """An error of a sync: what it was for is not acknowledged, and nothing is from then on."""
        before = len(self.acked)
        if not self.spool.is_ready:
            return
        self.disk.syncs_to_fail = 1
        self.runner.run(self._append(sizes))
        assert self.disk.syncs_to_fail == 0
        assert len(self.acked) == before
        assert self.has_failed

    @rule(room=st.one_of(st.none(), st.integers(0, 3_000)))
    def change_room(self, room: int | None) -> None:
        """The disk gets full, or empty again."""
        self.disk.room_bytes = room

    @rule(percent=st.sampled_from([10.0, 95.0]))
    def fill_disk(self, percent: float) -> None:
        """Others write to the disk, or tidy up."""
        self.disk.percent = percent

    @precondition(lambda self: any(segment_number(path.name) for path in self.disk.files))
    @rule(data=st.data(), cuts=st.booleans())
    def rot(self, data: Any, cuts: bool) -> None:
        """A bit of a segment flips, or its end is gone, while no server runs."""
        self.runner.run(self.spool.__aexit__(None, None, None))
        self.disk.restart()
        segments = sorted(path for path in self.disk.files if segment_number(path.name))
        if segments:
            path = data.draw(st.sampled_from(segments))
            content = bytearray(self.disk.files[path].seen)
            at = data.draw(st.integers(0, max(0, len(content) - 1)))
            if cuts:
                del content[at:]
            elif content:
                content[at] ^= 1 << data.draw(st.integers(0, 7))
            self.disk.damage(path, bytes(content))
            self.is_rotten = True
        self.open()

    @invariant()
    def figures_are_right(self) -> None:
        """What the spool says it holds is never negative, and nothing acknowledged is missing."""
        if hasattr(self, "spool"):
            assert self.spool.pings >= self.spool.records >= 0
            assert (self.spool.oldest_s is None) == (self.spool.records == 0)

    def teardown(self) -> None:
        """Drain to the end: everything that was acknowledged comes, or is counted as damaged."""
        if not hasattr(self, "spool"):
            return

        async def rest() -> None:
            held, count = self.spool.pings, 0
            while spooled := await self.spool.oldest(50):
                self.settled.update(map(number_of, spooled.rows))
                count += len(spooled.rows)
                await self.spool.settled(spooled)
            assert count == held or self.is_rotten
            assert (self.spool.pings, self.spool.records, self.spool.size_bytes) == (0, 0, 0)

        try:
            self.runner.run(rest())
            missing = self.acked - self.settled
            assert not missing or (self.is_rotten and self.counted + self.spool.damaged), missing
        finally:
            self.runner.run(self.spool.__aexit__(None, None, None))
            self.runner.close()
            self.patches.close()


COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}


@pytest.mark.fault(23)
def test_no_acknowledged_row_is_lost_in_silence() -> None:
    """Row 23: whatever the disk does at whatever moment, acknowledged rows are recovered, or counted as damaged."""
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=600, stateful_step_count=40, **COMMON),
    )


@pytest.mark.long
@pytest.mark.fault(23)
def test_no_acknowledged_row_is_lost_in_a_long_run() -> None:
    """Row 23: the same, many more times."""
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=3_000, stateful_step_count=60, **COMMON),
    )


@pytest.mark.filterwarnings("ignore")
def test_the_machine_finds_what_is_planted() -> None:
    """On a disk whose syncs do nothing, acknowledged rows are lost in a crash, and that is found."""

    def lie(_disk: FakeDisk, _fd: int) -> None:
        """Sync nothing."""

    found = settings(
        max_examples=200, stateful_step_count=20, phases=[Phase.generate], database=None, **COMMON
    )
    with patch.object(FakeDisk, "sync", lie), pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(Machine, settings=found)
