"""`callhome.store.distribution` and ``callhome db distribute``."""

from __future__ import annotations

import asyncpg
import pytest
from click.testing import CliRunner, Result

import citus
from callhome.cli import main
from callhome.errors import CallhomeError
from callhome.store import distribution, rollup, schema
from callhome.store.writer import BatchWriter
from rows import Row
from test_cli_database import CLEAN


def run(dsn: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["db", "distribute", *words], env={**CLEAN, "CALLHOME_DATABASE_URL": dsn})


def test_plain_postgresql_says_what_is_missing(database: str) -> None:
    """Where the extension is not installed, the command says so, what it would take, and that all goes on as before."""
    result = run(database)
    assert result.exit_code == 1
    assert "doesn't have the extension Citus, so nothing was changed: all goes on as before" in result.stderr
    assert "docs/deploy/scale-out.md" in result.stderr


@pytest.mark.parametrize("shards", ["0", "many"])
def test_shards_are_a_number(database: str, shards: str) -> None:
    """A number of shards that can't be is a wrong use of the command."""
    assert run(database, "--shards", shards).exit_code == 2


@pytest.mark.citus
async def test_what_is_missing_is_said_step_by_step(cluster: citus.Cluster) -> None:
    """Without the extension in the database, without workers, without tables: each time the next step is named."""
    await cluster.create("stepwise")
    dsn = cluster.dsn("stepwise")
    try:
        with pytest.raises(CallhomeError, match="CREATE EXTENSION citus"):
            await distribution.distribute(dsn, shards=citus.SHARDS)
        for node in range(len(cluster.nodes)):
            connection = await asyncpg.connect(cluster.dsn("stepwise", node))
            await connection.execute("CREATE EXTENSION citus")
            await connection.close()
        with pytest.raises(CallhomeError, match="SELECT citus_add_node"):
            await distribution.distribute(dsn, shards=citus.SHARDS)
        await cluster.introduce("stepwise")
        with pytest.raises(CallhomeError, match="callhome db upgrade"):
            await distribution.distribute(dsn, shards=citus.SHARDS)
    finally:
        await cluster.drop("stepwise")


@pytest.mark.citus
async def test_a_filled_database_is_distributed_with_all_in_it(cluster: citus.Cluster) -> None:
    """Pings that are stored, counted or wait to be counted stay; a second run changes nothing, an upgrade neither."""
    await cluster.create("filled")
    dsn = cluster.dsn("filled")
    try:
        await cluster.join("filled")
        await schema.upgrade(dsn)
        connection = await asyncpg.connect(dsn)
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
        writer = BatchWriter(dsn)
        before, after = [Row(install=n) for n in range(20)], [Row(install=n) for n in range(10)]
        await writer.write([bytes(row) for row in before])
        await rollup.prepare(connection)
        assert (await rollup.fold(connection)).pings == 20  # type: ignore[union-attr]
        await writer.write([bytes(row) for row in after])
        await writer.close()
        await connection.close()

        done = await distribution.distribute(dsn, shards=citus.SHARDS)
        assert (done.tables, done.workers) == (list(distribution.TABLES), citus.WORKERS)
        assert (await distribution.distribute(dsn, shards=citus.SHARDS)).tables == []
        await schema.upgrade(dsn)

        connection = await asyncpg.connect(dsn)
        await rollup.prepare(connection)
        assert (await rollup.fold(connection)).pings == 10  # type: ignore[union-attr]
        assert await connection.fetchval("SELECT count(*) FROM ping") == 30
        assert (
            await connection.fetchval("SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('ping')")
            == 0
        )
        assert await connection.fetchval("SELECT sum(launches) FROM usage_daily") == 30
        assert await connection.fetchval("SELECT sum(launches) FROM activity") == 30
        await writer.write(
            [bytes(row) for row in after]
        )  # a writer that ran before sees what has become of its tables
        assert await connection.fetchval("SELECT count(*) FROM ping") == 30
        await writer.close()
        await connection.close()
    finally:
        await cluster.drop("filled")
