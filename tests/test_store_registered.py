"""`callhome.store.registered`: the product that somebody names."""

from __future__ import annotations

import asyncpg
import pytest

from callhome.store import products
from callhome.store.registered import UnknownProduct, product_id


async def test_a_key_leads_to_its_number(database: str) -> None:
    """Each key has the number under which the product is stored."""
    connection = await asyncpg.connect(database)
    for key in ("es", "db"):
        await products.add(connection, key, None)
    numbers = {one.key: one.id for one in await products.list_all(connection)}
    assert {key: await product_id(connection, key) for key in ("es", "db")} == numbers
    await connection.close()


@pytest.mark.parametrize("key", ["nope", "", "ES", "a\x00b", "\udcff", "x" * 1000])
async def test_an_unknown_one_names_those_there_are(key: str, database: str) -> None:
    """Whoever names another hears which are registered and how to register one, whatever the key holds."""
    connection = await asyncpg.connect(database)
    with pytest.raises(UnknownProduct, match=r"isn't registered; none is: `callhome product add KEY`"):
        await product_id(connection, key)
    await connection.executemany("INSERT INTO product (key, name) VALUES ($1, $1)", [("es",), ("db",)])
    with pytest.raises(UnknownProduct, match="registered are db, es: `callhome product add KEY`") as caught:
        await product_id(connection, key)
    assert (caught.value.key, caught.value.registered) == (key, ["db", "es"])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    await connection.close()


async def test_many_are_not_all_named(database: str) -> None:
    """Of many products ten are named, and how many more there are."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO product (key, name) SELECT 'p' || n, 'x' FROM generate_series(10, 34) n"
    )
    with pytest.raises(UnknownProduct, match=r"registered are p10, .*, p19 and 15 more: "):
        await product_id(connection, "es")
    await connection.close()
