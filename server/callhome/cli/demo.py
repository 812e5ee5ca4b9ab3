"""``callhome demo``: everything at once, with nothing to set up."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .home import home
from .options import setting
from .serve import run_main

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..app import Addresses
    from ..demo.entrance import Entrance
    from ..settings import Listen, Settings

# Only the demo's own database, once it has started.
_NOT_STARTED: Final = "postgresql://127.0.0.1/callhome"
# Where no terminal shows a bar, a line for each tenth.
_STEPS: Final = 10
# What the live counters look back on.
_DAYS_SHOWN: Final = 30
# As far back as an id's own time counts.
_DAYS_MOST: Final = 90


@click.command()
@click.option(
    "--rate", type=click.FloatRange(0.1, 5_000), default=50.0, show_default=True, help="Live pings a second."
)
@click.option(
    "--days", type=click.IntRange(1, _DAYS_MOST - 1), default=89, show_default=True, help="Days of history."
)
@click.option(
    "--pings",
    type=click.IntRange(0, 20_000_000),
    default=2_000_000,
    show_default=True,
    help="Pings of the history.",
)
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the data there; started again with it, only the missing days are sent. [default: nothing is kept]",
)
@setting("ingest_listen", "HOST:PORT")
@setting("console_listen", "HOST:PORT")
def demo(rate: float, days: int, pings: int, keep: Path | None, **places: str | None) -> None:
    """Show it all: a server with a database of its own, and a fleet all over the world that calls home.

    Three products, installs in every country that has addresses, weeks of history, and live pings: open the map at the
    address that it prints, which signs you in. Ctrl-C ends everything.

    \b
    Examples:
      callhome demo                       nothing stays behind
      callhome demo --rate 500            ten times as lively
      callhome demo --keep ./demo         go on with it next time
    """
    from ..demo.run import Plan, run

    with home(keep, "--keep") as place:
        settings = _settings(places, place.secret(), durable=keep is not None)
        place.keep(settings)
        plan = Plan(rate, days, pings, keep)
        with _Screen(rate, days if pings else 0, place.secrets) as screen:
            run_main(run(plan, settings, place, screen), settings.loop, logging.WARNING)


def _settings(places: dict[str, str | None], secret: str, *, durable: bool) -> Settings:
    """The settings of the demo's server. Ports that are taken are replaced, unless they were chosen."""
    from ..demo.fleet import OLD_FIELDS, OLD_PATH
    from ..settings import Settings, load

    given = {
        **places,
        "database_url": _NOT_STARTED,
        # The fleet says where its pings come from.
        "trusted_proxies": "127.0.0.0/8",
        "legacy_paths": OLD_PATH,
        "legacy_fields": ",".join(f"{old}={new}" for old, new in OLD_FIELDS.items()),
        # What is thrown away needs no disk that keeps it.
        "allow_fsync_off": str(not durable).lower(),
    }
    settings = load(Settings, given, fallbacks={"secret": secret})
    free = {
        name: _free(place)
        for name, chosen in places.items()
        if (place := getattr(settings, name)) and (chosen is None or not place.port)
    }
    return settings.model_copy(update=free)


def _free(place: Listen) -> Listen:
    """The same place, or any port of the host where another program has it."""
    from ..settings import Listen

    try:
        with socket.create_server((place.host, place.port)):
            if place.port:
                return place
    except OSError:
        pass
    # A number, not 0: mails have to say where the console is before it listens.
    with socket.create_server((place.host, 0)) as listener:
        return Listen(place.host, int(listener.getsockname()[1]))


class _Screen:
    """What people see: the map's address, a bar (or lines where there is no terminal), then that it is live."""

    def __init__(self, rate: float, days: int, secrets: Path) -> None:
        self._secrets = secrets
        self._rate = rate
        self._days = days
        self._bar: Progress | None = None
        self._step = 0

    def __enter__(self) -> _Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def ready(self, addresses: Addresses, entrance: Entrance) -> None:
        """Tell where the map is."""
        click.echo()
        click.echo(f"  The map:  {entrance.url(addresses.console.url, '/map')}")
        click.echo(f"  Mailbox:  {entrance.url(addresses.console.url, '/demo/mailbox')}")
        click.echo(f"  Pings:    {addresses.ingest.url}")
        click.echo(f"  Commands: export CALLHOME_SECRETS_DIR={self._secrets}")
        click.echo("            callhome findings list; callhome license list; callhome report history")
        click.echo("  Ctrl-C ends it.")
        if self._days > _DAYS_SHOWN:
            click.echo()
            click.echo(
                "  History comes first, beginning with its first day; the map shows the last 30 days, and fills"
            )
            click.echo("  up as soon as they are reached.")
        click.echo()

    def counted(self, pings: int, expected: int) -> None:
        """Show how much of the history is counted."""
        if not sys.stdout.isatty():
            self._tell_step(pings, expected)
            return
        if self._bar is None:
            self._bar = _bar(expected)
        self._bar.update(self._bar.task_ids[0], completed=pings)

    def _tell_step(self, pings: int, expected: int) -> None:
        step = _STEPS * pings // max(1, expected)
        if step > self._step:
            self._step = step
            click.echo(f"  history: {pings:,} of {expected:,} pings counted")

    def live(self, pings: int, took_s: float) -> None:
        """Tell that the history is there."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if pings:
            click.echo(f"  {pings:,} pings of the past are counted, in {took_s:.0f} s.")
        click.echo(f"  Live: {self._rate:g} pings a second.")

    def trouble(self, what: str) -> None:
        """Tell of it, on standard error."""
        from .text import printable_lines

        click.secho(printable_lines(what), err=True, fg="red")


def _bar(total: int) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("  history"), BarColumn(), MofNCompleteColumn(), TextColumn("pings counted,"),
        TimeRemainingColumn(), TextColumn("left"), transient=True,
    )  # fmt: skip
    bar.add_task("history", total=total)
    bar.start()
    return bar
