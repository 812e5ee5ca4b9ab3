"""The values of a record that a mapping asks for: cells of a line of CSV, or values of a JSON object. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import orjson

from .mapping import BadMapping

# What a report of rejected records has behind the columns of the file.
REPORT_COLUMNS: Final = ("rejected_line", "rejected_column", "rejected_because")


class BadRow(Exception):
    """A record that becomes no row: in which column (``""``: as a whole), what was given and what was expected."""

    def __init__(self, column: str, given: object, expected: str) -> None:
        super().__init__(expected)
        self.column = column
        self.given = given
        self.expected = expected


def picking_cells(
    columns: Sequence[str], names: Sequence[str], *, named_by_mapping: bool = False
) -> Callable[[Any], Sequence[Any]]:
    """Return what picks the named columns from the cells of a line. Raises `BadMapping` where one is not there.

    A report has its own columns in its header; where the mapping names the columns, they may stand behind those.
    """
    if missing := [name for name in names if name not in columns]:
        raise BadMapping(
            f"the file has no column {', '.join(map(repr, missing))}; it has {', '.join(columns)}"
        )
    if twice := [name for name in names if columns.count(name) > 1]:
        raise BadMapping(f"the file has more than one column {', '.join(map(repr, twice))}")
    places = [columns.index(name) for name in names]
    width = len(columns)
    widths = (width, width + len(REPORT_COLUMNS)) if named_by_mapping else (width,)
    get: Callable[[Any], Any] = itemgetter(*places)

    def pick(cells: Sequence[str]) -> Sequence[Any]:
        if len(cells) not in widths:
            raise BadRow("", f"{len(cells)} cells", f"expected {width} cells, as in the header")
        return get(cells) if len(places) > 1 else (get(cells),)

    return pick


def picking_json(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    """Return what picks the named values from a line of JSON; a dot in a name leads into an object."""
    paths = [(name, name.split(".")) for name in names]

    def pick(line: bytes | str) -> Sequence[Any]:
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise BadRow("", "", "expected JSON in UTF-8") from None
        if not isinstance(found, dict):
            raise BadRow("", "", "expected a JSON object")
        return [_at(found, name, path) for name, path in paths]

    return pick


def _at(found: Mapping[str, Any], name: str, path: Sequence[str]) -> Any:
    """Return the value of a name, or of a path of names with dots between."""
    if name in found:
        return found[name]
    inner: Any = found
    for part in path:
        if not isinstance(inner, dict):
            return None
        inner = inner.get(part)
    return inner
