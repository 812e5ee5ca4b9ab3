"""The segment that is appended to: one record, one write, one sync. Synchronous, for one thread.

A segment is made under another name, and gets its own when its first record and room are on the disk. Room is reserved
in steps, and synced before a record that says how long the file is: so a file that was cut anywhere is noticed.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from .files import NO_ROOM, Files
from .record import HEADER_BYTES, Kind, body_of, header_of
from .segments import segment_path, unfinished_path

# A sync more for so many bytes; and so much of the disk is taken by the segment beyond what is in it.
STEP_BYTES: Final = 4 * 2**20
# No descriptor or no memory: as no room, it may be there again, and nothing was harmed.
_PASSING: Final = NO_ROOM | {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_NONE: Final[frozenset[int]] = frozenset()


class NotNow(Exception):
    """It could not be written, but what is there is as it was, and another try may succeed."""


class Broken(Exception):
    """What is on the disk is not known any more: nothing may be written again."""


class Appended(NamedTuple):
    """Where a record is: in which segment, up to which byte, since when (Unix microseconds)."""

    number: int
    path: Path
    end: int
    at_us: int


@dataclass(slots=True)
class _Current:
    number: int
    path: Path
    fd: int
    extent: int = 0
    end: int = 0
    records: int = 0


class Log:
    """Appends to segments below ``folder``, the next of which has the number ``next_number``."""

    def __init__(self, files: Files, folder: Path, *, segment_bytes: int, next_number: int) -> None:
        self._files = files
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._step_bytes = min(STEP_BYTES, segment_bytes)
        self._next_number = next_number
        self._current: _Current | None = None

    def append(self, rows: Sequence[bytes], attempts: Sequence[bytes]) -> Appended:
        """Return once the rows are on the disk, in one record. Raises `NotNow`, `Broken`."""
        body = body_of(rows, attempts)
        current = self._current
        if current and current.records and current.end + HEADER_BYTES + len(body) > self._segment_bytes:
            self.seal()
        current = self._current = self._current or self._begin()
        at_us = time.time_ns() // 1_000
        self._write(current, Kind.ROWS, body, (len(attempts), len(rows)), at_us)
        return Appended(current.number, current.path, current.end, at_us)

    def seal(self) -> None:
        """End the segment: nothing more comes into it. Raises `Broken`."""
        current = self._current
        if current is None or current.records == 0:
            self.leave()
            return
        try:
            self._write(current, Kind.SEAL, b"", (0, 0), time.time_ns() // 1_000)
            with _told(_NONE):
                self._files.truncate(current.fd, current.end)
        except NotNow as error:  # its room was reserved
            raise Broken(str(error)) from error
        self.leave()

    def leave(self) -> None:
        """Let go of the segment as it is; where nothing is in it, it goes."""
        current, self._current = self._current, None
        if current is None:
            return
        with suppress(OSError):  # what counts was synced
            self._files.close(current.fd)
        if current.records == 0:
            with suppress(OSError):
                self._files.remove(current.path)

    def _begin(self) -> _Current:
        number, files = self._next_number, self._files
        unfinished, path = unfinished_path(self._folder, number), segment_path(self._folder, number)
        with suppress(OSError):  # left by a try that failed
            files.remove(unfinished)
        try:
            current = _Current(number, path, files.create(unfinished))
        except OSError as error:
            raise NotNow(error.strerror or str(error)) from error
        try:
            self._write(current, Kind.OPENING, b"", (0, 0), time.time_ns() // 1_000)
            with _told(_PASSING):
                files.rename(unfinished, path)
            with _told(_NONE):
                files.sync_folder(self._folder)
        except BaseException:
            with suppress(OSError):
                files.close(current.fd)
            with suppress(OSError):
                files.remove(unfinished)
            raise
        self._next_number += 1
        current.records = 0
        return current

    def _write(self, current: _Current, kind: Kind, body: bytes, counts: tuple[int, int], at_us: int) -> None:
        """Write a record behind the last one, over whatever a write that failed has left there."""
        end = current.end + HEADER_BYTES + len(body)
        # The seal must always find room.
        needed = end if kind is Kind.SEAL else end + HEADER_BYTES
        if needed > current.extent:
            extent = -(-needed // self._step_bytes) * self._step_bytes
            with _told(_PASSING):
                self._files.allocate(current.fd, current.extent, extent)
            with _told(_NONE):
                self._files.sync(current.fd)
            current.extent = extent
        number = 0 if kind is Kind.OPENING else current.records + 1
        header = header_of(kind, body, counts, number=number, extent=current.extent, at_us=at_us)
        with _told(_PASSING):
            self._files.write(current.fd, header + body, current.end)
        with _told(_NONE):
            self._files.sync(current.fd)
        current.end = end
        current.records += 1


def remove(files: Files, path: Path) -> None:
    """Remove a segment, for good when this returns. Raises `Broken`."""
    with _told(_NONE):
        with suppress(FileNotFoundError):  # somebody has tidied up
            files.remove(path)
        files.sync_folder(path.parent)


@contextmanager
def _told(passing: frozenset[int]) -> Iterator[None]:
    """Raise an ``OSError`` as `NotNow` where its number is among ``passing``, else as `Broken`."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        raise (NotNow(said) if error.errno in passing else Broken(said)) from error
