"""The mapping file: which column of an older service's export is which field of a ping. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ..errors import UsageError
from ..ingest.model import LegacyPing
from .times import TimeReader, reader

# What a ping has, but for its id: which of them a column or a constant may fill.
PING_FIELDS: Final = tuple(sorted({f.name for f in msgspec.structs.fields(LegacyPing)} - {"id", "extra"}))
# Beside them: who sent it, and from where; neither is stored.
PLACE_FIELDS: Final = ("country", "address")
EXTRA: Final = "extra."
FORMATS: Final = ("csv", "ndjson")
_EXTRA_FIELD: Final = re.compile(r"extra\..{1,64}")
_FIELDS_EXPECTED: Final = f"{', '.join(PING_FIELDS)}, {', '.join(PLACE_FIELDS)} or extra.NAME"


class BadMapping(UsageError):
    """The mapping can't be used; the message names the key at fault and what was expected."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """How the file is written. ``columns`` names those of a CSV file without a header."""

    format: str
    encoding: str
    delimiter: str
    quote: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileMapping:
    """A whole mapping. ``fields``, ``constants`` and ``values`` are by field of the ping, in the order of their names.

    ``row_id`` is the column that tells rows apart, ``""`` where all mapped values do. ``text`` is the TOML itself,
    ``canonical`` the same for every text that says the same.
    """

    form: FileForm
    time_column: str
    read_time: TimeReader
    row_id: str
    fields: Mapping[str, str]
    constants: Mapping[str, Any]
    values: Mapping[str, Mapping[str, str]]
    text: str = field(repr=False)
    canonical: str = field(repr=False)

    @property
    def columns(self) -> Iterator[str]:
        """Every column that it reads."""
        yield self.time_column
        if self.row_id:
            yield self.row_id
        yield from self.fields.values()


def parse(text: str, name: str = "") -> FileMapping:
    """Return the mapping in a TOML text; ``name`` is that of the file to import. Raises `BadMapping`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadMapping(f"the mapping is no TOML: {error}") from None
    _only(tables, "", ("file", "time", "row", "fields", "constants", "values"))
    form = _form(_table(tables, "file"), name)
    column, read_time = _time(_table(tables, "time"))
    row = _table(tables, "row")
    _only(row, "row.", ("id",))
    fields = _fields(_table(tables, "fields"), "fields", _column)
    constants = _fields(_table(tables, "constants"), "constants", lambda _name, value: value)
    values = _fields(_table(tables, "values"), "values", _values)
    for needed in ("product", "version"):
        if needed not in fields and needed not in constants:
            raise BadMapping(f"{needed}: expected its column in [fields], or its value in [constants]")
    row_id = _text(row.get("id", ""), "row.id")
    return FileMapping(form, column, read_time, row_id, fields, constants, values, text, _canonical(tables))


def _canonical(tables: Mapping[str, Any]) -> str:
    return json.dumps(tables, sort_keys=True, default=str)


def _form(table: Mapping[str, Any], name: str) -> FileForm:
    _only(table, "file.", ("format", "encoding", "delimiter", "quote", "columns"))
    stem = name.removesuffix(".gz")
    known = "ndjson" if stem.endswith((".ndjson", ".jsonl", ".json")) else "csv"
    form = FileForm(
        format=_text(table.get("format", known), "file.format"),
        encoding=_text(table.get("encoding", "utf-8"), "file.encoding"),
        delimiter=_text(table.get("delimiter", ","), "file.delimiter"),
        quote=_text(table.get("quote", '"'), "file.quote"),
        columns=tuple(_texts(table.get("columns", []), "file.columns")),
    )
    if form.format not in FORMATS:
        raise BadMapping(f"file.format: expected {' or '.join(FORMATS)}, got {form.format!r}")
    try:
        "".encode(form.encoding)
    except (LookupError, UnicodeError, ValueError):  # such as "undefined", or a name with a NUL
        raise BadMapping(
            f"file.encoding: expected one that Python knows, such as latin-1, got {form.encoding!r}"
        ) from None
    if len(form.delimiter) != 1:
        raise BadMapping(f"file.delimiter: expected one character, got {form.delimiter!r}")
    if len(form.quote) > 1:
        raise BadMapping(
            f'file.quote: expected one character, or "" where nothing is quoted, got {form.quote!r}'
        )
    return form


def _time(table: Mapping[str, Any]) -> tuple[str, TimeReader]:
    _only(table, "time.", ("column", "format", "zone", "earliest"))
    given = {key: _text(value, f"time.{key}") for key, value in table.items()}
    if not given.get("column"):
        raise BadMapping("time.column: expected the column with the time of each row")
    column = given.pop("column")
    try:
        return column, reader(**given)
    except ValueError as error:
        raise BadMapping(f"time.{error}") from None


def _fields(table: Mapping[str, Any], where: str, read: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Return a table by fields of the ping, sorted; ``extra`` may be a table of its own or be spelled with a dot."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if name == "extra" and isinstance(value, dict):
            flat |= {EXTRA + key: inner for key, inner in value.items()}
        else:
            flat[name] = value
    known = (*PING_FIELDS, *PLACE_FIELDS)
    for name in flat:
        if name not in known and not _EXTRA_FIELD.fullmatch(name):
            raise BadMapping(f"{where}.{name}: expected {_FIELDS_EXPECTED}")
    return {name: read(f"{where}.{name}", flat[name]) for name in sorted(flat)}


def _column(name: str, value: Any) -> str:
    if not (column := _text(value, name)):
        raise BadMapping(f"{name}: expected the name of a column")
    return column


def _values(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadMapping(
            f'{name}: expected a table of what the file says and what it means, such as "Old" = "new"'
        )
    return {old: _text(new, f"{name}.{old}") for old, new in value.items()}


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise BadMapping(f"{name}: expected a table, [{name}]")
    return found


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise BadMapping(f"{name}: expected a text, got {value!r}")
    return value


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise BadMapping(f"{name}: expected a list of texts, got {value!r}")
    return [_text(one, name) for one in value]


def _only(table: Mapping[str, Any], where: str, known: tuple[str, ...]) -> None:
    for name in table:
        if name not in known:
            raise BadMapping(f"{where}{name}: no such key; expected {', '.join(known)}")
