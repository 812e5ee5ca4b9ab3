"""`callhome.store.schema`: the schema is whole, idempotent, and safe to apply from many replicas at once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from callhome.errors import CallhomeError
from callhome.store import schema
from callhome.store.connection import StoreUnavailable


async def objects(dsn: str) -> list[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(
            await connection.fetch(
                "SELECT c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull "
                "FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 "
                "WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, a.attnum"
            )
        )
    finally:
        await connection.close()


async def test_applying_it_again_changes_nothing(empty_database: str) -> None:
    """The second time leaves tables, columns, indexes and partitions as the first made them."""
    await schema.upgrade(empty_database)
    first = await objects(empty_database)
    await schema.upgrade(empty_database)
    assert await objects(empty_database) == first
    assert {"ping", "batch", "activity", "install", "usage_daily", "upgrade_daily", "live_count"} <= {
        row[0] for row in first
    }


async def test_replicas_that_start_at_once_do_not_disturb_each_other(empty_database: str) -> None:
    """Five upgrades of an empty database at the same time all succeed."""
    await asyncio.gather(*(schema.upgrade(empty_database) for _ in range(5)))
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT count(*) FROM live_seq") == 1
    await connection.close()


async def test_a_start_applies_only_another_text(empty_database: str) -> None:
    """A start leaves alone what the same version applied last; another text, or `db upgrade`, is applied."""
    await schema.upgrade(empty_database, always=False)
    connection = await asyncpg.connect(empty_database)

    async def emptied_comment_comes_back(always: bool) -> bool:
        await connection.execute("COMMENT ON TABLE ping IS NULL")
        await schema.upgrade(empty_database, always=always)
        return await connection.fetchval("SELECT obj_description('ping'::regclass)") is not None

    assert not await emptied_comment_comes_back(always=False)
    assert await emptied_comment_comes_back(always=True)
    await connection.execute("UPDATE schema_state SET fingerprint = 'older'")
    assert await emptied_comment_comes_back(always=False)
    await connection.close()


async def test_a_failed_upgrade_leaves_nothing_half_done(empty_database: str) -> None:
    """Where a statement fails, none has happened: the whole is one transaction."""
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE TABLE quarantine (id text)")  # in the way of the comments on its columns
    await connection.close()
    with pytest.raises(CallhomeError, match="nothing was changed"):
        await schema.upgrade(empty_database)
    assert {row[0] for row in await objects(empty_database)} == {"quarantine"}


async def test_a_user_without_the_right_is_told_what_it_needs(empty_database: str) -> None:
    """Where the user may not create tables, the error says so and what to grant."""
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    _, _, place = empty_database.rpartition("@")
    try:
        with pytest.raises(CallhomeError, match="GRANT CREATE"):
            await schema.upgrade(f"postgresql://guest:guest@{place}")
    finally:
        await connection.execute("DROP ROLE guest")
        await connection.close()


async def test_no_database_is_a_clear_error(unused_tcp_port: int) -> None:
    """Where nothing listens the error says where and what to check."""
    with pytest.raises(StoreUnavailable, match=r"CALLHOME_DATABASE_URL"):
        await schema.upgrade(f"postgresql://x:y@127.0.0.1:{unused_tcp_port}/z")


async def test_an_upgrade_waits_for_no_ping_and_no_ping_for_it(database: str) -> None:
    """Applied again while pings are being stored, the schema takes no lock that the two would wait for."""
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        await connection.execute("LOCK TABLE ping, ping_default, install IN ROW EXCLUSIVE MODE")
        async with asyncio.timeout(30):
            await schema.upgrade(database)
    await connection.close()
