"""``callhome health`` against real servers and sockets: what it says, and what it ends with."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from callhome.cli import main
from callhome.console import routes
from callhome.console.health import readiness
from running import running
from test_cli import CLEAN
from test_cli_serve import callhome


def health(*words: str, **environ: str) -> Result:
    """Run the command with these settings alone."""
    return CliRunner().invoke(main, ["health", *words], env={**CLEAN, **environ})


async def test_a_server_is_asked_where_its_settings_say(database: str) -> None:
    """Of a server that runs, all that has to be known is its console's address."""
    async with running(database) as app:
        place = str(app.addresses.console)
        done = await asyncio.to_thread(callhome, "health", CALLHOME_CONSOLE_LISTEN=place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")


async def test_reasons_are_printed() -> None:
    """A server that is not ready says why, and the command fails; nothing it says steers a terminal."""
    app = web.Application()
    routes.add(app, [readiness(lambda: ["stopping", "the spool takes nothing: \x1b[2J"])])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        done = await asyncio.to_thread(health, "--url", url)
        other = await asyncio.to_thread(health, "--url", f"{url}/elsewhere")
    finally:
        await runner.cleanup()
    assert (done.exit_code, done.output) == (1, "stopping\nthe spool takes nothing: �[2J\n")
    assert other.exit_code == 1
    assert "/elsewhere/readyz answers 404: is that the console" in other.stderr


def test_the_settings_file_tells_it_too(tmp_path: Path) -> None:
    """A TOML file names the listener; with every interface it is this machine that is asked."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "callhome.toml"
    file.write_text(f'console_listen = ":{port}"\n')
    done = health("--config", str(file))
    assert done.exit_code == 1
    assert f"nothing listens at http://127.0.0.1:{port}: the server isn't there" in done.stderr


def test_a_server_that_hangs_is_not_ready() -> None:
    """Who takes connections and never answers has a few seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = health("--url", f"127.0.0.1:{silent.getsockname()[1]}")
    assert done.exit_code == 1
    assert "within 3 s" in done.stderr


@pytest.mark.parametrize(
    ("words", "environ", "message"),
    [
        ([], {"CALLHOME_CONSOLE_LISTEN": "127.0.0.1:0"}, "has port 0, which is any: name the console"),
        (
            [],
            {"CALLHOME_CONSOLE_LISTEN": "nonsense"},
            "CALLHOME_CONSOLE_LISTEN (environment): expected HOST:",
        ),
        ([], {"CALLHOME_CONSOLE_LISTENS": ":1"}, "did you mean CALLHOME_CONSOLE_LISTEN?"),
        (["--url", "ftp://127.0.0.1"], {}, "'ftp://127.0.0.1' is no address of a console"),
        (["--url", "http://["], {}, "is no address of a console"),
    ],
)
def test_a_wrong_address_is_told_apart(words: list[str], environ: dict[str, str], message: str) -> None:
    """Where the server can't be known from what was given, it is the call that is wrong."""
    done = health(*words, **environ)
    assert (done.exit_code, message in done.stderr) == (2, True), done.output
