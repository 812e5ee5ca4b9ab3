"""Sorted rows in chunks, each a transaction: all of them older than the retention, or none. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from ..store.encoding import row_id
from ..store.ids import id_ms

# As one fold takes: large enough that the fixed cost of statements is small, small enough that live pings don't wait.
CHUNK_ROWS: Final = 20_000
# A fold takes a dozen statements for each day, and each looks through all rows of the fold. A service of few pings has
# years in so many rows: with 60 days, a row cost twice as much, and live counters would wait for seconds.
CHUNK_DAYS: Final = 20
_DAY_MS: Final = 86_400_000


class Chunk(NamedTuple):
    """Sorted rows. ``is_old``: older than what is kept singly; ``end``: how many rows there are up to its end."""

    rows: list[bytes]
    is_old: bool
    end: int


def chunks(merged: Iterable[list[bytes]], skip: int, keep_from_ms: int) -> Iterator[Chunk]:
    """Yield all rows but the first ``skip``; those before ``keep_from_ms`` (a midnight UTC) are old."""
    end, gathered = skip, list[bytes]()
    for rows in chain(merged, (None,)):
        if rows is not None and skip >= len(rows):
            skip -= len(rows)
            continue
        gathered += rows[skip:] if rows is not None else []
        skip = 0
        while len(gathered) > CHUNK_ROWS or (rows is None and gathered):
            count = _count(gathered, keep_from_ms)
            end += count
            # Sorted anew: repetitions have got other ids, within their millisecond.
            yield Chunk(sorted(gathered[:count]), _ms(gathered[0]) < keep_from_ms, end)
            gathered = gathered[count:]


def _count(rows: list[bytes], keep_from_ms: int) -> int:
    """Return how many of the rows make a chunk: up to the retention, and not too many days."""
    first_ms = _ms(rows[0])
    end_ms = (first_ms // _DAY_MS + CHUNK_DAYS) * _DAY_MS
    if first_ms < keep_from_ms:
        end_ms = min(end_ms, keep_from_ms)
    return bisect_left(rows, end_ms, 0, min(CHUNK_ROWS, len(rows)), key=_ms)


def _ms(row: bytes) -> int:
    return id_ms(row_id(row))
