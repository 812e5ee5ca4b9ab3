"""`callhome.spool` on a real disk: what was acknowledged comes back in order, and damage is counted, never silent."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from callhome.errors import UsageError
from callhome.spool.errors import SpoolUnavailable
from callhome.spool.files import RealFiles
from callhome.spool.gather import Gathered, gather
from callhome.spool.record import LEAST_ROW_BYTES
from callhome.spool.segments import segment_number
from callhome.spool.spool import Spool
from running import PATIENCE_S
from spools import drained, numbers, rows, small


def segments(folder: Path) -> list[Path]:
    """Its segments, the oldest first."""
    return sorted(path for path in folder.iterdir() if segment_number(path.name) is not None)


def modes(folder: Path) -> set[int]:
    """Who may do what with its files."""
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}


async def test_rows_come_back_in_order(tmp_path: Path) -> None:
    """What is appended comes out again as it came, across segments, and nothing stays on the disk."""
    folder = tmp_path / "spool"
    async with small(folder) as spool:
        for first in range(0, 200, 10):
            await spool.append(rows(range(first, first + 10)))
        assert (spool.pings, spool.records) == (200, 20)
        assert len(segments(folder)) > 3
        assert modes(folder) == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert await drained(spool, 35) == list(range(200))
        assert (spool.pings, spool.size_bytes, spool.oldest_s) == (0, 0, None)
        assert segments(folder) == []
        await spool.append(rows([7]))
        assert await drained(spool) == [7]


async def test_callers_at_the_same_time_share_a_sync(tmp_path: Path) -> None:
    """A hundred appends at once need far fewer syncs, and each is told after its own."""

    class Counting(RealFiles):
        syncs = 0

        def sync(self, fd: int) -> None:
            Counting.syncs += 1
            super().sync(fd)

    async with Spool(tmp_path / "spool", limit_bytes=2**30, disk_percent=100, files=Counting()) as spool:
        await spool.append(rows([0]))
        before = Counting.syncs
        await asyncio.gather(*(spool.append(rows([number])) for number in range(1, 101)))
        assert 1 <= Counting.syncs - before <= 10
        assert sorted(await drained(spool)) == list(range(101))


async def test_what_was_appended_survives_a_restart(tmp_path: Path) -> None:
    """After a stop the next one finds the rows and counts them; a half drained segment comes again from its begin."""
    folder = tmp_path / "spool"
    async with small(folder) as spool:
        await spool.append(rows(range(10)), [b"a" * 16])
        await spool.append(rows(range(10, 20)))
        spooled = await spool.oldest(1)
        assert spooled is not None
        assert (numbers(spooled.rows), spooled.attempts) == (list(range(10)), [b"a" * 16])
        await spool.settled(spooled)
    async with small(folder) as spool:
        assert spool.recovered_pings == spool.pings == 20
        spooled = await spool.oldest(1_000)
        assert spooled is not None
        assert not spooled.is_fresh
        assert await drained(spool) == list(range(20))


async def test_appending_goes_on_while_it_is_drained(tmp_path: Path) -> None:
    """Rows that come while others are drained come after them, and none is left out."""
    async with small(tmp_path / "spool") as spool:

        async def append() -> None:
            for number in range(300):
                await spool.append(rows([number]))

        appending = asyncio.create_task(append())
        found: list[int] = []
        while len(found) < 300:
            await spool.filled()
            found += await drained(spool, 13)
        await appending
        assert found == list(range(300))


async def test_what_is_appended_while_damage_is_read_is_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment of which nothing could be read has grown meanwhile: only what is damaged is lost."""
    read, go_on = threading.Event(), threading.Event()

    def held(*given: Any) -> Gathered:
        found = gather(*given)
        read.set()
        assert go_on.wait(PATIENCE_S)
        return found

    async with small(tmp_path) as spool:
        await spool.append(rows([1]))
        path = segments(tmp_path)[0]
        content = path.read_bytes()
        path.write_bytes(content.replace(rows([1])[0], b"!" * len(rows([1])[0])))
        monkeypatch.setattr("callhome.spool.spool.gather", held)
        reading = asyncio.create_task(spool.oldest(100))
        await asyncio.to_thread(read.wait, PATIENCE_S)
        await spool.append(rows([2, 3]))
        go_on.set()
        found = await reading
        assert found is not None
        assert numbers(found.rows) == [2, 3]
        await spool.settled(found)
        assert (spool.pings, spool.lost_pings) == (0, 1)


async def test_what_is_read_together_is_bounded_in_bytes(tmp_path: Path) -> None:
    """However many rows are asked for, some 4 MiB come at once, or one record."""
    async with Spool(tmp_path / "spool", limit_bytes=2**30, disk_percent=100) as spool:
        for _ in range(5):
            await spool.append([bytes(60_000)] * 50)
        pieces = []
        while found := await spool.oldest(1_000):
            pieces.append(len(found.rows))
            await spool.settled(found)
    assert pieces == [50] * 5


def test_a_new_folder_is_on_the_disk(tmp_path: Path) -> None:
    """The entry of a folder that is made is synced, once; that of one that was there is not."""
    synced = []

    class Noting(RealFiles):
        def sync_folder(self, folder: Path) -> None:
            synced.append(folder)

    for _ in range(2):
        Noting().make_folder(tmp_path / "spool")
    assert synced == [tmp_path]
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


async def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """What all can write to, or belongs to somebody else, is no spool; its group may, and nothing is followed."""
    folder = tmp_path / "spool"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="can be written to by all"):
        RealFiles().make_folder(folder)
    folder.chmod(0o2770)
    RealFiles().make_folder(folder)
    if os.geteuid() == 0:
        os.chown(folder, 12_345, -1)
        with pytest.raises(UsageError, match="belongs to another user"):
            RealFiles().make_folder(folder)
        os.chown(folder, 0, -1)
    (folder / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"):
        RealFiles().lock(folder / "lock")


async def test_numbers_of_segments_end(tmp_path: Path) -> None:
    """Behind the last number there is none: that is told, and nothing is acknowledged and then not found."""
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "9999999999-0.bin").touch()
    with pytest.raises(UsageError, match="9999999999"):
        async with small(tmp_path):
            pass


async def test_a_folder_is_for_one_process(tmp_path: Path) -> None:
    """A second one on the same folder is told which folder, and what to do."""
    async with small(tmp_path / "spool"):
        with pytest.raises(UsageError, match=rf"{tmp_path / 'spool'} is in use.*CALLHOME_SPOOL_DIR"):
            async with small(tmp_path / "spool"):
                pass
    async with small(tmp_path / "spool"):
        pass


@pytest.mark.fault(24)
async def test_beyond_its_bound_it_takes_nothing(tmp_path: Path) -> None:
    """Full, it refuses with the reason and keeps what it has; drained, it takes rows again."""
    async with small(tmp_path / "spool", limit_bytes=20_000) as spool:
        taken = 0
        while spool.is_ready:
            try:
                await spool.append(rows(range(taken, taken + 10), 200))
            except SpoolUnavailable:
                break
            taken += 10
        with pytest.raises(SpoolUnavailable, match="full"):
            await spool.append(rows([taken], 200))
        assert 5 < taken < 100
        assert spool.problem
        assert await drained(spool) == list(range(taken))
        assert not spool.problem
        await spool.append(rows([1]))


class Failing(RealFiles):
    """A real disk but for an error at the next write or sync."""

    def __init__(self) -> None:
        self.at_write: int | None = None
        self.at_sync: int | None = None
        self.syncs = 0

    def write(self, fd: int, data: bytes, offset: int) -> None:
        if self.at_write is not None:
            super().write(fd, data[: len(data) // 2], offset)
            raise OSError(self.at_write, os.strerror(self.at_write))
        super().write(fd, data, offset)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.at_sync is not None:
            raise OSError(self.at_sync, os.strerror(self.at_sync))
        super().sync(fd)


@pytest.mark.fault(24)
async def test_no_space_left_is_no_acknowledgement(tmp_path: Path) -> None:
    """A write that finds the disk full fails its append alone; with room again all goes on, and nothing is torn."""
    files = Failing()
    async with small(tmp_path / "spool", files) as spool:
        await spool.append(rows(range(5)))
        files.at_write = errno.ENOSPC
        with pytest.raises(SpoolUnavailable):
            await spool.append(rows([99]))
        files.at_write = None
        async with asyncio.timeout(10):
            while not spool.is_ready:
                await asyncio.sleep(0.05)
        await spool.append(rows(range(5, 9)))
    async with small(tmp_path / "spool") as spool:
        assert spool.damaged == 0
        found = await drained(spool)
        assert [number for number in found if number != 99] == list(range(9))


@pytest.mark.fault(24)
async def test_an_error_of_a_sync_is_the_end(tmp_path: Path) -> None:
    """After EIO on fsync nothing is acknowledged and nothing synced again, until it is opened anew."""
    files = Failing()
    async with small(tmp_path / "spool", files) as spool:
        await spool.append(rows(range(5)))
        files.at_sync = errno.EIO
        with pytest.raises(SpoolUnavailable, match="failed"):
            await spool.append(rows([5]))
        files.at_sync, before = None, files.syncs
        with pytest.raises(SpoolUnavailable, match="failed"):
            await spool.append(rows([6]))
        assert files.syncs == before
        assert not spool.is_ready
    async with small(tmp_path / "spool") as spool:
        assert set(range(5)) <= set(await drained(spool))


@asynccontextmanager
async def with_content(folder: Path, name: str, content: bytes) -> AsyncIterator[Spool]:
    """A spool whose folder has just this one segment."""
    put(folder, name, content)
    async with small(folder) as spool:
        yield spool


def put(folder: Path, name: str, content: bytes) -> None:
    """Make a folder with a file."""
    folder.mkdir(mode=0o700)
    (folder / name).write_bytes(content)


async def one_segment(folder: Path) -> tuple[str, bytes]:
    """A segment of four records, each acknowledged: its name and bytes."""
    async with small(folder) as spool:
        for first in range(0, 8, 2):
            await spool.append(rows([first, first + 1], LEAST_ROW_BYTES))
    (path,) = segments(folder)
    return path.name, path.read_bytes()


@pytest.mark.fault(23)
async def test_a_segment_cut_at_any_byte_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Row 23: whole records before the cut are there; what is missing is told, since the seal is."""
    name, content = await one_segment(tmp_path / "whole")
    for end in range(len(content)):
        async with with_content(tmp_path / f"cut-{end}", name, content[:end]) as spool:
            counted = spool.damaged + spool.torn
            found = await drained(spool)
            assert found == list(range(len(found)))
            # Cut just between two records of the newest segment, nothing is left that could tell.
            assert counted or len(found) == 8 or end in borders(content), end


def borders(content: bytes) -> set[int]:
    """Where records of a segment begin."""
    found, at = {0}, content.find(b"\xffCHSPOOL")
    while at >= 0:
        found.add(at)
        at = content.find(b"\xffCHSPOOL", at + 1)
    return found


@pytest.mark.fault(23)
async def test_a_flipped_bit_costs_its_record_alone(tmp_path: Path) -> None:
    """Row 23: whichever byte is wrong, all other records are there, and the damage is counted and kept."""
    name, content = await one_segment(tmp_path / "whole")
    for at in range(len(content)):
        wrong = bytearray(content)
        wrong[at] ^= 1 << at % 8
        folder = tmp_path / f"flip-{at}"
        async with with_content(folder, name, bytes(wrong)) as spool:
            counted = spool.damaged + spool.torn
            found = await drained(spool)
        missing = set(range(8)) - set(found)
        assert len(missing) <= 2, at
        assert found == sorted(found)
        if missing:
            assert counted, at


async def test_a_folder_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """A segment whose rows have other columns is not touched: the error says that its own version is to drain it."""
    name, content = await one_segment(tmp_path / "whole")
    other = bytearray(content)
    other[8] = 9  # the format
    other[44:48] = crc32(bytes(other[:44])).to_bytes(4, "big")
    assert content[44:48] == crc32(content[:44]).to_bytes(4, "big"), "the layout of a header has changed"
    with pytest.raises(UsageError, match="version"):
        async with with_content(tmp_path / "other", name, bytes(other)):
            pass
    assert (tmp_path / "other" / name).read_bytes() == bytes(other)
