"""The scratch tables of a fold: temporary ones, and on a distributed database two more, which are distributed, too.

A temporary table can't be distributed, and joining one with a distributed table brings that to the coordinator. So
there the steps that touch ``activity`` and ``install`` work on tables of the same names that lie where those do, and
what they have found is brought into the temporary ones, for the summaries, which are the coordinator's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from .connection import Connection
from .statements import sql

DISTRIBUTED: Final = ("fold_fresh", "fold_change")
# What `rollup.PLANNER` says is said to the workers, too.
PLANNER: Final = (
    "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL enable_hashjoin = off; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_material = off; "
    "SET LOCAL work_mem = '64MB'"
)
_COLUMNS: Final = (
    "(SELECT array_agg((attname, atttypid) ORDER BY attnum) FROM pg_attribute "
    "WHERE attrelid = to_regclass({}) AND attnum > 0)"
)
_IS_LIKE: Final = f"SELECT {_COLUMNS.format('$1')} = {_COLUMNS.format('$2')}"
# Of the pings at hand the summaries ask for their products, and where hours are counted for those with a license.
_BRING: Final = (
    "INSERT INTO pg_temp.fold_change SELECT * FROM fold_change",
    "INSERT INTO pg_temp.fold_fresh (product) SELECT DISTINCT product FROM fold_fresh",
)
_BRING_LICENSED: Final = "INSERT INTO pg_temp.fold_fresh SELECT * FROM fold_fresh WHERE license IS NOT NULL"


async def is_distributed(connection: Connection) -> bool:
    """Return whether this database is spread over workers. Cancelling it changes nothing."""
    found = await connection.fetchval(
        "SELECT to_regclass(quote_ident(current_schema()) || '.fold_change') IS NOT NULL"
    )
    return bool(found)


async def make_distributed(connection: Connection) -> None:
    """Make the distributed ones, anew where another version's are there, in the caller's transaction.

    Cancelling it: roll back.
    """
    schema = await connection.fetchval("SELECT quote_ident(current_schema())")
    await connection.execute(sql("fold_tables"))
    for table in DISTRIBUTED:
        name = f"{schema}.{table}"
        if await connection.fetchval(_IS_LIKE, name, f"pg_temp.{table}"):
            continue
        await connection.execute(f"DROP TABLE IF EXISTS {name}")
        await connection.execute(f"CREATE UNLOGGED TABLE {name} (LIKE pg_temp.{table})")
        await connection.execute(
            "SELECT create_distributed_table($1::text::regclass, 'install', colocate_with => 'install')", name
        )


async def settle(connection: Connection) -> None:
    """Wait until no fold is under way, or left halfway by a worker that died: what is read then is all of it.

    Such a worker holds the locks of `at_workers` until it has committed, too. In the caller's transaction, whose
    statements look at the database anew each. Cancelling it: roll back.
    """
    schema = await connection.fetchval("SELECT quote_ident(current_schema())")
    await connection.execute(f"SELECT count(*) FROM {schema}.fold_change")  # noqa: S608 - not the temporary one


@asynccontextmanager
async def at_workers(connection: Connection, by_hour: bool) -> AsyncIterator[None]:
    """Within it, the names mean the distributed tables, empty at first; then their rows are in the temporary ones.

    In the caller's transaction. Cancelling it: roll back.
    """
    path: str = await connection.fetchval("SELECT current_setting('search_path')")
    await _search(connection, f"{path}, pg_temp")
    # First of all, since it locks them on each worker. A worker that died between the two phases of the last fold's
    # commit holds that lock until it has committed: else this fold would add to what it doesn't see.
    await connection.execute(f"TRUNCATE {', '.join(DISTRIBUTED)}")
    yield
    for statement in (*_BRING, *([_BRING_LICENSED] if by_hour else [])):
        await connection.execute(statement)
    await _search(connection, path)


async def _search(connection: Connection, path: str) -> None:
    await connection.execute("SELECT set_config('search_path', $1, true)", path)
