"""`callhome.store.notices`: registered, listed, withdrawn, and told to all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from callhome.releases.checks import InvalidField
from callhome.releases.model import Level
from callhome.store import notices, products
from callhome.store.connection import Connection
from callhome.store.notices import Given, UnknownNotice
from callhome.store.registered import UnknownProduct

SOON = datetime.now(UTC) + timedelta(days=1)
LATER = SOON + timedelta(days=1)
PAST = SOON - timedelta(days=2)
FULL = Given("Hello, 世界", Level.CRITICAL, "https://example.com/", "es", "5.9", "5.10", SOON, LATER)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database with the product es."""
    opened = await asyncpg.connect(database)
    await products.add(opened, "es", None)
    yield opened
    await opened.close()


async def test_defaults_are_those_of_the_help(connection: Connection) -> None:
    """A notice of which only the text is given is told to everybody from now on, for ever."""
    listed = await notices.add(connection, Given("Hello"))
    one = listed.notice
    assert (listed.product, listed.withdrawn_at, one.product, one.level) == (None, None, None, Level.INFO)
    assert (one.url, one.from_version, one.to_version, one.ends_at) == (None, None, None, None)
    assert one.starts_at <= await connection.fetchval("SELECT now()")


async def test_everything_given_is_kept(connection: Connection) -> None:
    """What is given is what is stored, read back the same by all who ask."""
    listed = await notices.add(connection, FULL)
    one = listed.notice
    assert (one.text, one.level, one.url, listed.product) == (FULL.text, FULL.level, FULL.url, FULL.product)
    assert (one.from_version, one.to_version, one.starts_at, one.ends_at) == ("5.9", "5.10", SOON, LATER)
    assert await notices.current(connection) == [one]
    assert await notices.list_all(connection) == [listed]


async def test_a_withdrawn_one_is_told_no_more(connection: Connection) -> None:
    """Withdrawing takes it out of what is told and keeps it; it is withdrawn once."""
    first, second = [await notices.add(connection, Given(text)) for text in ("a", "b")]
    assert await notices.withdraw(connection, first.notice.id)
    assert not await notices.withdraw(connection, first.notice.id)
    assert await notices.current(connection) == [second.notice]
    assert await notices.list_all(connection) == [second]
    every = await notices.list_all(connection, over=True)
    assert [(each.notice.text, each.withdrawn_at is None) for each in every] == [("a", False), ("b", True)]


async def test_one_that_ended_is_kept_but_not_told(connection: Connection) -> None:
    """A notice whose end has come is in the full list only."""
    listed = await notices.add(connection, FULL)
    await connection.execute("UPDATE notice SET starts_at = now() - interval '1 hour', ends_at = now()")
    assert await notices.current(connection) == []
    assert await notices.list_all(connection) == []
    assert [each.notice.id for each in await notices.list_all(connection, over=True)] == [listed.notice.id]


@pytest.mark.parametrize("id", [0, -1, 77, 2**31, 10**30])
async def test_an_unknown_number_is_told(id: int, connection: Connection) -> None:
    """A number that no notice has is an error that names the command which shows them."""
    with pytest.raises(UnknownNotice, match=f"there is no notice {id}: `callhome notice list --all`"):
        await notices.withdraw(connection, id)


async def test_replicas_are_told(connection: Connection, database: str) -> None:
    """Each change notifies once, when it is committed; withdrawing what is withdrawn notifies nobody."""
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await asyncpg.connect(database)
    await listener.add_listener(products.CATALOG_CHANNEL, lambda *said: heard.put_nowait(said[-1]))
    listed = await notices.add(connection, Given("Hello"))
    await notices.withdraw(connection, listed.notice.id)
    await notices.withdraw(connection, listed.notice.id)
    with pytest.raises(UnknownProduct):
        await notices.add(connection, Given("Hello", product="nope"))
    await connection.execute("SELECT pg_notify($1, 'the end')", products.CATALOG_CHANNEL)
    async with asyncio.timeout(30):
        assert [await heard.get() for _ in range(3)] == [products.NOTICES_CHANGED] * 2 + ["the end"]
    await listener.close()


WRONG = [
    (Given(""), "text"),
    (Given("a\nb"), "text"),
    (Given("x" * 501), "text"),
    (Given("x", url=""), "url"),
    (Given("x", url="example.com"), "url"),
    (Given("x", from_version=""), "from_version"),
    (Given("x", to_version="5 10"), "to_version"),
    (Given("x", product="es", from_version="5.10", to_version="5.9"), "to_version"),
    (Given("x", from_version="5.9"), "product"),
    (Given("x", to_version="5.9"), "product"),
    (Given("x", ends_at=PAST), "ends_at"),
    (Given("x", starts_at=SOON, ends_at=SOON), "ends_at"),
]


@pytest.mark.parametrize(("given", "field"), WRONG)
async def test_what_is_wrong_is_not_stored(given: Given, field: str, connection: Connection) -> None:
    """Whoever adds a notice hears which field is wrong; nothing is stored."""
    with pytest.raises(InvalidField, match=f"^{field}: ") as caught:
        await notices.add(connection, given)
    assert caught.value.exit_code == 2
    assert await notices.list_all(connection, over=True) == []


async def test_the_bounds_are_allowed(connection: Connection) -> None:
    """The longest text and a range of one version are fine."""
    listed = await notices.add(
        connection, Given("x" * 500, product="es", from_version="5.10", to_version="5.10.0")
    )
    assert len(listed.notice.text) == 500
