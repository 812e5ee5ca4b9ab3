"""Bytes of a segment that are no records are kept apart, for whoever can still make something of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from .files import Files
from .segments import DAMAGED, Source

logger = logging.getLogger(__name__)

# As long as one segment, without those set aside: who wants more of a dying disk copies the disk.
KEPT_BYTES: Final = 64 * 2**20
_PIECE_BYTES: Final = 2**20
_KEPT: Final = re.compile(r"(\d{10})(?:-\d+\.bin|\.seg)", re.ASCII)


def keep(files: Files, folder: Path, number: int, source: Source, regions: Sequence[tuple[int, int]]) -> None:
    """Copy regions (from offset to end) of segment ``number`` into the folder ``damaged``, and log them.

    What was kept before stays as it is. Never raises: what can't be kept is logged.
    """
    if not regions:
        return
    kept = folder / DAMAGED
    try:
        files.make_folder(kept)
        names = files.names(kept)
        room = KEPT_BYTES - sum(_size(files, kept / name) for name in names if name.endswith(".bin"))
        for offset, end in regions:
            name = f"{number:010d}-{offset}.bin"
            if name in names:
                continue
            if end - offset > room:
                logger.error("%s has no room for %s (%d bytes): it is not kept", kept, name, end - offset)
                continue
            _copy(files, source, (offset, end), kept / name)
            room -= end - offset
            logger.error(
                "bytes %d to %d of segment %d are no records: %s has them", offset, end, number, kept / name
            )
        files.sync_folder(kept)
    except OSError as error:
        logger.error("%s: damaged parts of segment %d are not kept: %s", kept, number, error.strerror)


def set_aside(files: Files, folder: Path, path: Path) -> None:
    """Move a whole segment into the folder ``damaged``: it can't be read now, perhaps later. Raises ``OSError``."""
    kept = folder / DAMAGED
    files.make_folder(kept)
    files.rename(path, kept / path.name)
    files.sync_folder(kept)
    files.sync_folder(folder)
    logger.error("%s can't be read as it could be before: it is in %s now", path, kept)


def last_number(files: Files, folder: Path) -> int:
    """Return the highest number of a segment of which something is kept; 0 where nothing is."""
    try:
        names = files.names(folder / DAMAGED)
    except OSError:  # none was ever made
        return 0
    return max((int(found[1]) for name in names if (found := _KEPT.fullmatch(name))), default=0)


def _size(files: Files, path: Path) -> int:
    with Source(files, path) as kept:
        return kept.size


def _copy(files: Files, source: Source, region: tuple[int, int], path: Path) -> None:
    unfinished = path.with_suffix(".new")
    with suppress(OSError):  # left by a crash
        files.remove(unfinished)
    fd = files.create(unfinished)
    try:
        offset, end = region
        for at in range(offset, end, _PIECE_BYTES):
            files.write(fd, source.read(at, min(_PIECE_BYTES, end - at)), at - offset)
        files.sync(fd)
    finally:
        files.close(fd)
    files.rename(unfinished, path)
