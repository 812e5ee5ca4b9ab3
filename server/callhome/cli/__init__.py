"""The ``callhome`` command. Each of its commands is a module, imported only when it is used."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

import click

from .. import __version__
from ..errors import CallhomeError
from .text import printable_lines

# Name -> what `callhome --help` says of it, without importing it. `name` is in callhome.cli.<name>.
COMMANDS: Final = {
    "serve": "Run the server: take pings in, count them, show them.",
    "db": "Prepare the database.",
    "product": "Register the products that may call home.",
    "release": "Released versions: add, list, withdraw; who is offered which.",
    "notice": "Messages to installed copies: add, list, withdraw.",
    "license": "Licenses as they were sold: add, import, list, revoke.",
    "findings": "Misuse of licenses and cloned install ids: list, show, close.",
    "alert": "What is watched, and who is told.",
    "report": "Summary mails: who gets which, when; preview and history.",
    "import": "Bring in what an older service has kept: rows of a file become pings.",
    "user": "Accounts of the console: add, list, change, remove.",
    "token": "Tokens for programs: add, list, revoke.",
    "audit": "The audit trail: who has changed what, and who has signed in.",
    "spool": "Pings that wait on disk: look at them, drain what was left.",
    "demo": "Show it all: a server with a database of its own, and a fleet all over the world that calls home.",
    "health": "Ask the server on this machine whether it is ready.",
    "ping": "Send one ping and explain the answer.",
    "watch": "Follow the live counters, until Ctrl-C.",
    "settings": "Show every setting: its value and where it came from.",
}

# Where a module can't have the command's name: this one is a word of the language.
_MODULES: Final = {"import": "import_pings"}

_FIRST_STEPS: Final = """\b
See it alive, with nothing to set up:
  callhome demo

\b
First steps, with a throw-away database of its own:
  callhome serve --embedded
and in another terminal, with the CALLHOME_SECRETS_DIR that it prints:
  export CALLHOME_SECRETS_DIR=...
  callhome product add es --name "Example Server"
  callhome ping --product es --version 1.0
  export CALLHOME_TOKEN=$(callhome token add me --role viewer)
  callhome watch

\b
With a PostgreSQL of your own:
  export CALLHOME_DATABASE_URL=postgresql://callhome:password@localhost/callhome
  export CALLHOME_SECRET=$(openssl rand -hex 32)    # keep it, never change it
  callhome db upgrade
  callhome user add NAME --role admin               # who may sign in to the console
  callhome serve

\b
Exit codes: 0 done, 1 failed, 2 called or configured wrongly.
"""


class _Commands(click.Group):
    """The commands of `COMMANDS`, imported late: ``callhome --help`` ought to be instant.

    A `CallhomeError` ends any of them with its message in red and its exit code, without a traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = _MODULES.get(cmd_name, cmd_name)
        command = getattr(import_module(f"{__name__}.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CallhomeError as error:
            color = False if os.environ.get("NO_COLOR") else None
            click.secho(f"callhome: {printable_lines(str(error))}", err=True, fg="red", color=color)
            raise click.exceptions.Exit(error.exit_code) from None


@click.group(cls=_Commands, epilog=_FIRST_STEPS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="callhome")
def main() -> None:
    """Takes in the pings of installed software, loses none that it has acknowledged, counts them live."""
