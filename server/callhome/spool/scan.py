"""Reads the records of a segment, whatever its bytes say: whole ones, and the regions that are none.

After a region that is no record it goes on at the next one. Nothing is believed that has no right checksum. No bytes
raise anything but `Foreign`, take more memory than two records, or more time than a few readings of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .record import HEADER_BYTES, MAGIC, MOST_BODY_BYTES, Body, Header, Kind, parse_body, parse_header

# (offset, bytes) -> the bytes there; fewer only where the file ends.
Read = Callable[[int, int], bytes]
# A search goes through the file in such pieces.
_PIECE_BYTES: Final = 256 * 2**10


class Record(NamedTuple):
    """A whole record, from ``offset`` to ``end``."""

    offset: int
    end: int
    header: Header
    body: Body


class Region(NamedTuple):
    """Bytes that are no record, from ``offset`` to ``end``; ``is_last`` where no record follows."""

    offset: int
    end: int
    is_last: bool


def scan(read: Read, size: int, start: int = 0) -> Iterator[Record | Region]:
    """Yield what is in the first ``size`` bytes from ``start`` on, in order, up to and with the seal.

    ``start`` is where a record begins. Zeros behind the last record are room that was not used, and no region.
    Raises `Foreign`.
    """
    at = start
    # Whoever writes a file of headers that all claim the longest body would have it read again and again.
    patience = _Patience(size + 16 * MOST_BODY_BYTES)
    while at < size:
        record = _record_at(read, at, size, patience)
        if record is None:
            record = _next_record(read, at, size, patience)
            if record is None:
                if not _is_zero(read, at, size):
                    yield Region(at, size, True)
                return
            yield Region(at, record.offset, False)
        yield record
        if record.header.kind is Kind.SEAL:
            return
        at = record.end


@dataclass(slots=True)
class _Patience:
    """How many more bytes may be read for bodies that turn out to be none."""

    bytes: int


def _record_at(read: Read, at: int, size: int, patience: _Patience) -> Record | None:
    header = parse_header(read(at, HEADER_BYTES))
    if header is None or at + header.record_bytes > size:
        return None
    body = parse_body(header, read(at + HEADER_BYTES, header.body_bytes))
    if body is None:
        patience.bytes -= header.record_bytes
        return None
    return Record(at, at + header.record_bytes, header, body)


def _next_record(read: Read, after: int, size: int, patience: _Patience) -> Record | None:
    at = after + 1
    while at < size:
        piece = read(at, min(_PIECE_BYTES, size - at))
        found = piece.find(MAGIC)
        while found >= 0:
            record = _record_at(read, at + found, size, patience)
            if record is not None or patience.bytes < 0:
                return record
            found = piece.find(MAGIC, found + 1)
        # A magic may lie across the border.
        at += max(1, len(piece) - len(MAGIC) + 1)
    return None


def _is_zero(read: Read, at: int, size: int) -> bool:
    while at < size:
        piece = read(at, min(_PIECE_BYTES, size - at))
        if not piece or piece.count(0) != len(piece):
            return False
        at += len(piece)
    return True


@dataclass(slots=True)
class Survey:
    """What a segment holds, without holding it.

    ``good_end`` is where its last record ends, ``next_number`` the number after its. ``damaged`` are the records that
    are missing by their numbers, but at least one for each region or end that is; ``regions`` are bytes that are no
    records, from offset to end. ``torn_bytes`` are those of a write at the end of the newest segment that was cut
    short, or of a last record that was damaged: nobody can tell these apart. ``is_cut``: the file was longer once.
    """

    size: int
    records: int = 0
    pings: int = 0
    good_end: int = 0
    next_number: int = 0
    first_us: int = 0
    is_sealed: bool = False
    is_cut: bool = False
    damaged: int = 0
    torn_bytes: int = 0
    regions: list[tuple[int, int]] = field(default_factory=list)


def survey(read: Read, size: int, *, is_newest: bool) -> Survey:
    """Return what a segment of ``size`` bytes holds. Raises `Foreign`.

    Only the newest may lack its seal: before there is a newer one, it is sealed.
    """
    found = Survey(size)
    number, extent, last = 0, 0, None
    for part in scan(read, size):
        last = part
        if isinstance(part, Region):
            found.regions.append((part.offset, part.end))
            continue
        missing = max(0, part.header.number - number)
        # A region that is no record's: where the next has the number that comes next, or an earlier one.
        found.damaged += missing or bool(found.regions and found.regions[-1][1] == part.offset)
        number, extent = part.header.number + 1, max(extent, part.header.extent)
        found.good_end = part.end
        found.is_sealed = part.header.kind is Kind.SEAL
        if part.header.kind is Kind.ROWS:
            found.first_us = found.first_us or part.header.at_us
            found.records += 1
            found.pings += len(part.body.rows)
    is_torn = isinstance(last, Region) and is_newest and found.good_end > 0
    if isinstance(last, Region):
        found.torn_bytes = size - last.offset if is_torn else 0
    found.next_number = number
    found.is_cut = not found.is_sealed and (size < extent or found.good_end == 0)
    if found.is_cut or not (found.is_sealed or is_newest):
        found.damaged += 1
    return found
