"""``callhome db`` and ``callhome product`` on a real database."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import click
from click.testing import CliRunner, Result

from callhome import __version__
from callhome.cli import main
from callhome.cli.database import run as run_on

if TYPE_CHECKING:
    from callhome.store.connection import Connection

CLEAN: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CALLHOME_")}


def run(dsn: str, *words: str) -> Result:
    """Run ``callhome`` with only the database set."""
    return CliRunner().invoke(main, list(words), env={**CLEAN, "CALLHOME_DATABASE_URL": dsn})


def test_upgrade_can_be_run_again(empty_database: str) -> None:
    """``db upgrade`` tells what it did, in plain lines where there is no terminal, and may be repeated."""
    for _ in range(2):
        result = run(empty_database, "db", "upgrade")
        assert result.exit_code == 0, result.output
        assert f"has the schema of callhome {__version__}" in result.stdout
        assert ": done in " in result.stderr
        assert "\x1b" not in result.output


def test_products_are_added_renamed_and_listed(database: str) -> None:
    """A product is registered once; adding it again changes its name; the list shows both ways."""
    hostile = "<b>'); DROP TABLE product; --"
    assert run(database, "product", "add", "es").stdout == "es is registered as 'es'\n"
    assert run(database, "product", "add", "es", "--name", hostile).exit_code == 0
    assert run(database, "product", "add", "a.b-c_1", "--name", " Über ").exit_code == 0

    lines = run(database, "product", "list").stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [["a.b-c_1", "Über"], ["es", hostile]]
    listed = json.loads(run(database, "product", "list", "--json").stdout)
    assert [(each["key"], each["name"]) for each in listed] == [("a.b-c_1", "Über"), ("es", hostile)]


def test_without_tables_it_says_to_upgrade(empty_database: str) -> None:
    """``product`` on a database without tables names the command that makes them."""
    empty = run(empty_database, "product", "list")
    assert empty.exit_code == 2
    assert "run `callhome db upgrade`" in empty.stderr


def test_a_wrong_password_is_told_without_it(database: str) -> None:
    """A refused password is an error that names the place, never the password."""
    scheme, user, _password, rest = re.split(r"(?<=//)|(?<=\w):(?=[^@/]*@)|@", database)
    result = run(f"{scheme}{user}:hunter2@{rest}", "product", "list")
    assert result.exit_code == 1
    assert f"at {rest}" in result.stderr
    assert "hunter2" not in result.output


def test_the_database_sees_which_command_it_is(database: str) -> None:
    """``pg_stat_activity`` shows the command, without its subcommand; work outside one is just a command."""

    async def name(connection: Connection) -> str:
        """Return what this connection is called. Cancelling it changes nothing."""
        return str(await connection.fetchval("SELECT current_setting('application_name')"))

    @click.group()
    def root() -> None: ...

    @root.group()
    def thing() -> None: ...

    @thing.command()
    def add() -> None:
        click.echo(run_on(name, None, database))

    environ = {**CLEAN, "CALLHOME_DATABASE_URL": None}
    assert CliRunner().invoke(root, ["thing", "add"], env=environ).output == "callhome thing\n"
    assert run_on(name, None, database) == "callhome command"
