"""A file of licenses as CSV, read line by line: every line becomes a license or is told what is wrong with it. Pure.

A line of the file is a line of the table: no cell may hold a line break, so that a forgotten quote costs one line, not
all that follow it, and the numbers are those that an editor shows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper
from typing import Any, BinaryIO, Final, TextIO

from ..errors import UsageError
from .badlines import BadLine, BadLines
from .fields import FIELDS, OPTIONAL, REQUIRED, InvalidLicense, Sold, check_span, quoted
from .keys import HashedKey, shown

COLUMNS: Final = ("key", *FIELDS)
# All cells at their longest, each character quoted, come to half of it.
LINE_CHARACTERS: Final = 4096
# Twins are found by the hashes of all keys before. Bound: so many × (49 + 32 + 100 bytes) = 180 MB.
LINES: Final = 1_000_000
# What `opened` makes of bytes that are no UTF-8.
_STRAY: Final = re.compile("[\udc80-\udcff]")
_UTF8: Final = "text in UTF-8 (in Excel: save as CSV UTF-8)"

_Cell = tuple[int, str, Callable[[str], Any], str]


class UnreadableFile(UsageError):
    """The file as a whole can't be read; the message says why, and what to do."""


def opened(file: BinaryIO) -> TextIO:
    """Return the file's text: UTF-8, with a byte order mark or without.

    Bytes that are none become characters that no cell may hold, so that they are told with their line.
    """
    return TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


class LicenseFile:
    """The licenses in a file. ``given`` are the optional columns that it has; ``bad`` collects what is wrong.

    Raises `UnreadableFile` when made, if the header isn't one.
    """

    def __init__(self, text: TextIO, key: Callable[[str], HashedKey], bad: BadLines) -> None:
        self.bad = bad
        self._key = key
        self._lines = _bounded(text)
        header = next(self._lines, "")
        self._delimiter, names = _header(header)
        self._width = len(names)
        self._key_at = names.index("key")
        self._cells: list[_Cell] = [
            (at, name, FIELDS[name].read, FIELDS[name].expected)
            for at, name in enumerate(names)
            if name in FIELDS
        ]
        self.given = frozenset(OPTIONAL).intersection(names)

    def __iter__(self) -> Iterator[tuple[int, Sold]]:
        """Yield the number of each good line, from 2 on, and its license. Can be done once."""
        lines_of: dict[bytes, int] = {}
        for number, line in enumerate(self._lines, 2):
            if number > LINES:
                raise UnreadableFile(
                    f"the file has more than {LINES} lines: split it, each part with the header"
                )
            cells = self._split(number, line)
            if cells is None or not any(cells):
                continue  # it was told, or is empty, as spreadsheets leave them at the end
            sold = self._license(number, cells, lines_of)
            if sold is not None:
                yield number, sold

    def _split(self, number: int, line: str) -> list[str] | None:
        if len(line) > LINE_CHARACTERS:
            given = f"more than {LINE_CHARACTERS} characters"
            self.bad.add(BadLine(number, "", given, f"at most {LINE_CHARACTERS}: is a quote missing?"))
            return None
        try:
            cells = _cells(line, self._delimiter)
        except csv.Error:
            expected = 'each quoted cell closed by a " before the next separator, in the same line'
            self.bad.add(BadLine(number, "", "a quote out of place", expected))
            return None
        while len(cells) > self._width and not cells[-1]:
            cells.pop()
        if any(cells) and len(cells) != self._width:
            self.bad.add(BadLine(number, "", f"{len(cells)} cells", f"{self._width}, as in the header"))
            return None
        return cells

    def _license(self, number: int, cells: Sequence[str], lines_of: dict[bytes, int]) -> Sold | None:
        """Return the license of a line, or tell all that is wrong with it; ``lines_of`` is where each key was first."""
        told = self.bad.count
        values: dict[str, Any] = {}
        for at, name, read, expected in self._cells:
            text = cells[at]
            if text or name in REQUIRED:
                try:
                    values[name] = read(text)
                except ValueError:
                    self.bad.add(_bad_cell(number, name, text, _given(name, text), expected))
        text = cells[self._key_at]
        try:
            check_span(values.get("starts"), values.get("ends"))
            hash, last4 = self._key(text)
        except InvalidLicense as error:
            cell = text if error.field == "key" else ""
            self.bad.add(_bad_cell(number, error.field, cell, error.given, error.expected))
            return None
        first = lines_of.setdefault(hash, number)
        if first != number:
            expected = f"each key once: it is in line {first} already"
            self.bad.add(BadLine(number, "key", shown(text), expected))
        return Sold(hash, last4, **values) if self.bad.count == told else None


def _given(column: str, text: str) -> str:
    """Return a bad cell as a message shows it: what may be a key in the wrong column by its end, as keys are shown."""
    if column == "customer" or len(text) <= (
        _PRODUCT_CHARACTERS if column == "product" else _SHORT_CHARACTERS
    ):
        return quoted(text)
    return shown(text)


def _bad_cell(number: int, column: str, text: str, given: str, expected: str) -> BadLine:
    """Return what is wrong with a cell; of a file that isn't UTF-8 that is all that there is to say."""
    if not _STRAY.search(text):
        return BadLine(number, column, given, expected)
    # Whole escapes are taken, so that a backslash of the file begins none.
    bytes_shown = re.sub(r"\\(?:udc([89a-f][0-9a-f])|.)", lambda m: f"\\x{m[1]}" if m[1] else m[0], given)
    return BadLine(number, column, bytes_shown, _UTF8)


def _bounded(text: TextIO) -> Iterator[str]:
    """Yield the lines without their ends; of one that is too long a part that is too long as well."""
    most = LINE_CHARACTERS + len("\r\n")
    while line := text.readline(most):
        part = line
        while len(part) == most and not part.endswith("\n"):
            part = text.readline(most)
        yield line.rstrip("\r\n")


def _cells(line: str, delimiter: str) -> list[str]:
    return [
        cell.strip()
        for cell in next(csv.reader((line,), delimiter=delimiter, skipinitialspace=True, strict=True), [])
    ]


def _header(line: str) -> tuple[str, list[str]]:
    """Return the separator and the names of the columns. Raises `UnreadableFile`."""
    if not line.isprintable() and not line.replace("\t", "").isprintable():
        raise UnreadableFile(
            "the first line isn't text in UTF-8: save the file as CSV UTF-8 (a spreadsheet has this among its formats)"
        )
    if len(line) > LINE_CHARACTERS:
        raise UnreadableFile(f"the first line has more than {LINE_CHARACTERS} characters: {_EXPECTED}")
    try:
        found = [(each, [name.lower() for name in _cells(line, each)]) for each in ",;"]
    except csv.Error:
        raise UnreadableFile(f"the first line has a quote out of place: {_EXPECTED}") from None
    delimiter, names = max(found, key=lambda each: len(each[1]))
    while names and not names[-1]:
        names.pop()
    problems = [
        *_problem("unknown", sorted({name for name in names if name not in COLUMNS})),
        *_problem("missing", [name for name in ("key", *REQUIRED) if name not in names]),
        *_problem("there twice", sorted({name for name in names if names.count(name) > 1})),
    ]
    if not set(names) & set(
        COLUMNS
    ):  # most likely a file without a header, and these are a key and a customer
        raise UnreadableFile(f"the first line names no column: {_EXPECTED}")
    if problems:
        raise UnreadableFile(f"the first line doesn't name the columns: {'; '.join(problems)}. {_EXPECTED}")
    return delimiter, names


def _problem(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        told = ", ".join(_given("", name) for name in names[: len(COLUMNS)])
        more = " and more" if len(names) > len(COLUMNS) else ""
        yield f"{told}{more} {'is' if len(names) == 1 else 'are'} {what}"


# No number, day or word of a column is longer; most keys are.
_SHORT_CHARACTERS: Final = 12
_PRODUCT_CHARACTERS: Final = 20
_EXPECTED: Final = (
    f"expected key, {', '.join(REQUIRED)}, and where they are known {', '.join(OPTIONAL)}, "
    "with commas or semicolons between"
)
