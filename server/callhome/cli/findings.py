"""``callhome findings``: misuse of licenses and cloned install ids."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..licenses.findings import State
from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url

if TYPE_CHECKING:
    from ..store.findings import Finding


@click.group()
def findings() -> None:
    """Misuse of licenses and cloned install ids: list, show, close.

    The server opens a finding when more is used than was sold, or other than was sold, confirms it when that has lasted
    for days, and closes it when it is over. docs/licenses.md tells the rules.
    """


@findings.command("list")
@click.option(
    "--state",
    "states",
    type=click.Choice([each.value for each in State]),
    multiple=True,
    default=[State.CONFIRMED.value, State.OPEN.value],
    show_default=True,
    help="Only findings in this state; may be given several times.",
)
@click.option("--license", metavar="ID|LAST4", help="Only those of this license. [default: all]")
@as_json
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, for spreadsheets.")
@config
@database_url
def list_(
    states: tuple[str, ...],
    license: str | None,
    as_json: bool,
    as_csv: bool,
    config: Path | None,
    database_url: str | None,
) -> None:
    """List the findings, the confirmed first.

    A table on a terminal; elsewhere a line each, with tabs between the columns.

    \b
    Examples:
      callhome findings list
      callhome findings list --state closed --license 7F3Q
    """
    from .. import csvcells
    from ..store import findings as store
    from . import findings_view as view

    chosen = [State(state) for state in states]
    found = run(lambda connection: store.list_all(connection, chosen, license), config, database_url)
    if as_json:
        show_json([view.record(one) for one in found])
    elif as_csv:
        _write(csvcells.rows(view.CSV_COLUMNS, (view.cells(one) for one in found)))
    else:
        show(view.HEADS, [view.line(one) for one in found], "There is no such finding")


@findings.command("show")
@click.argument("id", type=int)
@click.option("--json", "as_json", is_flag=True, help="As a JSON object, for programs.")
@config
@database_url
def show_(id: int, as_json: bool, config: Path | None, database_url: str | None) -> None:
    """Show the finding ID with its evidence: which installs, when and where.

    Installs are shown as pseudonyms, the keyed hashes that stand for their ids in the database.
    """
    from ..store import findings as store
    from . import findings_view as view

    found = run(lambda connection: store.find(connection, id), config, database_url)
    if as_json:
        click.echo(
            json.dumps({**view.record(found), "evidence": found.evidence}, ensure_ascii=False, indent=2)
        )
    else:
        for line in view.page(found):
            click.echo(line)


@findings.command()
@click.argument("id", type=int)
@click.option("--note", required=True, help="Why it is closed: people will read it.")
@click.option("--by", metavar="NAME", help="Who closes it. [default: your login name]")
@config
@database_url
def close(id: int, note: str, by: str | None, config: Path | None, database_url: str | None) -> None:
    """Close the finding ID.

    It isn't opened again unless more is found than it says now, or the terms of the license change. Where it said that
    more seats are in use than allowed, answers to pings say so no more within a second.

    \b
    Example:
      callhome findings close 12 --note "They have ordered five more seats"
    """
    from ..store import findings as store

    note, by = note.strip(), (by or _login()).strip()
    store.check_closing(note, by)  # before a connection is made for nothing
    closed = run(lambda connection: store.close(connection, id, note, by), config, database_url)
    click.echo(f"finding {closed.id} is closed: {_what(closed)}")


def _what(finding: Finding) -> str:
    from . import findings_view as view

    return f"{finding.rule} of {view.subject(finding)}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return "somebody"


def _write(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, nl=False)
