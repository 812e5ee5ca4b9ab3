"""`callhome.store.products`: registered once, renamed, listed."""

from __future__ import annotations

import asyncpg
import pytest

from callhome.store import products


async def test_a_product_is_added_once_and_renamed(database: str) -> None:
    """Adding a key again is no second product but a new name, or the old one where none is given."""
    connection = await asyncpg.connect(database)
    assert await products.add(connection, "es", None) == (True, "es")
    assert await products.add(connection, "es", "'; DROP TABLE product; --") == (
        False,
        "'; DROP TABLE product; --",
    )
    assert await products.add(connection, "es", None) == (False, "'; DROP TABLE product; --")
    assert [(p.key, p.name) for p in await products.list_all(connection)] == [
        ("es", "'; DROP TABLE product; --")
    ]
    await connection.close()


@pytest.mark.parametrize(
    ("key", "name", "field"),
    [
        ("ES", "x", "key"),
        ("", "x", "key"),
        (".es", "x", "key"),
        ("es\n", "x", "key"),
        ("a" * 65, "x", "key"),
        ("es", "", "name"),
        ("es", "a\x1b[2Jb", "name"),
        ("es", "x" * 101, "name"),
    ],
)
async def test_what_is_no_product_is_not_added(key: str, name: str, field: str, database: str) -> None:
    """Whoever adds a product hears which field is wrong and what was expected; nothing is stored."""
    connection = await asyncpg.connect(database)
    with pytest.raises(products.InvalidProduct, match=f"is no product {field}: expected 1 to ") as caught:
        await products.add(connection, key, name)
    assert (caught.value.field, caught.value.exit_code) == (field, 2)
    assert await products.list_all(connection) == []
    assert await products.add(connection, "a" * 64, "x" * 100)
    await connection.close()
