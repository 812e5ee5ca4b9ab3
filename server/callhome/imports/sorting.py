"""Rows in the order of their ids, which is that of time, however many there are: runs on disk, merged while read."""

from __future__ import annotations

import marshal
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from ..store.encoding import row_id
from ..store.ids import id_ms
from .records import id_of

# Rows of a page: what is read of a run at a time. Bound while merging: so many × some 300 bytes = 600 kB for each run
# that is open, and runs are open only where their times overlap.
PAGE_ROWS: Final = 2_000


class Page(NamedTuple):
    """Sorted rows in one piece of the file; ``first`` is the smallest."""

    first: bytes
    data: bytes


class _Stored(NamedTuple):
    first: bytes
    offset: int
    length: int


def pages(rows: list[bytes]) -> list[Page]:
    """Return the rows, which are sorted here, as pages: a run of `Runs`. For another process, too."""
    rows.sort()
    parts = (rows[at : at + PAGE_ROWS] for at in range(0, len(rows), PAGE_ROWS))
    return [Page(part[0], marshal.dumps(part)) for part in parts]


class Runs:
    """Runs of sorted rows, in one file without a name: it is gone when this process is. A context manager."""

    def __init__(self, folder: Path | None) -> None:
        """``folder``: where to put the file, the temporary folder where None. Raises ``OSError``."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._runs: list[list[_Stored]] = []
        self._end = 0

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def size_bytes(self) -> int:
        """What the file takes on disk."""
        return self._end

    def add(self, run: Iterable[Page]) -> None:
        """Add a run. Raises ``OSError`` where the disk is full."""
        stored = []
        for page in run:
            self._file.write(page.data)
            stored.append(_Stored(page.first, self._end, len(page.data)))
            self._end += len(page.data)
        if stored:
            self._runs.append(stored)

    def merged(self) -> Iterator[list[bytes]]:
        """Yield all rows in order, some thousands at a time.

        What is yielded is sorted by the C code of lists, which merges what is in order already; a heap of single rows
        took four times as long.
        """
        self._file.flush()
        waiting = sorted(self._runs, key=lambda run: run[0].first, reverse=True)
        opened: list[_Open] = []
        while waiting or opened:
            if not opened:
                opened.append(_Open(self, waiting.pop()))
            until = min(run.rows[-1] for run in opened)
            while waiting and waiting[-1][0].first <= until:
                opened.append(_Open(self, waiting.pop()))
                until = min(until, opened[-1].rows[-1])
            taken: list[bytes] = []
            for run in opened:
                taken += run.take(until)
            opened = [run for run in opened if run.rows]
            taken.sort()
            yield taken

    def read(self, page: _Stored) -> list[bytes]:
        """Return the rows of a page."""
        rows: list[bytes] = marshal.loads(os.pread(self._file.fileno(), page.length, page.offset))
        return rows


class _Open:
    """A run that is being read: ``rows`` are those of its page that are left, none at its end."""

    def __init__(self, runs: Runs, pages: Sequence[_Stored]) -> None:
        self._runs = runs
        self._pages = iter(pages)
        self.rows = self._next()

    def take(self, until: bytes) -> list[bytes]:
        count = bisect_right(self.rows, until)
        taken, self.rows = self.rows[:count], self.rows[count:]
        if not self.rows:
            self.rows = self._next()
        return taken

    def _next(self) -> list[bytes]:
        page = next(self._pages, None)
        return [] if page is None else self._runs.read(page)


class Numbered:
    """Rows as they come merged, each with an id of its own.

    With ``repeats``, rows that say the same are several: the second and all later ones get other ids, the same each
    time. Without, they are one, and those that are left out are counted in ``twins``.
    """

    def __init__(self, merged: Iterable[list[bytes]], *, repeats: bool) -> None:
        self._merged = merged
        self._repeats = repeats
        self._last = b""
        self._nth = 0
        self.twins = 0

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield the same lists, changed so. Can be done once."""
        for rows in self._merged:
            ids = list(map(row_id, rows))
            if ids[0] == self._last or len(set(ids)) < len(ids):
                if apart := self._apart(rows, ids):
                    yield apart
            else:
                self._last, self._nth = ids[-1], 0
                yield rows

    def _apart(self, rows: list[bytes], ids: list[bytes]) -> list[bytes]:
        apart = []
        for row, id in zip(rows, ids, strict=True):
            if id != self._last:
                self._last, self._nth = id, 0
                apart.append(row)
                continue
            self._nth += 1
            if self._repeats:
                apart.append(_renumbered(row, self._nth))
            else:
                self.twins += 1
        return apart


def _renumbered(row: bytes, nth: int) -> bytes:
    """Return the row with the id of the ``nth`` repetition: of the same millisecond, and as hard to guess."""
    id = row_id(row)
    digest = blake2b(id + nth.to_bytes(8, "big"), digest_size=16).digest()
    return row[:6] + id_of(id_ms(id), digest) + row[22:]
