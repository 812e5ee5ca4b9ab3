"""``callhome db``: the database's schema."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from .options import config, database_url


@click.group()
def db() -> None:
    """Prepare the database."""


@db.command()
@config
@database_url
def upgrade(config: Path | None, database_url: str | None) -> None:
    """Bring the database to this version's schema.

    It may be run at any time, any number of times, by several at once: what is there already stays.
    `callhome serve` does the same when it starts; run this before, to see it done or to register products.
    Run it as the server's own database user: whoever makes the tables owns them, and the server must.

    \b
    Example:
      callhome db upgrade --database-url postgresql://callhome@localhost/callhome
    """
    from .. import __version__
    from ..settings import DatabaseSettings, load
    from ..store import schema
    from ..store.connection import where
    from .progress import step

    dsn = load(DatabaseSettings, {"database_url": database_url}, config=config).database_url.dsn
    with step(f"upgrading {where(dsn)}"):
        asyncio.run(schema.upgrade(dsn))
    click.echo(f"{where(dsn)} has the schema of callhome {__version__}")


@db.command()
@config
@database_url
@click.option(
    "--shards",
    type=click.IntRange(1, 1024),
    default=32,
    show_default=True,
    help="Parts that each table is made of, once for all: two to four times the cores of all workers at their largest.",
)
def distribute(config: Path | None, database_url: str | None, shards: int) -> None:
    """Spread pings, installs and their activity over several servers, with the extension Citus.

    For what one PostgreSQL can't hold any more. Citus must be there, in this database, and know its workers: if not,
    this says what is missing and changes nothing. It may be run again: what is distributed already stays as it is.
    Servers may run meanwhile; their pings go into their spools.

    \b
    Example:
      callhome db distribute --database-url postgresql://callhome@coordinator/callhome
    """
    from ..settings import DatabaseSettings, load
    from ..store import distribution
    from ..store.connection import where
    from .progress import step

    dsn = load(DatabaseSettings, {"database_url": database_url}, config=config).database_url.dsn
    with step(f"distributing {where(dsn)}"):
        done = asyncio.run(distribution.distribute(dsn, shards=shards))
    which = ", ".join(done.tables) if done.tables else "nothing to do: all that can be"
    click.echo(f"{which} distributed over {done.workers} workers, in {done.shards} shards")
