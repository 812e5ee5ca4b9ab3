"""The records that become no row: counted, the first of them told, all of them written to a file that can be mended."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import orjson

from .mapping import FileForm
from .picking import REPORT_COLUMNS

# As many as people look at; all are in the file.
TOLD: Final = 20
_GIVEN_CHARACTERS: Final = 60


class Rejected(NamedTuple):
    """One record that was left out, and why: its line, the column at fault (``""``: as a whole), what was given."""

    line: int
    column: str
    given: str
    expected: str

    def __str__(self) -> str:
        column = f", {self.column}" if self.column else ""
        given = f" (got {self.given})" if self.given else ""
        return f"line {self.line}{column}: {self.expected}{given}"


class Rejects:
    """Collects what is rejected. ``path`` is the report, made when there is something to report. A context manager."""

    def __init__(self, path: Path, form: FileForm, header: Sequence[str]) -> None:
        self.path = path
        self._form = form
        self._header = header
        self._file: TextIO | None = None
        self._writer: Any = None
        self.told: list[Rejected] = []
        self.by_reason: Counter[str] = Counter()

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def count(self) -> int:
        """How many."""
        return self.by_reason.total()

    def add(self, rejected: Rejected, record: Any) -> None:
        """Take one in; ``record`` goes into the report as it was read. Raises ``OSError`` where that fails."""
        if len(self.told) < TOLD:
            self.told.append(rejected)
        self.by_reason[
            f"{rejected.column}: {rejected.expected}" if rejected.column else rejected.expected
        ] += 1
        if self._file is None:
            self._file = self._opened()
            if self._form.format == "csv" and not self._form.columns:
                self._write((*self._header, *REPORT_COLUMNS))
        if self._form.format == "csv":
            why = (rejected.line, rejected.column, rejected.expected)
            cells = list(record or ())
            self._write((*cells, *[""] * (len(self._header) - len(cells)), *why))
        else:
            self._file.write(self._json(rejected, record))

    def _opened(self) -> TextIO:
        # As the source is written, so that the same mapping fits. With install ids, license keys and addresses as they
        # were given: for nobody else to read.
        file = open(  # noqa: SIM115 - closed by __exit__
            self.path,
            "w",
            encoding=self._form.encoding,
            errors="surrogateescape",
            newline="",
            opener=_private,
        )
        if self._form.quote:
            self._writer = csv.writer(file, delimiter=self._form.delimiter, quotechar=self._form.quote)
        return file

    def _write(self, cells: Sequence[object]) -> None:
        assert self._file is not None, "it is opened first"
        if self._form.quote:
            self._writer.writerow(cells)
        else:  # the file's own cells hold no delimiter, or they would be others
            between = self._form.delimiter
            self._file.write(between.join(str(cell).replace(between, " ") for cell in cells) + "\r\n")

    @staticmethod
    def _json(rejected: Rejected, record: Any) -> str:
        line = record.decode("utf-8", "surrogateescape") if isinstance(record, bytes) else str(record or "")
        why = dict(zip(REPORT_COLUMNS, (rejected.line, rejected.column, rejected.expected), strict=True))
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, dict):
            with suppress(orjson.JSONEncodeError):  # it reads what is nested 1,024 deep, and writes 254
                return orjson.dumps(found | why).decode() + "\n"
        return orjson.dumps({"rejected": line.encode("utf-8", "replace").decode()} | why).decode() + "\n"


def _private(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW, 0o600)  # what a link leads to is another's
    os.fchmod(fd, 0o600)  # also of a file that was there
    return fd


def quoted(value: object) -> str:
    """Return what was given as a message shows it: its begin, where it is long; nothing where nothing was given."""
    text = "" if value is None else str(value)
    if not text:
        return ""
    return repr(text if len(text) <= _GIVEN_CHARACTERS else text[:_GIVEN_CHARACTERS] + "…")
