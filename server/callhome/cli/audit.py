"""``callhome audit``: who has changed what, and who has signed in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url

if TYPE_CHECKING:
    from ..store.audit import Entry


@click.group()
def audit() -> None:
    """The audit trail: who has changed what, and who has signed in.

    It is kept for CALLHOME_AUDIT_DAYS. There are no passwords, tokens or addresses in it.
    """


@audit.command("list")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="From that day on, such as 2026-11-30 (UTC).",
)
@click.option("--actor", metavar="NAME", help="What that account, token or user of the system has done.")
@click.option("--action", metavar="ACTION", help="Such as account.add, or account for all of them.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Lines at most."
)
@as_json
@config
@database_url
def list_(
    since: datetime | None,
    actor: str | None,
    action: str | None,
    limit: int,
    as_json: bool,
    **where: Path | str | None,
) -> None:
    """List what has been done, the latest first.

    A table on a terminal; elsewhere a line each with tabs between: time (UTC), kind and name of who did it, what, to
    what, details as JSON.

    \b
    Examples:
      callhome audit list --since 2026-11-01
      callhome audit list --actor ada --action session
    """
    from ..store import audit

    begin = since and since.replace(tzinfo=UTC)
    config, database_url = where["config"], where["database_url"]
    assert not isinstance(config, str), "a path"
    found = run(
        lambda connection: audit.newest(connection, since=begin, actor=actor, action=action, limit=limit),
        config,
        None if database_url is None else str(database_url),
    )
    if as_json:
        show_json([_record(each) for each in found])
        return
    heads = ("when", "kind", "who", "what", "to", "details")
    show(heads, [_row(each) for each in found], "Nothing has been done")


def _row(entry: Entry) -> list[str]:
    details = json.dumps(entry.details) if entry.details else ""
    return [
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        *(entry.actor.kind.value, entry.actor.name, entry.action, entry.target, details),
    ]


def _record(entry: Entry) -> dict[str, object]:
    return {
        "at": entry.at.isoformat(),
        "kind": entry.actor.kind.value,
        "actor": entry.actor.name,
        "action": entry.action,
        "target": entry.target,
        "details": entry.details,
    }
