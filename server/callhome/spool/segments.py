"""The files of a spool's folder: their names, and how one of them is read though the disk may not like it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .files import Files

logger = logging.getLogger(__name__)

LOCK: Final = "lock"
DAMAGED: Final = "damaged"
LAST_NUMBER: Final = 9_999_999_999  # a file's name has ten digits
_SEGMENT: Final = re.compile(r"(\d{10})\.seg", re.ASCII)
_UNFINISHED: Final = re.compile(r"\d{10}\.new", re.ASCII)
# What others keep in the folder: the cached catalogue, and the folders of workers.
_OTHERS: Final = re.compile(r"(catalogue|licenses)\.(json|new)|worker-\d+", re.ASCII)
# After an error, a piece is read again in blocks of this size, a disk's own.
_BLOCK_BYTES: Final = 4_096
# A disk may take seconds for each block that it can't read; after so many, the rest of the file is given up.
_UNREADABLE_BLOCKS: Final = 64


@dataclass(slots=True, eq=False)
class Segment:
    """A segment with what is left in it: up to ``end`` (bytes) it is on the disk.

    ``first_us`` is when its first record was written (Unix microseconds), ``is_fresh`` whether that was this process;
    ``is_lossy`` whether some of it could be read before, and can't now; ``known`` are damaged regions that were counted
    already, from offset to end.
    """

    number: int
    path: Path
    end: int
    first_us: int
    records: int = 0
    pings: int = 0
    is_fresh: bool = False
    is_lossy: bool = False
    known: set[tuple[int, int]] = field(default_factory=set)


def segment_path(folder: Path, number: int) -> Path:
    """Return where the segment of that number is."""
    return folder / f"{number:010d}.seg"


def unfinished_path(folder: Path, number: int) -> Path:
    """Return where it is until all that a segment must have is on the disk."""
    return folder / f"{number:010d}.new"


def segment_number(name: str) -> int | None:
    """Return the number of a segment by its file name; None for other files."""
    matched = _SEGMENT.fullmatch(name)
    return int(matched[1]) if matched else None


def is_unfinished(name: str) -> bool:
    """Whether it is the file of a segment that was never begun."""
    return _UNFINISHED.fullmatch(name) is not None


def is_known(name: str) -> bool:
    """Whether a file of that name belongs into the folder."""
    return name in (LOCK, DAMAGED) or any(
        pattern.fullmatch(name) for pattern in (_SEGMENT, _UNFINISHED, _OTHERS)
    )


class Source:
    """A file, read as far as the disk can: what it can't is zeros, so that checksums find it. A context manager."""

    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self._path = path
        self._fd = files.open(path)
        self._unreadable_blocks = 0
        try:
            self.size = files.size(self._fd)
        except BaseException:
            files.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._files.close(self._fd)

    @property
    def is_unreadable(self) -> bool:
        """Whether a part of what was asked for could not be read."""
        return self._unreadable_blocks > 0

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes there; fewer only where the file ends."""
        size = max(0, min(size, self.size - offset))
        try:
            return self._files.read(self._fd, size, offset)
        except OSError as error:
            if not self.is_unreadable:
                logger.error("%s can't be read around byte %d: %s", self._path, offset, error.strerror)
        blocks = range(offset, offset + size, _BLOCK_BYTES)
        return b"".join(self._block(at, min(_BLOCK_BYTES, offset + size - at)) for at in blocks)

    def _block(self, offset: int, size: int) -> bytes:
        if self._unreadable_blocks < _UNREADABLE_BLOCKS:
            try:
                return self._files.read(self._fd, size, offset)
            except OSError:
                self._unreadable_blocks += 1
        return bytes(size)
