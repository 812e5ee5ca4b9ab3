"""``callhome token``: what programs show to the console in place of an account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url
from .user import role_option

if TYPE_CHECKING:
    from ..store.tokens import Token


@click.group()
def token() -> None:
    """Tokens for programs: add, list, revoke.

    A program sends one as `Authorization: Bearer ch_...`. Running servers know of a change within 5 seconds.
    """


@token.command()
@click.argument("name")
@role_option
@click.option(
    "--days", type=click.IntRange(1, 3_650), metavar="NUMBER", help="For how long. [default: until revoked]"
)
@config
@database_url
def add(name: str, role: str, days: int | None, config: Path | None, database_url: str | None) -> None:
    """Make a token called NAME, and print it. It is shown this once: only its hash is kept.

    The token goes to standard output, what is said of it to standard error.

    \b
    Examples:
      callhome token add wall-script --role viewer --days 90
      export CALLHOME_TOKEN=$(callhome token add laptop --role viewer)
    """
    from ..access import keys
    from ..access.checks import check_name
    from ..access.model import Role
    from ..store import tokens
    from .os_user import actor

    name, made, by = check_name(name), keys.new_token(), actor()
    run(
        lambda connection: tokens.add(connection, name, Role(role), keys.digest(made), by, days),
        config,
        database_url,
    )
    lasts = f"for {days} days" if days else f"until `callhome token revoke {name}`"
    click.echo(f"{name} has the role {role} {lasts}. Its token, shown this once:", err=True)
    click.echo(made)


@token.command("list")
@as_json
@config
@database_url
def list_(as_json: bool, config: Path | None, database_url: str | None) -> None:
    """List the tokens.

    A table on a terminal; elsewhere a line each with tabs between: name, role, who made it, since when, until when,
    day of its last use (UTC).
    """
    from ..store import tokens

    found = run(tokens.list_all, config, database_url)
    if as_json:
        show_json([_record(each) for each in found])
        return
    heads = ("name", "role", "made by", "since", "until", "last used")
    show(heads, [_row(each) for each in found], "There is no token: callhome token add NAME --role viewer")


@token.command()
@click.argument("name")
@config
@database_url
def revoke(name: str, config: Path | None, database_url: str | None) -> None:
    """Revoke the token NAME: from now on it counts for nothing.

    \b
    Example:
      callhome token revoke wall-script
    """
    from ..access.checks import known_as
    from ..store import tokens
    from .os_user import actor

    name, by = known_as(name), actor()
    run(lambda connection: tokens.revoke(connection, name, by), config, database_url)
    click.echo(f"{name} is revoked")


def _row(one: Token) -> list[str]:
    return [
        *(one.name, one.role.value, one.made_by, f"{one.created_at:%Y-%m-%d}"),
        f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "",
        one.used_on.isoformat() if one.used_on else "",
    ]


def _record(one: Token) -> dict[str, object]:
    return {
        "name": one.name,
        "role": one.role.value,
        "made_by": one.made_by,
        "created_at": one.created_at.isoformat(),
        "expires_at": one.expires_at.isoformat() if one.expires_at else None,
        "used_on": one.used_on.isoformat() if one.used_on else None,
    }
