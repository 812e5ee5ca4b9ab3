"""``callhome settings``: what counts, and where it came from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .options import config


@click.command()
@config
@click.option("--markdown", "as_markdown", is_flag=True, help="Print docs/settings.md instead.")
def settings(config: Path | None, as_markdown: bool) -> None:
    """Show every setting: its value and where it came from.

    Secrets are masked. Ends with an error that lists what is wrong, if anything is: a check before a
    deployment. Elsewhere than on a terminal: a line each, with tabs between variable, value and source.
    """
    from ..settings import Settings, SettingsError, check, collect
    from ..settings.render import effective, markdown

    if as_markdown:
        click.echo(markdown(), nl=False)
        return
    collected = collect({}, config, os.environ, {})
    rows = effective(collected)
    if sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in rows:
            click.echo("\t".join(row))
    found, problems = check(Settings, collected)
    if found is None:
        raise SettingsError(problems)


def _print_table(rows: list[tuple[str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "from")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
