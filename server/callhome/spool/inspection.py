"""What is in a spool's folder, looked at without its lock and without a change: a server may be at work in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import UsageError
from .files import Files
from .recovery import look
from .segments import DAMAGED, Source, segment_number, segment_path

_WORKER: Final = re.compile(r"worker-\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Inspected:
    """A segment: ``size_bytes`` long, its first record written at ``oldest_s`` (Unix time; None where it has none).

    ``damaged`` are records, or parts of it, that can't be read. ``torn_bytes`` at its end are of a write that was cut
    short, or goes on at this moment. ``problem`` says why nothing is known of it.
    """

    path: Path
    size_bytes: int
    records: int = 0
    pings: int = 0
    oldest_s: float | None = None
    damaged: int = 0
    torn_bytes: int = 0
    is_sealed: bool = False
    problem: str = ""


def folders(files: Files, folder: Path) -> list[Path]:
    """Return the folder and those of workers in it. Raises `UsageError` where there is no such folder."""
    try:
        names = files.names(folder)
    except OSError as error:
        raise UsageError(
            f"{folder} can't be read: {error.strerror}; name the folder that CALLHOME_SPOOL_DIR named"
        ) from error
    return [folder, *(folder / name for name in names if _WORKER.fullmatch(name))]


def has_segments(files: Files, folder: Path) -> bool:
    """Whether there is a segment in the folder."""
    with suppress(OSError):
        return any(segment_number(name) is not None for name in files.names(folder))
    return False


def kept(files: Files, folder: Path) -> int:
    """Return how many damaged parts of earlier segments are kept in it."""
    with suppress(OSError):
        return len(files.names(folder / DAMAGED))
    return 0


def inspect(files: Files, folder: Path) -> Iterator[Inspected]:
    """Yield each segment of a folder, the oldest first. Those that are drained meanwhile are left out."""
    try:
        names = files.names(folder)
    except OSError as error:
        raise UsageError(f"{folder} can't be read: {error.strerror}") from error
    numbers = sorted(number for name in names if (number := segment_number(name)) is not None)
    for number in numbers:
        path = segment_path(folder, number)
        try:
            with Source(files, path) as source:
                yield _inspect(source, path, is_newest=number == numbers[-1])
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Inspected(path, 0, problem=f"it can't be read: {error.strerror}")


def _inspect(source: Source, path: Path, *, is_newest: bool) -> Inspected:
    try:
        seen = look(source, path, is_newest=is_newest)
    except UsageError as error:
        return Inspected(path, source.size, problem=str(error))
    return Inspected(
        path,
        source.size,
        seen.records,
        seen.pings,
        seen.first_us / 1e6 if seen.records else None,
        seen.damaged,
        seen.torn_bytes,
        seen.is_sealed,
    )
