"""`callhome.store.scratch`: the scratch tables of a fold on a distributed database."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

import citus
from callhome.store import rollup, schema, scratch
from callhome.store.writer import BatchWriter
from rows import Row


async def fold_impatiently(connection: Any) -> None:
    """Fold, and wait for no lock longer than a moment."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '100ms'")
        await rollup.fold(connection)


async def test_plain_postgresql_has_only_temporary_ones(database: str) -> None:
    """On one server nothing is distributed, and a connection that folds has tables that end with it."""
    connection = await asyncpg.connect(database)
    assert not await scratch.is_distributed(connection)
    await rollup.prepare(connection)
    assert not await scratch.is_distributed(connection)
    await connection.close()


@pytest.mark.citus
async def test_an_upgrade_makes_those_of_another_version_anew(cluster: citus.Cluster) -> None:
    """A distributed scratch table that lacks a column is made anew, distributed, when the schema is applied."""
    async with cluster.database() as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("ALTER TABLE fold_fresh DROP COLUMN weak")
        await schema.upgrade(dsn)
        await connection.execute("SELECT weak FROM fold_fresh")
        assert await connection.fetchval(
            "SELECT count(*) FROM pg_dist_partition "
            "WHERE logicalrelid IN ('fold_fresh'::regclass, 'fold_change'::regclass)"
        ) == len(scratch.DISTRIBUTED)
        await connection.close()


@pytest.mark.citus
async def test_a_batch_waits_for_all_of_its_pings(cluster: citus.Cluster) -> None:
    """A batch of which the workers don't show all pings yet stays in the queue, and holds up no other."""
    async with cluster.database() as dsn:
        connection, writer = await asyncpg.connect(dsn), BatchWriter(dsn)
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
        await writer.write([bytes(Row(install=n)) for n in range(8)])
        # As if so many were not committed yet that the batch alone is more than a fold takes.
        await connection.execute("UPDATE batch SET received = received + $1", rollup.FOLD_PINGS)
        await writer.write([bytes(Row(install=n)) for n in range(5)])
        await rollup.prepare(connection)
        folded = await rollup.fold(connection)
        assert folded is not None
        assert (folded.pings, folded.batches) == (5, 1)
        folded = await rollup.fold(connection)
        assert folded is not None
        assert (folded.pings, folded.batches, folded.more) == (0, 0, True)
        await connection.execute("UPDATE batch SET received = received - $1", rollup.FOLD_PINGS)
        folded = await rollup.fold(connection)
        assert folded is not None
        assert folded.pings == 8
        assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == 13
        await writer.close()
        await connection.close()


@pytest.mark.citus
async def test_a_fold_waits_for_what_a_worker_has_not_finished(cluster: citus.Cluster) -> None:
    """Nobody folds while a worker holds the locks of a fold that it has prepared and not committed."""
    async with cluster.database() as dsn:
        connection, writer = await asyncpg.connect(dsn), BatchWriter(dsn)
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
        await writer.write([bytes(Row(install=n)) for n in range(8)])
        await rollup.prepare(connection)
        node = await asyncpg.connect(cluster.dsn(dsn.rpartition("/")[2], 1))
        shard = await node.fetchval(
            "SELECT relname FROM pg_class WHERE relname ~ '^fold_change_[0-9]+$' AND relkind = 'r' LIMIT 1"
        )
        await node.execute("SET citus.enable_manual_changes_to_shards = on")
        async with node.transaction():
            await node.execute(f"TRUNCATE {shard}")
            await connection.execute("SET citus.propagate_set_commands = 'local'")
            with pytest.raises(asyncpg.PostgresError, match="lock timeout"):
                await fold_impatiently(connection)
        folded = await rollup.fold(connection)
        assert folded is not None
        assert folded.pings == 8
        for each in (node, connection):
            await each.close()
        await writer.close()
