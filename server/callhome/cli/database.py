"""What the commands that work on the database share: a connection for one piece of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ..errors import UsageError

if TYPE_CHECKING:
    from ..store.connection import Connection

_T = TypeVar("_T")


def run(work: Callable[[Connection], Awaitable[_T]], config: Path | None, url: str | None) -> _T:
    """Do ``work`` on a connection to the configured database, and return what it returns.

    ``config`` and ``url`` are what the options of the same names gave. Raises `UsageError` where the
    database has no tables yet, and a `CallhomeError` where it can't be reached.
    """
    from ..settings import DatabaseSettings, load

    dsn = load(DatabaseSettings, {"database_url": url}, config=config).database_url.dsn
    return asyncio.run(_connected(dsn, work))


async def _connected(dsn: str, work: Callable[[Connection], Awaitable[_T]]) -> _T:
    """Do ``work`` on a connection of its own; cancelling it cancels the work and closes."""
    import asyncpg

    from ..store.connection import connect, where

    connection = await connect(dsn, _command())
    try:
        return await work(connection)
    except asyncpg.UndefinedTableError:
        raise UsageError(
            f"{where(dsn)} lacks tables that this version needs: run `callhome db upgrade`"
        ) from None
    finally:
        await connection.close()


def _command() -> str:
    """The command that is running, such as ``product``: it shows in ``pg_stat_activity``."""
    context = click.get_current_context(silent=True)
    while context is not None and context.parent is not None and context.parent.parent is not None:
        context = context.parent
    return (context and context.info_name) or "command"
