"""The spool: rows on disk while the database is away. Appended by group commit, drained in order, at the same time.

What is on disk and how it is read: docs/spool.md. Files are written in one thread and read in another, never on the
event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from ..errors import CallhomeError, UsageError
from . import damage
from .files import Files, RealFiles
from .gather import Gathered, gather
from .inlet import Inlet
from .log import Broken
from .log import remove as remove_segment
from .recovery import Recovered, recover
from .room import Room
from .segments import LOCK, Segment
from .stock import Figures, Spooled, Stock

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Spool(Figures):
    """Rows in ``folder``: an async context manager that holds its lock, and recovers what is there.

    Bounds: ``limit_bytes`` of the disk for records (and some MiB for what is reserved and damaged), and nothing while
    ``disk_percent`` of the file system are used. In memory: what waits in `append`, which its callers bound; one batch
    in `oldest`; and a few hundred bytes for each segment of ``segment_bytes``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int,
        disk_percent: int,
        segment_bytes: int = 64 * 2**20,
        files: Files | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self._files: Files = files or RealFiles()
        self._stock = Stock(self)
        self._room = Room(self._files, folder, limit_bytes=limit_bytes, disk_percent=disk_percent)
        self._inlet = Inlet(self._files, folder, self._stock, self._room, segment_bytes=segment_bytes)
        self._reading = ThreadPoolExecutor(1, "spool reader")
        self._lock: int | None = None
        self._loaded: Spooled | None = None
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Lock the folder, making it if need be, and look through it.

        Raises `UsageError` where another process has it, or it can't be used. Cancelling it leaves it unlocked.
        """
        opening = asyncio.ensure_future(self._read(self._open))
        try:
            recovered = await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            await self._leave()
            raise
        except OSError as error:
            await self._leave()
            raise UsageError(
                f"the spool folder {self.folder} can't be used: {error.strerror or error}; "
                "name one in CALLHOME_SPOOL_DIR that this user may write to"
            ) from error
        except BaseException:
            await self._leave()
            raise
        self._stock.begin(recovered)
        self._inlet.begin(recovered.next_number)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what was taken, take nothing more, unlock the folder. Cancelling it unlocks it at once."""
        try:
            if not self._inlet.is_busy:
                await self._drop_done()
        finally:
            await self._leave()

    @property
    def is_ready(self) -> bool:
        """Whether it would take rows now."""
        return self.problem is None

    @property
    def problem(self) -> str | None:
        """Why it would not, in words for the operator."""
        return self._inlet.problem

    @property
    def disk_used_percent(self) -> float:
        """How much of its file system was used when that was looked at last: `problem` has that done."""
        return self._room.used_percent

    async def append(self, rows: Sequence[bytes], attempts: Sequence[bytes] = ()) -> None:
        """Return once the rows are on disk; ``attempts`` are ids of batches under which they may be stored already.

        Raises `SpoolUnavailable` where they may not be. After cancelling it they may be, too.
        """
        if rows:
            await self._inlet.append(rows, attempts)

    async def oldest(self, limit_rows: int) -> Spooled | None:
        """Return the rows of the oldest records, up to ``limit_rows`` (of one at least); None where there are none.

        Until they are `settled`, it returns the same again. Raises `CallhomeError` where they can't be read now.
        Cancelling it changes nothing.
        """
        async with self._loading:
            if self._loaded is None:
                self._loaded = await self._load(limit_rows)
            return self._loaded

    async def settled(self, spooled: object) -> None:
        """Forget what `oldest` has returned: it is committed. Segments without anything else are removed.

        Cancelling it does so later.
        """
        loaded, self._loaded = self._loaded, None
        if loaded is None or spooled is not loaded:
            self._loaded = loaded
            raise ValueError("that is not what is the oldest")
        self._stock.settle(loaded)
        await self._drop_done()

    async def filled(self) -> None:
        """Wait until there is something to drain. Cancelling it changes nothing."""
        await self._stock.filled.wait()

    async def _load(self, limit_rows: int) -> Spooled | None:
        stock = self._stock
        while stock.segments:
            segment = stock.segments[0]
            if not stock.is_first_done:
                spooled = stock.take(segment, await self._gather(segment, limit_rows))
                if spooled is not None:
                    return spooled
                continue  # it may have grown while it was read
            if not await self._drop_first():
                break
        return None

    async def _gather(self, segment: Segment, limit_rows: int) -> Gathered:
        start = self._stock.offset
        try:
            return await self._read(partial(gather, self._files, self.folder, segment, start, limit_rows))
        except FileNotFoundError:
            logger.error("%s is gone", segment.path)
            return Gathered([], [], 0, segment.end, 0, [])
        except OSError as error:
            raise CallhomeError(f"{segment.path} can't be read: {error.strerror}") from error

    async def _drop_done(self) -> None:
        async with self._loading:
            while self._stock.is_first_done and await self._drop_first():
                pass

    async def _drop_first(self) -> bool:
        """Remove the first segment, of which nothing is left; return whether another has come to its place.

        Not the one that is being appended to: as long as it may grow, it is there.
        """
        is_last = len(self._stock.segments) == 1
        if is_last and self._inlet.is_busy:
            return False
        remove = partial(self._remove, self._stock.drop_first())
        try:
            await (self._inlet.remove_last(remove) if is_last else self._read(remove))
        except (Broken, OSError) as error:
            self._inlet.fail(error)
        return bool(self._stock.segments)

    def _remove(self, segment: Segment) -> None:
        if segment.is_lossy:
            damage.set_aside(self._files, self.folder, segment.path)
        else:
            remove_segment(self._files, segment.path)

    async def _read(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    def _open(self) -> Recovered:
        self._files.make_folder(self.folder)
        self._lock = self._files.lock(self.folder / LOCK)
        if self._lock is None:
            raise UsageError(
                f"the spool folder {self.folder} is in use by another process: each needs one of its own in "
                "CALLHOME_SPOOL_DIR; end the other, or name another folder"
            )
        recovered = recover(self._files, self.folder)
        self._room.look()
        return recovered

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            self._files.close(lock)

    async def _leave(self) -> None:
        try:
            await self._inlet.close()
        finally:
            try:
                await self._read(self._unlock)
            finally:
                self._reading.shutdown(wait=False)
