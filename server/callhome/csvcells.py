"""CSV for spreadsheets: no cell of it is a formula, whoever wrote its text. Pure.

Source: OWASP, "CSV Injection": a text that begins with one of = + - @, a tab or a carriage return may be run
as a formula by the program that opens the file, and its idea of a separator may be another than ours.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from io import StringIO
from typing import Final

Cell = str | int | float | Decimal | date | datetime | None

# Also the full-width forms, which some spreadsheets take for the plain ones; behind blanks, which are skipped; and
# behind a semicolon, tab or line break within the text, which end a cell where they are the separators.
_FORMULA: Final = re.compile(r"^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?=\s*[=+\-@＝＋－＠])")


def safe(text: str) -> str:
    """Return the text as a cell that no spreadsheet runs: with ``'`` before each place that could begin a formula."""
    return _FORMULA.sub("'", text)


def row(cells: Iterable[Cell]) -> str:
    """Return a line of CSV (RFC 4180, ending in CR LF): texts made `safe`, dates in ISO 8601, None left empty.

    Numbers stay numbers, negative ones too.
    """
    line = StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow([_plain(cell) for cell in cells])
    return line.getvalue()


def rows(header: Iterable[str], lines: Iterable[Iterable[Cell]]) -> Iterator[str]:
    """Yield the lines of a whole file, the header first."""
    yield row(header)
    for line in lines:
        yield row(line)


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return safe(cell)
    return cell.isoformat() if isinstance(cell, date) else str(cell)
