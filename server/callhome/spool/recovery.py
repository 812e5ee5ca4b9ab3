"""What a spool finds in its folder when it is opened: segments, damaged ones too, and the end of a write cut short."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from . import damage
from .files import NO_ROOM, Files
from .record import HEADER_BYTES, Foreign, Kind, header_of
from .scan import Survey, survey
from .segments import LAST_NUMBER, Segment, Source, is_known, is_unfinished, segment_number, segment_path

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Recovered:
    """The segments in order, and what was found: records and regions damaged, writes cut short, and the next number."""

    segments: list[Segment] = field(default_factory=list)
    damaged: int = 0
    torn: int = 0
    next_number: int = 1

    @property
    def pings(self) -> int:
        """How many pings are there."""
        return sum(segment.pings for segment in self.segments)


def recover(files: Files, folder: Path) -> Recovered:
    """Look through the folder, whose lock is held, and make its newest segment complete.

    It may be killed anywhere, and does the rest the next time. Raises `UsageError`, ``OSError``.
    """
    names = files.names(folder)
    numbers = sorted(number for name in names if (number := segment_number(name)) is not None)
    strange = sorted(name for name in names if not is_known(name))
    if strange:
        logger.warning(
            "%s has files that are none of a spool's, which stay: %s", folder, ", ".join(map(repr, strange))
        )
    for name in filter(is_unfinished, names):
        files.remove(folder / name)
    kept = damage.last_number(files, folder)
    found = Recovered(next_number=max(kept, *numbers, 0) + 1 if numbers else kept + 1)
    if found.next_number > LAST_NUMBER:
        raise UsageError(
            f"{folder} has files of segment {LAST_NUMBER}, behind which there is none: move them away"
        )
    for number in numbers:
        segment = _recover_one(files, folder, number, found, is_newest=number == numbers[-1])
        if segment is not None:
            found.segments.append(segment)
    files.sync_folder(folder)
    if found.segments:
        logger.info("%s: %d pings in %d segments are to be drained", folder, found.pings, len(found.segments))
    return found


def _recover_one(
    files: Files, folder: Path, number: int, found: Recovered, *, is_newest: bool
) -> Segment | None:
    path = segment_path(folder, number)
    with Source(files, path) as source:
        seen = look(source, path, is_newest=is_newest)
        regions = seen.regions or ([(seen.size, seen.size)] if seen.damaged else [])
        damage.keep(files, folder, number, source, regions)
        is_unreadable = source.is_unreadable
    found.damaged += seen.damaged
    found.torn += bool(seen.torn_bytes)
    if seen.damaged:
        logger.error("%s is damaged: %d records or parts of it can't be read", path, seen.damaged)
    if seen.torn_bytes:
        logger.warning(
            "%s: the last %d bytes are of a write that was cut short, or damaged; they are cut off",
            path,
            seen.torn_bytes,
        )
    if not seen.records:
        if is_unreadable:
            damage.set_aside(files, folder, path)
        else:
            files.remove(path)
        return None
    if is_newest and not seen.is_sealed and not is_unreadable:  # records may be behind what can't be read
        _seal(files, path, seen)
    return Segment(
        number, path, seen.good_end, seen.first_us, seen.records, seen.pings, known=set(seen.regions)
    )


def look(source: Source, path: Path, *, is_newest: bool) -> Survey:
    """Return what is in a segment. Raises `UsageError` where another version has written it."""
    try:
        seen = survey(source.read, source.size, is_newest=is_newest)
    except Foreign as error:
        raise UsageError(
            f"{path} was written by another version of callhome ({error}): drain it with that version, "
            "or move it to another folder"
        ) from error
    if source.is_unreadable and not (seen.damaged or seen.torn_bytes):
        seen.damaged = 1  # what can't be read may have been room that was not used, or not
    return seen


def _seal(files: Files, path: Path, seen: Survey) -> None:
    """Write the seal over what is behind the last record, and cut the rest off.

    In this order: were it cut first, a crash would leave a file that is shorter than its records say.
    """
    end = seen.good_end + HEADER_BYTES
    at_us = seen.first_us
    header = header_of(Kind.SEAL, b"", (0, 0), number=seen.next_number, extent=end, at_us=at_us)
    fd = files.open(path, writing=True)
    try:
        files.write(fd, header, seen.good_end)
        files.sync(fd)
        files.truncate(fd, end)
        files.sync(fd)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        logger.warning("%s could not be sealed: %s", path, error.strerror)  # the next time it is tried again
    finally:
        files.close(fd)
