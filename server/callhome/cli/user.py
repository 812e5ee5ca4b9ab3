"""``callhome user``: who may sign in to the console."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..access.model import Role
from .database import run
from .listing import as_json, show, show_json
from .options import config, database_url

if TYPE_CHECKING:
    from ..store.accounts import Account

_Function = TypeVar("_Function", bound=Callable[..., Any])

# 100 random bits, without characters that are taken for others.
_GENERATED_CHARACTERS: Final = 20
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"

role_option = click.option(
    "--role",
    required=True,
    type=click.Choice([each.value for each in Role]),
    help="viewer: the map and numbers; analyst: customers too; admin: everything.",
)


def password_options(function: _Function) -> _Function:
    """The ways to give a password that nobody else sees; without one of them, it is asked for."""
    from_input = click.option(
        "--password-stdin", is_flag=True, help="Read the password from standard input: its first line."
    )
    generate = click.option("--generate", is_flag=True, help="Make a password, and print it once.")
    return from_input(generate(function))


@click.group()
def user() -> None:
    """Accounts of the console: add, list, change, remove.

    Running servers know of a change within 5 seconds, open maps within 15.
    """


@user.command()
@click.argument("name")
@role_option
@password_options
@config
@database_url
def add(name: str, role: str, password_stdin: bool, generate: bool, **where: Any) -> None:
    """Make an account called NAME, which signs in with it and a password.

    The password has at least 15 characters, of any kind. It is asked for on the terminal.

    \b
    Examples:
      callhome user add ada --role admin
      callhome user add hall --role viewer --generate
    """
    from ..access.checks import check_name
    from ..store import accounts
    from .os_user import actor

    name = check_name(name)
    password = _new_password(name, from_input=password_stdin, generate=generate)
    work = accounts.add
    run(
        lambda connection: work(connection, name, Role(role), password.hash, actor()),
        where["config"],
        where["database_url"],
    )
    click.echo(f"{name} may sign in, with the role {role}")
    password.show()


@user.command("list")
@as_json
@config
@database_url
def list_(as_json: bool, config: Path | None, database_url: str | None) -> None:
    """List the accounts.

    A table on a terminal; elsewhere a line each with tabs between: name, role, since when (UTC), when a session of it
    was used last, how many browsers have one.
    """
    from ..store import accounts

    found = run(accounts.list_all, config, database_url)
    if as_json:
        show_json([_record(each) for each in found])
        return
    nobody = "Nobody may sign in yet: callhome user add NAME --role admin"
    show(("name", "role", "since", "last used", "sessions"), [_row(each) for each in found], nobody)


@user.command()
@click.argument("name")
@click.option("--role", type=click.Choice([each.value for each in Role]), help="Its new role.")
@click.option("--password", "is_asked", is_flag=True, help="Ask for a new password on the terminal.")
@password_options
@config
@database_url
def change(
    name: str, role: str | None, is_asked: bool, password_stdin: bool, generate: bool, **where: Any
) -> None:
    """Give the account NAME another role or password. Whoever is signed in as it is signed out.

    \b
    Examples:
      callhome user change ada --role analyst
      callhome user change ada --password
    """
    from ..access.checks import known_as
    from ..errors import UsageError
    from ..store import accounts
    from .os_user import actor

    name, by = known_as(name), actor()
    password = None
    if is_asked or password_stdin or generate:
        password = _new_password(name, from_input=password_stdin, generate=generate)
    elif role is None:
        raise UsageError(
            "nothing to change: give --role, or one of --password, --password-stdin and --generate"
        )
    new_role, new_hash = Role(role) if role else None, password.hash if password else None
    ended = run(
        lambda connection: accounts.change(connection, name, by, role=new_role, password=new_hash),
        where["config"],
        where["database_url"],
    )
    click.echo(f"{name} is changed; sessions ended: {ended}")
    if password is not None:
        password.show()


@user.command()
@click.argument("name")
@config
@database_url
def remove(name: str, config: Path | None, database_url: str | None) -> None:
    """Remove the account NAME. Whoever is signed in as it is signed out; tokens that it made stay.

    \b
    Example:
      callhome user remove ada
    """
    from ..access.checks import known_as
    from ..store import accounts
    from .os_user import actor

    name, by = known_as(name), actor()
    run(lambda connection: accounts.remove(connection, name, by), config, database_url)
    click.echo(f"{name} is removed")


class _Password:
    """A new password: its hash, and itself where it was made here and has to be shown."""

    def __init__(self, password: str, *, is_made: bool) -> None:
        from ..access.passwords import hashed

        self.hash = hashed(password)
        self._shown = password if is_made else ""

    def show(self) -> None:
        """Print it, the only time, if it was made here."""
        if self._shown:
            click.echo(f"Its password, shown this once: {self._shown}")


def _new_password(name: str, *, from_input: bool, generate: bool) -> _Password:
    import secrets

    from ..access.checks import check_password
    from ..errors import UsageError

    if from_input and generate:
        raise UsageError("--password-stdin and --generate are two ways to the same: give one")
    if generate:
        made = "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED_CHARACTERS))
        return _Password(made, is_made=True)
    if from_input:
        given = sys.stdin.readline().rstrip("\r\n")
    elif not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a password: give --password-stdin or --generate")
    else:
        given = click.prompt(
            f"Password of {name}", hide_input=True, confirmation_prompt="The same again", err=True
        )
    return _Password(check_password(name, given), is_made=False)


def _row(one: Account) -> list[str]:
    used = f"{one.used_at:%Y-%m-%d %H:%M}" if one.used_at else ""
    return [one.name, one.role.value, f"{one.created_at:%Y-%m-%d}", used, str(one.sessions)]


def _record(one: Account) -> dict[str, object]:
    return {
        "name": one.name,
        "role": one.role.value,
        "created_at": one.created_at.isoformat(),
        "password_at": one.password_at.isoformat(),
        "used_at": one.used_at.isoformat() if one.used_at else None,
        "sessions": one.sessions,
    }
