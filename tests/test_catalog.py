"""`callhome.store.catalog`: what is registered is known to a running server at once, and stays known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg

from callhome.store import products
from callhome.store.catalog import Catalog


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; a test that waits in vain ends by its time limit here."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_catalogue_follows_changes(database: str) -> None:
    """A product added or removed elsewhere is known here without a restart."""
    connection = await asyncpg.connect(database)
    async with Catalog(database) as catalog:
        assert dict(catalog.product_ids) == {}
        await products.add(connection, "es", "ES")
        await until(lambda: "es" in catalog.product_ids)
        await connection.execute("DELETE FROM product")
        await products.add(connection, "other", "Other")
        await until(lambda: set(catalog.product_ids) == {"other"})
    await connection.close()


async def test_the_catalogue_survives_a_lost_connection(database: str) -> None:
    """After its connection was cut it keeps what it knew, and learns what changed meanwhile."""
    connection = await asyncpg.connect(database)
    await products.add(connection, "es", "ES")
    async with Catalog(database) as catalog:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'callhome catalogue' "
            "AND datname = current_database()"
        )
        assert "es" in catalog.product_ids
        await products.add(connection, "new", "New")
        await until(lambda: "new" in catalog.product_ids)
    await connection.close()
