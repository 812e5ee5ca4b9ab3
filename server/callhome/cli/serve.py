"""``callhome serve``: the server, on the chosen event loop, with a database of its own if asked."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import UsageError
from .home import Home, home
from .options import config, database_url, setting

if TYPE_CHECKING:
    from ..settings import Listen
    from ..workers.supervisor import Plan

# The settings are checked before the embedded database starts, and only then is its URL known.
_NOT_STARTED: Final = "postgresql://127.0.0.1/callhome"
# Another program has the port; the address is not this machine's; a port below 1024 needs a privilege.
_CANNOT_LISTEN: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})

# Sessions of the embedded database: what it has for one server.
_SESSIONS_LEAST: Final = 50


@click.command()
@click.option("--embedded", is_flag=True, help="With a PostgreSQL of its own, on loopback only.")
@click.option(
    "--data-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --embedded: keep the data, the spool and the secret there. [default: thrown away at the end]",
)
@config
@database_url
@setting("ingest_listen", "HOST:PORT")
@setting("console_listen", "HOST:PORT")
@setting("workers", "N")
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
      callhome serve --workers 4                     four processes on the same ports
    """
    # Until there is a loop to handle it: the first process of a container has no handler of its own, and would live on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if data_dir and not embedded:
        raise UsageError("--data-dir is for --embedded: elsewhere the database keeps the data")
    if embedded and overrides["database_url"]:
        raise UsageError("--embedded brings its own database: leave --database-url out")
    if not embedded:
        plan = _plan(overrides, config)
        _run(_serve(plan), plan)
        return
    with home(data_dir) as place:
        given = {**overrides, "database_url": _NOT_STARTED}
        plan = _plan(given, config, {"secret": place.secret(), "spool_dir": str(place.spool)})
        place.keep(plan.settings)
        _run(_serve_embedded(plan, place), plan)


def _plan(
    overrides: Mapping[str, str | None], config: Path | None, fallbacks: Mapping[str, str] | None = None
) -> Plan:
    """The settings, and as they were given, for workers. Raises `UsageError`."""
    from ..settings import Settings, SettingsError, check, collect
    from ..workers.supervisor import Plan

    collected = collect(overrides, config, os.environ, fallbacks or {})
    settings, problems = check(Settings, collected)
    if settings is None:
        raise SettingsError(problems)
    if settings.workers > 1 and sys.platform != "linux":
        raise UsageError("CALLHOME_WORKERS is for Linux: no other system spreads connections over processes")
    return Plan(settings, {name: one.value for name, one in collected.given.items()}, config)


def _run(main: Coroutine[Any, Any, None], plan: Plan) -> None:
    """Run the server, or a supervisor, which has little to do and no use for a fast loop."""
    run_main(main, plan.settings.loop if plan.settings.workers == 1 else "asyncio")


async def _serve(plan: Plan, secrets: Path | None = None) -> None:
    """Serve until a signal; cancelling it stops in order. ``secrets`` is the folder of an embedded database."""

    def tell(ingest: Listen, console: Listen) -> None:
        _tell(ingest, console, secrets)

    if plan.settings.workers > 1:
        from ..workers.supervisor import supervise

        await supervise(plan, on_ready=tell)
        return
    from .. import app
    from ..workers.leftovers import Leftovers

    async with Leftovers(plan.settings, plan.config) as leftovers:

        def ready(addresses: app.Addresses) -> None:
            tell(addresses.ingest, addresses.console)
            leftovers.begin()

        await app.serve(plan.settings, on_ready=ready)


async def _serve_embedded(plan: Plan, place: Home) -> None:
    """Serve with a database of its own; cancelling it stops the server, then the database."""
    from ..embedded.launcher import EmbeddedPostgres
    from ..settings import DatabaseUrl

    # Eight to ten for each replica, and some for commands.
    wanted = {"max_connections": str(max(_SESSIONS_LEAST, 16 * plan.settings.workers))}
    async with EmbeddedPostgres(place.postgres, settings=wanted) as postgres:
        url = DatabaseUrl(postgres.dsn)
        with place.announced(url):
            await _serve(plan.on(url), place.secrets)


def _tell(ingest: Listen, console: Listen, secrets: Path | None) -> None:
    """Say where the server is and what to do next; ``secrets`` is the folder of an embedded database."""
    click.echo(f"ready: pings at {ingest.url}, console at {console.url}")
    if secrets:
        click.echo("In another terminal, register a product:")
        click.echo(f"  export CALLHOME_SECRETS_DIR={secrets}")
        click.echo('  callhome product add es --name "Example Server"')
    ping = '{"product":"es","version":"1.0","install":"my-first-install"}'
    click.echo("Send a ping of it:")
    click.echo(f"  curl -i {ingest.url}/v1/ping -H 'Content-Type: application/json' -d '{ping}'")


def run_main(main: Coroutine[Any, Any, None], loop: str, level: int = logging.INFO, *, who: str = "") -> None:
    """Run ``main`` on the event loop of that name; SIGTERM and Ctrl-C end it, and are no failure.

    What is logged from ``level`` on is shown, with ``who`` logs it. Raises `UsageError` where it can't listen.
    """
    # It warns in the words of whoever connects.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    shown = f"%(asctime)s {who}{' ' if who else ''}%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=shown)
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
