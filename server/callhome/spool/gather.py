"""Reads rows of a segment to be drained: as many records together as fit, from where the last ones ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from . import damage
from .files import Files
from .record import RECORD_BYTES, Foreign, Kind
from .scan import Record, Region, scan
from .segments import Segment, Source

# Of the records together, whatever their number; one alone may have as much again.
_MOST_BYTES: Final = RECORD_BYTES


class Gathered(NamedTuple):
    """Rows of ``records`` records that end at ``end``, and the attempts that may have stored them.

    ``at_us`` is when the first was written; ``regions`` are damaged ones that were not known.
    """

    rows: list[bytes]
    attempts: list[bytes]
    records: int
    end: int
    at_us: int
    regions: list[tuple[int, int]]


def gather(files: Files, folder: Path, segment: Segment, start: int, limit_rows: int) -> Gathered:
    """Return the records of a segment from byte ``start`` on: up to ``limit_rows`` rows and 4 MiB, but at least one.

    One with attempts comes alone: what they stored is counted by the ids of its rows, from the first to the last.
    Damaged regions are kept and passed over. Raises ``OSError`` where it can't be opened.
    """
    rows: list[bytes] = []
    attempts: list[bytes] = []
    regions: list[tuple[int, int]] = []
    records, end, at_us, read_bytes = 0, start, 0, 0
    size = segment.end
    with Source(files, segment.path) as source:
        for part in _parts(source, size, start):
            if isinstance(part, Region):
                regions.append((part.offset, part.end))
                continue
            body = part.body
            read_bytes += part.end - part.offset
            is_full = len(rows) + len(body.rows) > limit_rows or read_bytes > _MOST_BYTES
            if rows and (body.attempts or is_full):
                break
            end = part.end
            if part.header.kind is not Kind.ROWS:
                continue
            at_us = at_us or part.header.at_us
            rows += body.rows
            records += 1
            attempts = body.attempts
            if attempts:
                break
        else:
            end = size
        new = [region for region in regions if region not in segment.known]
        if new:
            damage.keep(files, folder, segment.number, source, new)
    return Gathered(rows, attempts, records, end, at_us, new)


def _parts(source: Source, size: int, start: int) -> Iterator[Record | Region]:
    at = start
    try:
        for part in scan(source.read, size, start):
            at = part.end
            yield part
    except Foreign:  # it was not when the spool was opened, so it is damage
        yield Region(at, size, True)
