"""`callhome.store.license_lines`: what an import is made of, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg

from callhome.licenses.badlines import BadLines
from callhome.licenses.fields import Sold
from callhome.licenses.keys import KeyHasher
from callhome.store import license_lines, products

KEY = KeyHasher(b"secret")


def lines(many: int) -> Iterator[tuple[int, Sold]]:
    """Yield so many lines."""
    for number in range(many):
        yield number, Sold(*KEY(f"LICENSE-KEY-{number:04}"), customer='=1+"x",;\n\\N', product="es", seats=5)


async def test_lines_are_taken_judged_and_merged(database: str) -> None:
    """Each step sees what the one before did; nothing of the lines is left when the transaction has ended."""
    connection = await asyncpg.connect(database)
    await products.add(connection, "es", None)
    for expected in (license_lines.Changes(600, 0, 0), license_lines.Changes(0, 0, 600)):
        async with connection.transaction():
            assert await license_lines.take(connection, lines(600), ()) == 600
            bad = BadLines()
            await license_lines.refuse(connection, bad)
            assert not bad
            assert await license_lines.merge(connection, 600) == expected
    assert await connection.fetchval("SELECT to_regclass('license_incoming')") is None
    assert (
        await connection.fetchval("SELECT count(*) FROM license WHERE customer = $1", '=1+"x",;\n\\N') == 600
    )
    await connection.close()


async def test_others_get_their_turn_while_lines_are_read(database: str) -> None:
    """Reading many lines doesn't take the event loop until the last."""
    connection = await asyncpg.connect(database)
    turns = 0

    def counted() -> Iterator[tuple[int, Sold]]:
        for line in lines(2000):
            seen.append(turns)
            yield line

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    seen: list[int] = []
    task = asyncio.create_task(other())
    async with connection.transaction():
        assert await license_lines.take(connection, counted(), ()) == 2000
    task.cancel()
    assert len(set(seen)) >= 8
    await connection.close()
