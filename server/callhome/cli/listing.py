"""How a command lists things: a table on a terminal, lines with tabs elsewhere, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

import click

from .text import printable

as_json = click.option("--json", "as_json", is_flag=True, help="As a JSON array, for programs.")


def show(heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Print rows of texts, one for each of ``heads``; where there are none, ``nothing`` is said on a terminal."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(printable(text, None) for text in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads)
    for row in rows:
        table.add_row(*(Text(printable(text, None), overflow="fold") for text in row))
    Console().print(table if rows else nothing)


def show_json(records: Sequence[Mapping[str, object]]) -> None:
    """Print the records as a JSON array."""
    click.echo(json.dumps(records, ensure_ascii=False, indent=2))
