"""The way into the spool: rows of all callers, one write and one sync for all that came meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from .errors import SpoolUnavailable
from .files import Files
from .groups import Group, Groups
from .log import Broken, Log, NotNow
from .room import Room
from .stock import Stock

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_CLOSED: Final = "the spool is closed"


class Inlet:
    """Appends to the log in a thread of its own, and adds what is on disk to ``stock``."""

    def __init__(self, files: Files, folder: Path, stock: Stock, room: Room, *, segment_bytes: int) -> None:
        self._files = files
        self._folder = folder
        self._stock = stock
        self._room = room
        self._segment_bytes = segment_bytes
        self._thread = ThreadPoolExecutor(1, "spool writer")
        self._log: Log | None = None
        self._groups = Groups()
        self._appending: asyncio.Task[None] | None = None
        self._looking: asyncio.Future[None] | None = None
        self._failed = ""
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, next_number: int) -> None:
        """Take rows from now on; the next segment has that number."""
        self._loop = asyncio.get_running_loop()
        self._log = Log(self._files, self._folder, segment_bytes=self._segment_bytes, next_number=next_number)

    async def close(self) -> None:
        """Write what was taken, and take nothing more. Idempotent. Cancelling it leaves what was not written."""
        log, self._log = self._log, None
        try:
            if running := {task for task in (self._appending, self._looking) if task is not None}:
                await asyncio.wait(running)
            if log is not None:
                await self.run(log.leave if self._failed else log.seal)
        except Broken as error:
            logger.error("the spool %s could not be closed: %s", self._folder, error)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def problem(self) -> str | None:
        """Why it takes nothing now, in words for the operator; None where it does."""
        return self._problem(0)

    @property
    def is_busy(self) -> bool:
        """Whether it is appending."""
        return self._appending is not None

    async def append(self, rows: Sequence[bytes], attempts: Sequence[bytes]) -> None:
        """Return once the rows are on disk. Raises `SpoolUnavailable`; then, and after cancelling it, they may be."""
        group = Group(rows, attempts)
        problem = self._problem(group.size_bytes)
        if problem:
            raise SpoolUnavailable(problem)
        assert self._log is not None, "it is no problem"
        waiter = self._groups.add(group)
        if self._appending is None:
            self._appending = asyncio.create_task(self._append_all(self._log), name="spool")
        await waiter

    async def remove_last(self, work: Callable[[], None]) -> None:
        """Do ``work``, which removes the newest segment, before a next one is made. Cancelling it does it, too."""

        def leave_and_remove() -> None:
            if log is not None:
                log.leave()
            work()

        log = self._log
        await self.run(leave_and_remove)

    def fail(self, error: Exception) -> None:
        """Take nothing until the next start: after an error of the disk nobody knows what is on it."""
        if not self._failed:
            self._failed = (
                f"the spool {self._folder} has failed: {error}; look after its disk, then start again"
            )
            is_disk = isinstance(error, Broken | OSError)
            logger.error("%s", self._failed, exc_info=None if is_disk else error)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do ``work`` in the thread that writes, behind what it has to do. Cancelling it does it all the same."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _problem(self, more_bytes: int) -> str | None:
        if self._failed:
            return self._failed
        if self._log is None or self._loop is None:
            return _CLOSED
        if self._room.is_old and (self._looking is None or self._looking.done()):
            self._looking = self._loop.run_in_executor(self._thread, self._room.look)
        return self._room.problem(self._stock.figures.size_bytes + self._groups.waiting_bytes, more_bytes)

    async def _append_all(self, log: Log) -> None:
        try:
            while group := self._groups.take():
                try:
                    for rows, attempts in group.pieces():
                        if self._failed:
                            raise SpoolUnavailable(self._failed)
                        at = await self.run(partial(log.append, rows, attempts))
                        self._stock.add(at, len(rows))
                except NotNow as error:
                    said = f"the spool {self._folder} could not be written to: {error}"
                    logger.error("%d pings were not spooled: %s", len(group.rows), said)
                    self._room.refuse(said)
                    group.fail(SpoolUnavailable(said))
                except Exception as error:  # task root: nobody knows what is on the disk
                    self.fail(error)
                    group.fail(SpoolUnavailable(self._failed))
                else:
                    group.succeed()
                finally:
                    self._groups.done(group)
        finally:
            self._appending = None
