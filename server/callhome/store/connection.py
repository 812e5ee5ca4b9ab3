"""Connections to PostgreSQL: one way to open them, with the session settings that the promises rest on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import TargetServerAttributeNotMatched

from ..errors import CallhomeError
from ..persistent import Connection as Connection

# A host that answers at all answers within this; libpq's manual advises against less than 2 s.
CONNECT_S: Final = 5.0
# A statement waits no longer than this for a lock: a replay can stand behind a frozen original.
LOCK_MS: Final = 2_000

_SESSION: Final = (
    ("synchronous_commit", "on"),  # a 2xx means durable, whatever the database's default is
    ("timezone", "UTC"),
    ("jit", "off"),  # compiling costs more than any of our statements
    ("lock_timeout", str(LOCK_MS)),
    (
        "statement_timeout",
        "0",
    ),  # where it ends the wait for a synchronous standby, COMMIT succeeds all the same
    # A client whose machine or network is gone is noticed after a minute, with its locks; Linux alone takes two hours.
    *(("tcp_keepalives_idle", "30"), ("tcp_keepalives_interval", "10"), ("tcp_keepalives_count", "3")),
    ("idle_in_transaction_session_timeout", "60000"),  # a session left behind must not hold locks for ever
    # Of Citus; elsewhere names without a meaning. With the first on, it asks of each row of the catalog whether
    # it is a shard: what asyncpg looks up about types took 10 s.
    ("citus.override_table_visibility", "off"),
    # One connection to each worker in a transaction that writes. Its default is one for each shard, and each is one
    # more to prepare at COMMIT: a batch of ten pings took ten times as long.
    ("citus.multi_shard_modify_mode", "sequential"),
)


# URL, user and password, (places), (database), parameters. What isn't just so may have a password anywhere.
_PLACE: Final = r"(?:\[[\w:.%]+\]|[\w.%-]*)(?::\d+)?"
_DSN: Final = re.compile(rf"\w+://(?:[^@/?#]*@)?({_PLACE}(?:,{_PLACE})*)(/[^@?#]*)?(?:\?[^@]*)?", re.ASCII)


class StoreUnavailable(CallhomeError):
    """PostgreSQL can't be reached, or went away. What was being written may or may not be stored."""


def where(dsn: str) -> str:
    """Return host, port and database of a connection string, without its password; never raises."""
    matched = _DSN.fullmatch(dsn)
    return f"{matched[1]}{matched[2] or ''}" if matched else "CALLHOME_DATABASE_URL"


def hosts(dsn: str) -> list[str]:
    """Return a connection string for each host of one, in its order; what can't be taken apart stays as it is."""
    matched = _DSN.fullmatch(dsn)
    if matched is None or "," not in matched[1]:
        return [dsn]
    start, end = matched.span(1)
    return [f"{dsn[:start]}{place}{dsn[end:]}" for place in matched[1].split(",")]


async def connect(dsn: str, purpose: str) -> Connection:
    """Open a connection; ``purpose`` shows in ``pg_stat_activity``.

    Of several hosts all are asked at once, since one that is switched off doesn't answer at all, and the first that
    takes writes counts: a standby is no database to us, unless the connection string has a ``target_session_attrs`` of
    its own. Raises `StoreUnavailable` naming the place and what to check. Cancelling it opens nothing.
    """
    places = hosts(dsn)
    tasks = [asyncio.create_task(_connect(place, purpose)) for place in places]
    chosen: Connection | None = None
    said, cause = [], None
    try:
        for task in asyncio.as_completed(tasks):
            try:
                chosen = await task
                return chosen
            except _Unreachable as error:
                said.append(str(error))
                cause = error.__cause__
    finally:
        await _leave(tasks, chosen)
    raise StoreUnavailable(
        f"no connection to PostgreSQL at {where(dsn)}: {'; '.join(dict.fromkeys(said))}; "
        "check that it runs there and that CALLHOME_DATABASE_URL names the right user, password and database"
    ) from cause


class _Unreachable(Exception):
    """Why one host can't be had."""


async def _connect(dsn: str, purpose: str) -> Connection:
    settings = {**dict(_SESSION), "application_name": f"callhome {purpose}"}
    target = None if "target_session_attrs=" in dsn else SessionAttribute.read_write
    try:
        return await asyncpg.connect(
            dsn, timeout=CONNECT_S, server_settings=settings, target_session_attrs=target
        )
    except TargetServerAttributeNotMatched as error:
        raise _Unreachable("it takes no writes: it is a standby, or read-only") from error
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _Unreachable(str(error) or type(error).__name__) from error
    except (ValueError, OverflowError, IndexError) as error:  # from its parser: may show any part of it
        raise _Unreachable(f"its URL can't be read ({type(error).__name__})") from None


async def _leave(tasks: Sequence[asyncio.Task[Connection]], chosen: Connection | None) -> None:
    """End the attempts that are not needed any more; cancelling it leaves them to end by themselves."""
    for task in tasks:
        task.cancel()
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        chosen = None  # nobody gets it any more
        raise
    finally:
        for task in tasks:
            is_open = task.done() and not task.cancelled() and task.exception() is None
            if is_open and task.result() is not chosen:
                task.result().terminate()
