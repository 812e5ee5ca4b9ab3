"""Spools in tests: small segments, rows that can be told apart, and what is on a fake disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from callhome.spool.files import Files
from callhome.spool.record import LEAST_ROW_BYTES, Kind
from callhome.spool.scan import Record, scan
from callhome.spool.segments import segment_number
from callhome.spool.spool import Spool
from fakedisk import FakeDisk

FOLDER = Path("/spool")
# A few records of these tests each.
SEGMENT_BYTES = 4_096


def small(folder: Path, files: Files | None = None, *, limit_bytes: int = 2**30) -> Spool:
    """Return a spool with segments of 4 KiB."""
    return Spool(folder, limit_bytes=limit_bytes, disk_percent=90, segment_bytes=SEGMENT_BYTES, files=files)


def row(number: int, length: int = LEAST_ROW_BYTES) -> bytes:
    """Return what the spool takes for a row: it begins with the number."""
    return number.to_bytes(8, "big") + b"\xee" * (length - 8)


def rows(numbers: Iterable[int], length: int = LEAST_ROW_BYTES) -> list[bytes]:
    """Return a row for each number."""
    return [row(number, length) for number in numbers]


def number_of(row: bytes) -> int:
    """Return the number that a row begins with."""
    return int.from_bytes(row[:8], "big")


def numbers(rows: Iterable[bytes]) -> list[int]:
    """Return the numbers of rows."""
    return [number_of(row) for row in rows]


async def drained(spool: Spool, limit_rows: int = 1_000) -> list[int]:
    """Drain a spool; return the numbers of its rows in the order they came."""
    found: list[int] = []
    while spooled := await spool.oldest(limit_rows):
        found += numbers(spooled.rows)
        await spool.settled(spooled)
    return found


def records(data: bytes) -> Iterator[Record]:
    """Yield the whole records of a segment's bytes."""
    for part in scan(reader(data), len(data)):
        if isinstance(part, Record):
            yield part


def reader(data: bytes):  # type: ignore[no-untyped-def]
    """Return a `Read` of bytes."""
    return lambda offset, size: data[offset : offset + size]


def on_disk(disk: FakeDisk) -> set[int]:
    """Return the numbers of all rows that a fake disk has in segments."""
    found: set[int] = set()
    for path, content in disk.files.items():
        if path.parent == FOLDER and segment_number(path.name) is not None:
            for record in records(bytes(content.seen)):
                if record.header.kind is Kind.ROWS:
                    found.update(numbers(record.body.rows))
    return found
