"""``callhome serve``: the server, on the chosen event loop, with a database of its own if asked."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import UsageError
from .home import Home, home
from .options import config, database_url, setting

if TYPE_CHECKING:
    from ..app import Addresses
    from ..settings import Settings

# The settings are checked before the embedded database starts, and only then is its URL known.
_NOT_STARTED: Final = "postgresql://127.0.0.1/callhome"
# Another program has the port; the address is not this machine's; a port below 1024 needs a privilege.
_CANNOT_LISTEN: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})


@click.command()
@click.option("--embedded", is_flag=True, help="With a PostgreSQL of its own, on loopback only.")
@click.option(
    "--data-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --embedded: keep the data and the secret there. [default: thrown away at the end]",
)
@config
@database_url
@setting("ingest_listen", "HOST:PORT")
@setting("console_listen", "HOST:PORT")
@setting("loop", "NAME")
def serve(embedded: bool, data_dir: Path | None, config: Path | None, **overrides: str | None) -> None:
    """Run the server: take pings in, count them, show them.

    It runs until SIGTERM or Ctrl-C, then refuses new pings, commits those it has, and ends with 0.
    Every other setting: `callhome settings`.

    \b
    Examples:
      callhome serve --embedded                      try it out, nothing stays behind
      callhome serve --embedded --data-dir ./data    the same, and keep the data
      callhome serve --config /etc/callhome.toml     with a PostgreSQL of your own
    """
    from ..settings import Settings, load

    if data_dir and not embedded:
        raise UsageError("--data-dir is for --embedded: elsewhere the database keeps the data")
    if embedded and overrides["database_url"]:
        raise UsageError("--embedded brings its own database: leave --database-url out")
    if not embedded:
        settings = load(Settings, overrides, config=config)
        run_main(_serve(settings), settings.loop)
        return
    with home(data_dir) as place:
        given = {**overrides, "database_url": _NOT_STARTED}
        settings = load(Settings, given, config=config, fallbacks={"secret": place.secret()})
        place.keep(settings)
        run_main(_serve_embedded(settings, place), settings.loop)


async def _serve(settings: Settings) -> None:
    """Serve until a signal; cancelling it stops in order."""
    from .. import app

    await app.serve(settings, on_ready=_tell)


async def _serve_embedded(settings: Settings, place: Home) -> None:
    """Serve with a database of its own; cancelling it stops the server, then the database."""
    from .. import app
    from ..embedded.launcher import EmbeddedPostgres
    from ..settings import DatabaseUrl

    async with EmbeddedPostgres(place.postgres) as postgres:
        url = DatabaseUrl(postgres.dsn)
        with place.announced(url):
            started = settings.model_copy(update={"database_url": url})
            await app.serve(started, on_ready=lambda addresses: _tell(addresses, place.secrets))


def _tell(addresses: Addresses, secrets: Path | None = None) -> None:
    """Say where the server is and what to do next; ``secrets`` is the folder of an embedded database."""
    ingest, console = addresses.ingest.url, addresses.console.url
    click.echo(f"ready: pings at {ingest}, console at {console}")
    if secrets:
        click.echo("In another terminal, register a product:")
        click.echo(f"  export CALLHOME_SECRETS_DIR={secrets}")
        click.echo('  callhome product add es --name "Example Server"')
    ping = '{"product":"es","version":"1.0","install":"my-first-install"}'
    click.echo("Send a ping of it:")
    click.echo(f"  curl -i {ingest}/v1/ping -H 'Content-Type: application/json' -d '{ping}'")


def run_main(main: Coroutine[Any, Any, None], loop: str, level: int = logging.INFO) -> None:
    """Run ``main`` on the event loop of that name; SIGTERM and Ctrl-C end it, and are no failure.

    What is logged from ``level`` on is shown. Raises `UsageError` where it can't listen.
    """
    # It warns in the words of whoever connects.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with (
            suppress(KeyboardInterrupt, asyncio.CancelledError),
            asyncio.Runner(loop_factory=_loop_factory(loop)) as runner,
        ):
            runner.run(_until_terminated(main))
    except OSError as error:
        is_file = error.filename is not None
        if is_file or (error.errno not in _CANNOT_LISTEN and not isinstance(error, socket.gaierror)):
            raise
        raise UsageError(
            f"can't listen: {error.strerror or error}; change CALLHOME_INGEST_LISTEN or "
            "CALLHOME_CONSOLE_LISTEN, or end what listens there"
        ) from None


async def _until_terminated(main: Coroutine[Any, Any, None]) -> None:
    """Cancel ``main`` at SIGTERM until the app is ready and sets its own handler."""
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows has no such handlers
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await main


def _loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        raise UsageError("uvloop is not installed here: set CALLHOME_LOOP=asyncio") from None
    return uvloop.new_event_loop
