"""One record of a segment as bytes: a header with a checksum of its own, then attempts and rows with theirs.

The header's checksum tells bytes that were a record from bytes that never were, and makes its lengths worth believing.
Both are CRC-32: against accidents, not against intent, since whoever can write to the folder can write what they like.
A damaged record passes once in four billion, and zlib computes it faster than any disk writes.

docs/spool.md has the layout byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from struct import Struct, pack, unpack_from
from typing import Final, NamedTuple
from zlib import crc32

from ..store.encoding import PING_COLUMNS

# No text of a ping can hold it, since it has a byte that UTF-8 never has. Nor can the id that a client made: over its
# 16 bytes it would lie where a UUIDv7 has its version (0x7.) or its variant (0x8. to 0xb.), and it has neither.
MAGIC: Final = b"\xffCHSPOOL"
FORMAT: Final = 1
# Rows are columns without their names: a record of a version with others is not ours to read.
LAYOUT: Final = crc32(",".join(PING_COLUMNS).encode())
ATTEMPT_BYTES: Final = 16
# A record is closed when it has so many bytes of rows: much more than a commit holds, little beside what a server has.
RECORD_BYTES: Final = 4 * 2**20
# The store looks into the first 70 bytes of a row without asking; the longest ping makes some 20 KiB.
LEAST_ROW_BYTES: Final = 70
MOST_ROW_BYTES: Final = 64 * 2**10
# A row that begins below RECORD_BYTES may go beyond it; before each stands its length, and attempts before all.
MOST_ATTEMPTS: Final = 4_096
MOST_BODY_BYTES: Final = RECORD_BYTES * 2 + MOST_ATTEMPTS * ATTEMPT_BYTES

# magic, format, kind, attempts, rows, length of the body, number, extent, layout, time, checksum of the body
_FIELDS: Final = Struct(">8sBBHIIIIIQI")
_CHECKSUM: Final = Struct(">I")
HEADER_BYTES: Final = _FIELDS.size + _CHECKSUM.size


class Kind(IntEnum):
    """What a record is for: the first of a segment, one with rows, the last of a segment."""

    OPENING = 1
    ROWS = 2
    SEAL = 3


class Foreign(ValueError):
    """An intact header of another version of callhome."""


class Header(NamedTuple):
    """The header of a record.

    ``number`` counts the records of a segment, the opening being 0. The file has been at least ``extent`` bytes long
    since before the record was written. ``at_us`` is when that was, in Unix microseconds.
    """

    kind: Kind
    attempts: int
    rows: int
    body_bytes: int
    number: int
    extent: int
    at_us: int
    body_checksum: int

    @property
    def record_bytes(self) -> int:
        """The length of the whole record."""
        return HEADER_BYTES + self.body_bytes


class Body(NamedTuple):
    """What a record holds: ids of 16 bytes of batches that may have stored its rows, and the rows."""

    attempts: list[bytes]
    rows: list[bytes]


def body_of(rows: Sequence[bytes], attempts: Sequence[bytes] = ()) -> bytes:
    """Return the body of a record; its rows and attempts must be within the bounds above."""
    return b"".join((*attempts, pack(f">{len(rows)}I", *map(len, rows)), *rows))


def header_of(
    kind: Kind, body: bytes, counts: tuple[int, int], *, number: int, extent: int, at_us: int
) -> bytes:
    """Return the header that stands before ``body``, which has ``counts`` attempts and rows."""
    fields = _FIELDS.pack(MAGIC, FORMAT, kind, *counts, len(body), number, extent, LAYOUT, at_us, crc32(body))
    return fields + _CHECKSUM.pack(crc32(fields))


def parse_header(data: bytes) -> Header | None:
    """Return the header that ``data`` begins with; None where there is none. Raises `Foreign`."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    if _CHECKSUM.unpack_from(data, _FIELDS.size)[0] != crc32(data[: _FIELDS.size]):
        return None
    _, format_, kind, attempts, rows, body_bytes, number, extent, layout, at_us, checksum = (
        _FIELDS.unpack_from(data)
    )
    if format_ != FORMAT or layout != LAYOUT or kind not in Kind.__members__.values():
        raise Foreign(f"it is of format {format_}, and of layout {layout:08x}")
    # Checked before a byte is read or a list made for them.
    least_bytes = attempts * ATTEMPT_BYTES + rows * (4 + LEAST_ROW_BYTES)
    if not least_bytes <= body_bytes <= MOST_BODY_BYTES:
        return None
    return Header(Kind(kind), attempts, rows, body_bytes, number, extent, at_us, checksum)


def parse_body(header: Header, body: bytes) -> Body | None:
    """Return what the body says, or None where it is not the one that the header was made for."""
    if len(body) != header.body_bytes or crc32(body) != header.body_checksum:
        return None
    first = header.attempts * ATTEMPT_BYTES
    lengths = unpack_from(f">{header.rows}I", body, first)
    ends = list(accumulate(lengths, initial=first + 4 * header.rows))
    if ends[-1] != len(body) or (lengths and min(lengths) < LEAST_ROW_BYTES):
        return None
    attempts = [body[at : at + ATTEMPT_BYTES] for at in range(0, first, ATTEMPT_BYTES)]
    return Body(attempts, [body[begin:end] for begin, end in pairwise(ends)])
