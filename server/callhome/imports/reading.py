"""The file to import: opened, unpacked, decoded and split into blocks of records, with the line of each."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import IO, Any, BinaryIO, Final

from ..errors import UsageError
from ..ingest.decode import MAX_BYTES
from .mapping import BadMapping, FileForm

# Records that are handed on at a time: some 5 MB as they travel to another process and back.
BLOCK_RECORDS: Final = 10_000
# A cell longer than a whole ping is none of ours: most likely a quote is missing. It costs the lines up to there.
_CELL_CHARACTERS: Final = MAX_BYTES
_LINE_BYTES: Final = 1 << 20
# And no line of CSV needs more: a file without line ends would be one that no memory holds.
_LINE_CHARACTERS: Final = 1 << 20
_READ_BYTES: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"


class UnreadableFile(UsageError):
    """The file as a whole can't be read; the message says why."""


@dataclass(slots=True)
class Block:
    """Consecutive records of the file: cells of CSV, lines of JSON; ``lines`` has the number of each, from 1.

    ``broken`` are records that are none: line, what was read of it, and what was expected. Lines of CSV without a quote
    come as they are, in ``text``: splitting them is work that other processes can share, and `split` does it.
    """

    records: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    text: str = ""
    before: int = 0
    form: FileForm | None = None

    def split(self) -> Block:
        """Return the same records one by one. Pure."""
        if self.form is None:
            return self
        with _cells_bounded():
            lines = io.StringIO(self.text, newline="")
            (block,) = _csv_blocks(_csv(lines, self.form), self.before, sys.maxsize, sys.maxsize)
        return block


class Source:
    """A file that is being read. ``header`` are the names of its columns, none of JSON.

    ``read_bytes`` is how much of it was read, as it lies on disk; `digest` says which file it was, once it is all read.
    """

    def __init__(self, file: BinaryIO, form: FileForm) -> None:
        """Raises `UnreadableFile` where the file has no header."""
        self._form = form
        self._raw = _Counted(file)
        buffered = io.BufferedReader(self._raw, _READ_BYTES)
        is_packed = buffered.peek(2)[:2] == _GZIP
        unpacked = gzip.GzipFile(fileobj=buffered) if is_packed else buffered
        self._bytes: IO[bytes] = io.BufferedReader(unpacked, _READ_BYTES) if is_packed else buffered
        self._text = io.TextIOWrapper(
            self._bytes, _with_mark(form.encoding), errors="surrogateescape", newline=""
        )
        self._lines = self._bounded()
        self._csv = _csv(self._lines, form)
        self.header = form.columns
        if form.format == "csv" and not self.header:
            with _whole_file():
                self.header = tuple(cell.strip() for cell in next(self._csv, []))
            if not any(self.header):
                raise UnreadableFile("the file is empty: expected a first line that names its columns")

    @property
    def read_bytes(self) -> int:
        """How much of the file was read."""
        return self._raw.count

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was read."""
        return self._raw.hash.digest()

    def blocks(self) -> Iterator[Block]:
        """Yield all records. Raises `UnreadableFile` where the rest can't be read."""
        with _whole_file(), _cells_bounded():
            yield from (self._csv_blocks() if self._form.format == "csv" else self._json_blocks())

    def _bounded(self) -> Iterator[str]:
        number = 0
        while line := self._text.readline(_LINE_CHARACTERS):
            number += 1
            if len(line) == _LINE_CHARACTERS and line[-1] not in "\r\n":
                raise UnreadableFile(
                    f"line {number:,} is longer than {_LINE_CHARACTERS:,} characters: expected CSV in lines"
                )
            yield line

    def _csv_blocks(self) -> Iterator[Block]:
        before, form = self._csv.line_num, self._form
        while lines := list(islice(self._lines, BLOCK_RECORDS)):
            text = "".join(lines)
            if not form.quote or form.quote not in text:
                yield Block(text=text, before=before, form=form)
                before += len(lines)
            else:  # a record may have many lines, also such as lie behind these
                reader = _csv(chain(lines, self._lines), form)
                yield from _csv_blocks(reader, before, len(lines), BLOCK_RECORDS)
                before += reader.line_num

    def _json_blocks(self) -> Iterator[Block]:
        block, number = Block(), 0
        # Bytes are what the parser takes; only another encoding has to become text first.
        lines = self._bytes if _is_utf8(self._form.encoding) else self._text
        while line := lines.readline(_LINE_BYTES):
            number += 1
            if len(line) == _LINE_BYTES:
                while line and len(line) == _LINE_BYTES:
                    line = lines.readline(_LINE_BYTES)
                block.broken.append((number, "", f"expected a line of less than {_LINE_BYTES} bytes"))
            elif line.strip():
                block.records.append(line)
                block.lines.append(number)
            if len(block.records) == BLOCK_RECORDS:
                yield block
                block = Block()
        yield block


class _Counted(io.RawIOBase):
    """A raw file that counts and hashes what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self.hash.update(data)
        self.count += len(data)
        return len(data)


def _csv_blocks(reader: Any, before: int, lines: int, size: int) -> Iterator[Block]:
    """Yield the records that begin within so many lines, at most ``size`` at a time; ``before`` lines lie before."""
    block = Block()
    while (begun := reader.line_num) < lines:
        first = before + begun + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            block.broken.append((first, _lost(first, before + reader.line_num), _broken(error)))
            continue
        if cells is None:
            break
        if cells:  # not an empty line
            block.records.append(cells)
            block.lines.append(first)
            if len(block.records) == size:
                yield block
                block = Block()
    yield block


def _with_mark(encoding: str) -> str:
    """Of UTF-8 the kind that a byte order mark may precede, as spreadsheets write it."""
    return "utf-8-sig" if _is_utf8(encoding) else encoding


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")


def _csv(text: Iterable[str], form: FileForm) -> Any:
    try:
        if not form.quote:
            return csv.reader(text, delimiter=form.delimiter, quoting=csv.QUOTE_NONE)
        return csv.reader(text, delimiter=form.delimiter, quotechar=form.quote)
    except (TypeError, ValueError) as error:
        raise BadMapping(f"file: {error}") from None


def _lost(first: int, last: int) -> str:
    return f"lines {first} to {last}" if last > first else ""


def _broken(error: csv.Error) -> str:
    if "limit" in str(error):
        return f"expected cells of at most {_CELL_CHARACTERS} characters: is a quote missing?"
    return f"expected CSV: {error}"


@contextmanager
def _whole_file() -> Iterator[None]:
    """Tell of a file that is cut or is none of its kind."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile(f"the file can't be unpacked: {error}. Nothing was imported") from None
    except UnicodeError as error:
        raise UnreadableFile(f"the file can't be decoded: {error}. Nothing was imported") from None


@contextmanager
def _cells_bounded() -> Iterator[None]:
    before = csv.field_size_limit(_CELL_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def opened(name: str) -> BinaryIO:
    """Return the file of a name, or the standard input for ``-``. Raises `UnreadableFile`."""
    if name == "-":
        return sys.stdin.buffer
    try:
        return open(name, "rb")
    except OSError as error:
        raise UnreadableFile(f"{name}: {error.strerror}") from None
