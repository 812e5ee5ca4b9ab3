"""Spreading what is kept for each install over several servers: Citus, an extension of PostgreSQL.

``ping``, ``activity``, ``install`` and ``flip`` are distributed by ``install``, so that all that is known of one
install is on one worker, and a fold joins there. Everything else stays an ordinary table of the coordinator, which
callhome speaks to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

from ..errors import CallhomeError
from . import scratch
from .connection import Connection, StoreUnavailable, connect, where
from .rollup import ROLLUP_LOCK
from .schema import SCHEMA_LOCK

# Of all of them the column is ``install``; the first is what the others are placed with.
TABLES: Final = ("install", "activity", "ping", "flip")
MIN_CITUS: Final = 12
# Moving what is there takes long, and whoever stores pings meanwhile is told to wait: the spool keeps them.
_LOCK_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Distributed:
    """What `distribute` did: the tables that it distributed, and over how many workers and shards they are now."""

    tables: list[str]
    workers: int
    shards: int


async def distribute(dsn: str, *, shards: int) -> Distributed:
    """Distribute the tables that are keyed by install, with what is in them; those that are distributed stay.

    One transaction: all or nothing. Servers may run: what they write waits, and goes into their spools. Raises
    `StoreUnavailable`, or `CallhomeError` that says what must be done before. Cancelling it rolls it back.
    """
    connection = await connect(dsn, "distribute")
    try:
        await _require_workers(connection, dsn)
        done = await _distribute(connection, shards)
        if done.tables:
            await _end_sessions(connection)
        return done
    except asyncpg.UndefinedTableError as error:
        raise CallhomeError(
            f"{where(dsn)} has no tables of callhome yet: run `callhome db upgrade`"
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if connection.is_closed():
            raise StoreUnavailable(
                f"the database went away while it was distributed: {error}; nothing was changed"
            ) from error
        raise CallhomeError(f"the tables could not be distributed, nothing was changed: {error}") from error
    finally:
        connection.terminate()


async def _require_workers(connection: Connection, dsn: str) -> None:
    version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'citus'")
    if version is None:
        available = await connection.fetchval("SELECT true FROM pg_available_extensions WHERE name = 'citus'")
        if available:
            raise CallhomeError(
                f"{where(dsn)} doesn't have the extension Citus: run CREATE EXTENSION citus in this database on the "
                "coordinator and on each worker, as a superuser, with citus in shared_preload_libraries"
            )
        raise CallhomeError(
            f"the PostgreSQL at {where(dsn)} doesn't have the extension Citus, so nothing was changed: all goes on "
            "as before, on one server. To spread it over several, install Citus 12 or newer on each (the package of "
            "its makers, or the image citusdata/citus); docs/deploy/scale-out.md has the steps"
        )
    if int(version.partition(".")[0]) < MIN_CITUS:
        raise CallhomeError(f"Citus {version} is too old: callhome needs {MIN_CITUS} or newer")
    workers = await connection.fetchval("SELECT count(*) FROM citus_get_active_worker_nodes()")
    if not workers:
        raise CallhomeError(
            f"Citus at {where(dsn)} knows no workers: on the coordinator, in this database, run "
            "SELECT citus_set_coordinator_host('COORDINATOR', 5432); and for each worker "
            "SELECT citus_add_node('WORKER', 5432);"
        )


async def _distribute(connection: Connection, shards: int) -> Distributed:
    async with connection.transaction():
        await connection.execute(
            f"SET LOCAL lock_timeout = {_LOCK_MS}; SET LOCAL client_min_messages = warning"
        )
        for lock in (SCHEMA_LOCK, ROLLUP_LOCK):
            await connection.execute("SELECT pg_advisory_xact_lock($1)", lock)
        done = []
        for table in TABLES:
            if await _distribute_table(connection, table, shards):
                done.append(table)
        if not await scratch.is_distributed(connection):
            await scratch.make_distributed(connection)
        workers = await connection.fetchval("SELECT count(*) FROM citus_get_active_worker_nodes()")
        found = await connection.fetchval(
            "SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'install'::regclass"
        )
    return Distributed(done, workers, found)


async def _distribute_table(connection: Connection, table: str, shards: int) -> bool:
    if await connection.fetchval(
        "SELECT true FROM pg_dist_partition WHERE logicalrelid = $1::regclass", table
    ):
        return False
    if table == TABLES[0]:
        await connection.execute(
            "SELECT create_distributed_table($1::regclass, 'install', colocate_with => 'none', shard_count => $2)",
            table,
            shards,
        )
    else:
        await connection.execute(
            "SELECT create_distributed_table($1::regclass, 'install', colocate_with => $2)", table, TABLES[0]
        )
    # It copies the rows, and leaves the coordinator its own, which nobody sees any more and which keep their disk.
    await connection.execute("SELECT truncate_local_data_after_distributing_table($1::regclass)", table)
    return True


async def _end_sessions(connection: Connection) -> None:
    """End the sessions of servers: each asks once, when it begins, whether the database is distributed."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'callhome %' AND pid <> pg_backend_pid()"
    )
