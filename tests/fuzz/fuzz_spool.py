"""Fuzz target: any bytes as a segment of the spool.

``one(data)`` raises where a promise is broken: an exception that is none of the reader's, bytes that are told twice or
not at all, a record whose checksums are wrong, or reading without end. With atheris, which needs no other part of this
project, it goes on for as long as it is let:

    pip install atheris && PYTHONPATH=server:tests python -m fuzz.fuzz_spool tests/fuzz/corpus/spool

``python -m fuzz.fuzz_spool --write FOLDER`` makes the corpus again.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final
from zlib import crc32

from callhome.spool.record import HEADER_BYTES, LEAST_ROW_BYTES, Foreign, Kind, body_of, header_of
from callhome.spool.scan import Record, scan

# Of a file of this size no part is read more often than this; the reader's own bound is 16 bodies of 8 MiB.
LONGEST_BYTES: Final = 64 * 2**10
READ_BYTES: Final = 300 * 2**20


def one(data: bytes) -> None:
    """Read bytes as a segment; raise ``AssertionError`` where a promise is broken."""
    data = data[:LONGEST_BYTES]
    read_bytes = 0

    def read(offset: int, size: int) -> bytes:
        nonlocal read_bytes
        assert 0 <= offset <= len(data), "read outside of the file"
        found = data[offset : offset + size]
        read_bytes += len(found)
        assert read_bytes < READ_BYTES, "read without end"
        return found

    at = 0
    try:
        for part in scan(read, len(data)):
            assert part.offset == at, "bytes are told twice, or not at all"
            assert part.end > part.offset, "nothing is told as something"
            at = part.end
            if isinstance(part, Record):
                _check(data, part)
    except Foreign:
        return
    assert at <= len(data)


def _check(data: bytes, record: Record) -> None:
    """A record that is told as whole has the checksums that its bytes say, and all its rows."""
    header, body = record.header, data[record.offset + HEADER_BYTES : record.end]
    assert crc32(body) == header.body_checksum
    assert len(record.body.rows) == header.rows
    assert len(record.body.attempts) == header.attempts
    assert body_of(record.body.rows, record.body.attempts) == body
    assert all(len(row) >= LEAST_ROW_BYTES for row in record.body.rows)


def _record(kind: Kind, rows: list[bytes], attempts: list[bytes], number: int, extent: int) -> bytes:
    body = body_of(rows, attempts)
    counts = (len(attempts), len(rows))
    return header_of(kind, body, counts, number=number, extent=extent, at_us=1_700_000_000_000_000) + body


def corpus() -> dict[str, bytes]:
    """Segments of all kinds, whole and damaged, by name."""
    row = b"\x00\x15" + bytes(LEAST_ROW_BYTES)
    opening = _record(Kind.OPENING, [], [], 0, 0)
    first = _record(Kind.ROWS, [row, row + b"more"], [b"a" * 16], 1, len(opening))
    second = _record(Kind.ROWS, [row], [], 2, len(opening + first))
    seal = _record(Kind.SEAL, [], [], 3, len(opening + first + second))
    whole = opening + first + second + seal
    return {
        "empty": b"",
        "opening": opening,
        "whole": whole,
        "open": opening + first + second,
        "room": opening + first + bytes(500),
        "torn_header": opening + first + second[:20],
        "torn_body": opening + first[:-3],
        "damaged": opening + first[:60] + b"\xff" + first[61:] + second + seal,
        "gap": opening + second + seal,
        "within": opening + _record(Kind.ROWS, [row + second], [], 1, len(opening)) + seal,
        "garbage": b"\xffCHSPOOL" * 40,
    }


def main() -> None:
    """Fuzz with atheris, or write the corpus."""
    if sys.argv[1:2] == ["--write"]:
        for name, data in corpus().items():
            (Path(sys.argv[2]) / name).write_bytes(data)
        return
    atheris = importlib.import_module("atheris")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
