"""Applying ``schema.sql`` and making its partitions."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Final

import asyncpg

from ..errors import CallhomeError
from . import partitions, scratch
from .connection import Connection, StoreUnavailable, connect, where

# Taken by whoever applies the schema or changes partitions; any number that no other program uses.
SCHEMA_LOCK: Final = 0x63616C6C_00000001
MIN_SERVER: Final = 15
# Another replica that applies the schema holds the lock for about a second; partitions of a year take longer.
_UPGRADE_LOCK_MS: Final = 60_000
# Reading a setting takes a millisecond.
_ANSWER_S: Final = 5.0


async def prepare(dsn: str, *, allow_fsync_off: bool) -> None:
    """Make sure that the database may be written to by this version: it is durable, and its schema is this one's.

    Raises `StoreUnavailable` where it is away, `CallhomeError` where somebody must do something. Cancelling it rolls it
    back.
    """
    if not allow_fsync_off:
        await require_durable(dsn)
    await upgrade(dsn, always=False)


async def upgrade(dsn: str, *, always: bool = True) -> None:
    """Bring the database to this version's schema, with partitions from 90 days ago to 30 days ahead.

    Any number of replicas may call it at once: an advisory lock lets one do it, and doing it again changes
    nothing. Without ``always`` the file is not applied where it was the last that was: a start must neither wait
    for the locks that it takes, nor make others wait. Raises `StoreUnavailable`, or `CallhomeError` for a
    server older than PostgreSQL 15 and for a user without the right. Cancelling it rolls it back.
    """
    connection = await connect(dsn, "upgrade")
    try:
        await _upgrade(connection, always)
    except asyncpg.InsufficientPrivilegeError as error:
        raise CallhomeError(
            f"the database's user may not do this: {error}. "
            "It must own callhome's tables, and may create some: GRANT CREATE ON SCHEMA public, or make it the owner"
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if connection.is_closed():
            raise StoreUnavailable(f"the database went away while the schema was applied: {error}") from error
        raise CallhomeError(f"the schema could not be applied, nothing was changed: {error}") from error
    finally:
        connection.terminate()


async def _upgrade(connection: Connection, always: bool) -> None:
    major = connection.get_server_version().major
    if major < MIN_SERVER:
        raise CallhomeError(f"PostgreSQL {major} is too old: callhome needs {MIN_SERVER} or newer")
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = {_UPGRADE_LOCK_MS}")
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK)
        await _apply(connection, always)
        await partitions.ensure(connection, datetime.now(UTC).date())


async def require_durable(dsn: str) -> None:
    """Raise `CallhomeError` where a power cut could take committed pings from this PostgreSQL.

    Raises `StoreUnavailable`. Cancelling it changes nothing.
    """
    connection = await connect(dsn, "upgrade")
    try:
        found = await connection.fetch(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY 1",
            timeout=_ANSWER_S,
        )
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreUnavailable(
            f"the PostgreSQL at {where(dsn)} does not answer: {error or 'in time'}"
        ) from error
    finally:
        connection.terminate()
    if found:
        off = " and ".join(f"{row['name']} = off" for row in found)
        raise CallhomeError(
            f"the PostgreSQL at {where(dsn)} has {off}: a power cut would lose pings that were answered as stored; "
            "switch it on there, or set CALLHOME_ALLOW_FSYNC_OFF=true where that does no harm, as in tests"
        )


async def _apply(connection: Connection, always: bool) -> None:
    text = files(__package__).joinpath("schema.sql").read_text("utf-8")
    fingerprint = sha256(text.encode()).hexdigest()
    if not always and await _is_applied(connection, fingerprint):
        return
    await connection.execute(text)
    if await scratch.is_distributed(connection):
        await scratch.make_distributed(connection)
    await connection.execute(
        "INSERT INTO schema_state (fingerprint) VALUES ($1) "
        "ON CONFLICT (one) DO UPDATE SET fingerprint = excluded.fingerprint, applied_at = now()",
        fingerprint,
    )


async def _is_applied(connection: Connection, fingerprint: str) -> bool:
    if not await connection.fetchval("SELECT to_regclass('schema_state') IS NOT NULL"):
        return False
    return bool(await connection.fetchval("SELECT fingerprint = $1 FROM schema_state", fingerprint))
