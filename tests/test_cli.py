"""The ``callhome`` command as a whole: help, errors, exit codes, colours, and what starting it costs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import click
import pytest
from click.testing import CliRunner

from callhome import __version__
from callhome.cli import COMMANDS, main

URL = "postgresql://me:hunter2@127.0.0.1:1/callhome"  # nothing listens on port 1
CLEAN: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CALLHOME_")}


def every_command(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, with their words."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_command(below, *path, name)


EVERY = list(every_command(main))


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(("callhome", *path)) for path, _ in EVERY])
def test_every_command_explains_itself(path: tuple[str, ...], command: click.Command) -> None:
    """``--help`` of each command says what it does and what each option means, in short lines."""
    result = CliRunner().invoke(main, [*path, "--help"], prog_name="callhome")
    assert result.exit_code == 0
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []
    assert all(len(line) <= 90 for line in result.output.splitlines())


def test_the_overview_tells_the_first_line_of_each_command() -> None:
    """What ``callhome --help`` says without importing a command is what the command says itself."""
    short = {path[0]: command.get_short_help_str(200) for path, command in EVERY if len(path) == 1}
    assert {name: words.rstrip(".") for name, words in COMMANDS.items()} == {
        name: words.rstrip(".") for name, words in short.items()
    }


def test_help_imports_nothing_slow() -> None:
    """``callhome --help`` loads none of the libraries that make a start slow."""
    program = (
        "import sys; from callhome.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted({'pydantic', 'rich', 'asyncpg', 'aiohttp', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_m_callhome_is_the_command() -> None:
    """``python -m callhome --version`` prints the version."""
    done = subprocess.run([sys.executable, "-m", "callhome", "--version"], capture_output=True, text=True)
    assert done.stdout == f"callhome, version {__version__}\n"


ERRORS: list[tuple[list[str], dict[str, str], int, str]] = [
    (["serve"], {}, 2, "CALLHOME_SECRET: missing; expected a text of at least 32"),
    (["serve", "--data-dir", "x"], {}, 2, "callhome: --data-dir is for --embedded"),
    (["serve", "--embedded", "--database-url", URL], {}, 2, "callhome: --embedded brings its own database"),
    (
        ["serve", "--embedded", "--data-dir", "/dev/null/x"],
        {},
        2,
        "/dev/null/x can't be made: Not a directory",
    ),
    (["serve", "--embedded", "--loop", "trio"], {}, 2, "callhome: --loop (command line): expected uvloop or"),
    (["db", "upgrade"], {}, 2, "callhome: CALLHOME_DATABASE_URL: missing; expected a PostgreSQL URL"),
    (
        ["db", "upgrade"],
        {"CALLHOME_DATABASE_URL": URL},
        1,
        "no connection to PostgreSQL at 127.0.0.1:1/callhome",
    ),
    (["product", "list", "--database-url", URL], {}, 1, "check that it runs there"),
    (["product", "add", "ES", "--database-url", URL], {}, 2, "'ES' is no product key: expected 1 to 64 of"),
    (["product", "add", "a" * 65, "--database-url", URL], {}, 2, "is no product key"),
    (
        ["product", "add", "es", "--name", "a\nb", "--database-url", URL],
        {},
        2,
        r"'a\nb' is no product name: expected",
    ),
    (["settings"], {"CALLHOME_VIEWER": "5"}, 2, "did you mean CALLHOME_VIEWERS?"),
    (["settings", "--config", "/nowhere.toml"], {}, 2, "/nowhere.toml: it can't be read: No such file"),
    (["nonsense"], {}, 2, "No such command 'nonsense'"),
]


@pytest.mark.parametrize(("words", "environ", "exit_code", "message"), ERRORS)
def test_an_error_says_what_to_do(
    words: list[str], environ: dict[str, str], exit_code: int, message: str
) -> None:
    """A mistake ends with its exit code and a message on stderr: no traceback, no password."""
    result = CliRunner().invoke(main, words, env={**CLEAN, **environ})
    assert (result.exit_code, result.stdout.count("\n") * (words[0] != "settings")) == (exit_code, 0)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.output


def on_terminal(*words: str, **environ: str) -> tuple[int, str]:
    """Run ``callhome`` on a terminal of 120 columns: its exit code, and all it showed."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in (*CLEAN, "NO_COLOR")}
    environ = {**kept, "TERM": "xterm", "COLUMNS": "120", **environ}
    command = [sys.executable, "-m", "callhome", *words]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO: the other side is closed
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    return process.returncode, shown.decode()


@pytest.mark.parametrize(("environ", "is_red"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_an_error_is_red_on_a_terminal(environ: dict[str, str], is_red: bool) -> None:
    """On a terminal the message is red, unless NO_COLOR is set."""
    exit_code, shown = on_terminal("product", "add", "ES", **environ)
    assert exit_code == 2
    assert "'ES' is no product key" in shown
    assert ("\x1b[31m" in shown) == is_red


def test_long_work_moves_on_a_terminal() -> None:
    """On a terminal a spinner shows what goes on, and is gone when it fails."""
    exit_code, shown = on_terminal("db", "upgrade", CALLHOME_DATABASE_URL=URL)
    assert exit_code == 1
    assert "⠋" in shown
    assert "upgrading 127.0.0.1:1/callhome" in shown
    assert "done in" not in shown


def test_settings_are_a_table_on_a_terminal() -> None:
    """On a terminal ``callhome settings`` draws a table, and what is missing stands below it."""
    exit_code, shown = on_terminal("settings", CALLHOME_VIEWERS="5")
    assert exit_code == 2
    assert re.search(r"│ CALLHOME_VIEWERS +│ 5 +│ environment +│", shown)
    assert shown.index("CALLHOME_SECRET ") < shown.index("CALLHOME_SECRET: missing")


def test_settings_shows_values_and_sources() -> None:
    """``callhome settings`` prints each value with its source, secrets masked, and ends with 0."""
    environ = {"CALLHOME_DATABASE_URL": URL, "CALLHOME_SECRET": "s" * 32, "CALLHOME_VIEWERS": "5"}
    result = CliRunner().invoke(main, ["settings"], env={**CLEAN, **environ})
    lines = result.output.splitlines()
    assert result.exit_code == 0
    assert "CALLHOME_DATABASE_URL\tpostgresql://me:***@127.0.0.1:1/callhome\tenvironment" in lines
    assert "CALLHOME_SECRET\t***\tenvironment" in lines
    assert "CALLHOME_VIEWERS\t5\tenvironment" in lines
    assert "CALLHOME_LOOP\tuvloop\tdefault" in lines
