"""`callhome.store.catalog`: what is registered is known to a running server at once, and stays known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date

import asyncpg
import orjson

from callhome.licenses.fields import Sold
from callhome.licenses.keys import KeyHasher
from callhome.releases.advice import Advisor
from callhome.store import licenses, notices, products, releases
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


async def test_advice_follows_changes(database: str) -> None:
    """Releases, notices and licenses that are registered elsewhere are told here without a restart."""
    connection = await asyncpg.connect(database)
    await products.add(connection, "es", "ES")
    key = KeyHasher(b"secret")("a license key")
    catalog = Catalog(database)
    advisor = Advisor(catalog.product_ids, 0, time.time())
    catalog.advise(advisor)

    def told() -> dict[str, object]:
        advisor.refresh(time.time())
        answer = advisor.advise("es", "1.0", None, key.hash, b"i" * 16) or b"\r\n\r\n{}"
        said: dict[str, object] = orjson.loads(answer.partition(b"\r\n\r\n")[2])
        return said

    async with catalog:
        assert told() == {}
        await releases.add(connection, releases.Given("es", "1.1"))
        await until(lambda: told() == {"latest": "1.1", "outdated": True, "severity": "normal"})
        await notices.add(connection, notices.Given("Hello."))
        await until(lambda: told().get("notices") == [{"text": "Hello.", "level": "info"}])
        (_, listed) = await licenses.add(connection, Sold(*key, "A customer", "es", 5), ())
        await until(lambda: told().get("license") == "ok")
        await licenses.revoke(connection, listed.license.id, date(2026, 1, 1))
        await until(lambda: told().get("license") == "revoked")
        await releases.withdraw(connection, "es", "1.1")
        await until(lambda: "latest" not in told())
    await connection.close()


async def test_many_licenses_do_not_hold_up_the_loop(database: str) -> None:
    """However many licenses there are, other work goes on while they are read."""
    connection = await asyncpg.connect(database)
    await products.add(connection, "es", "ES")
    await connection.execute(
        "INSERT INTO license (key_hash, customer, product, seats) "
        "SELECT decode(md5(n::text), 'hex'), 'A customer', (SELECT id FROM product), 1 FROM generate_series(1, 20000) n"
    )
    catalog = Catalog(database)
    catalog.advise(Advisor(catalog.product_ids, 0, time.time()))
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    working = asyncio.create_task(work())
    async with catalog:
        working.cancel()
    assert turns > 50
    await connection.close()
