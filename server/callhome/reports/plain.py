"""A mail as plain text: a good mail by itself, in columns, at most 76 wide. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from .model import UNSUBSCRIBE
from .outline import Block, Facts, Outline, Paragraph, Table
from .wording import width

# RFC 3676 asks for 78 at most; two are left for a mark of quotation.
COLUMNS: Final = 76
_GAP: Final = 2
# A column of texts is made no narrower than this.
_LEAST: Final = 8


def plain(outline: Outline, *, can_unsubscribe: bool) -> str:
    """The whole text; `UNSUBSCRIBE` stands where the address comes, on a line of its own that may be longer."""
    lines = [
        outline.name,
        outline.days,
        "=" * min(COLUMNS, max(width(outline.name), width(outline.days))),
        "",
    ]
    for sentence in outline.headline:
        lines += [*_wrapped(sentence), ""]
    for section in outline.sections:
        lines += ["", section.title, "-" * width(section.title), ""]
        for group in section.groups:
            if group.title:
                lines += [f"[{group.title}]", ""]
            for block in group.blocks:
                lines += _block(block)
    lines += ["", outline.meaning, "-" * width(outline.meaning), ""]
    for meaning in outline.meanings:
        lines += _wrapped(meaning)
    lines += ["", *_wrapped(outline.read_at), "", "-- "]
    lines += [*_wrapped(outline.sent_by)]
    lines.append(
        outline.unsubscribe_here.format(address=UNSUBSCRIBE) if can_unsubscribe else outline.no_unsubscribe
    )
    return "\n".join(line if line == "-- " else line.rstrip() for line in lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


def _block(block: Block) -> Iterator[str]:
    """Its lines, and an empty one behind it; a picture has none: what it shows is in words or in a table."""
    if isinstance(block, Paragraph):
        yield from (*_wrapped(block.text), "")
    elif isinstance(block, Facts):
        rows = tuple((fact.label, fact.value, fact.change) for fact in block.facts)
        yield from (*_table(Table((), rows, 1)), "")
    elif isinstance(block, Table):
        yield from (*_table(block), "")


def _table(table: Table) -> Iterator[str]:
    rows = [table.columns, *table.rows] if any(table.columns) else list(table.rows)
    widths = [max(width(cell) for cell in column) for column in zip(*rows, strict=True)]
    _narrow(widths, table.numbers_from)
    for at, row in enumerate(rows):
        if table.has_total and at == len(rows) - 1:
            yield "-" * (sum(widths) + _GAP * (len(widths) - 1))
        folded = [_folded(cell, columns) for cell, columns in zip(row, widths, strict=True)]
        for line in zip_longest(*folded, fillvalue=""):
            cells = (
                _cell(line[at], widths[at], to_right=at >= table.numbers_from) for at in range(len(widths))
            )
            yield (" " * _GAP).join(cells)


def _narrow(widths: list[int], texts: int) -> None:
    """Take from the widest columns of texts what is too much for a line."""
    while sum(widths) + _GAP * (len(widths) - 1) > COLUMNS:
        widest = max(range(texts), key=lambda column: widths[column])
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _folded(text: str, columns: int) -> list[str]:
    """The text in lines of at most so many columns, parted at blanks where there are any."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if width(longer) <= columns:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for char in word:
            if width(lines[-1] + char) > columns:
                lines.append("")
            lines[-1] += char
    return lines


def _cell(text: str, columns: int, *, to_right: bool) -> str:
    blank = " " * (columns - width(text))
    return blank + text if to_right else text + blank
