"""`callhome.store.releases`: registered, changed, withdrawn, listed, and told to all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime

import asyncpg
import pytest

from callhome.releases.checks import InvalidField
from callhome.releases.model import Severity
from callhome.store import products, releases
from callhome.store.connection import Connection
from callhome.store.registered import UnknownProduct
from callhome.store.releases import Given, UnknownRelease

FULL = Given(
    "es",
    "5.10",
    "beta",
    date(2026, 12, 1),
    Severity.SECURITY,
    "https://example.com/es",
    "https://example.com/notes",
    25,
    "5.0",
)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database with the products db and es."""
    opened = await asyncpg.connect(database)
    for key in ("db", "es"):
        await products.add(opened, key, None)
    yield opened
    await opened.close()


async def test_defaults_are_those_of_the_help(connection: Connection) -> None:
    """A release of which only the version is given is offered to all stable installs from today on."""
    is_new, listed = await releases.add(connection, Given("es", "5.10"))
    one = listed.release
    assert (is_new, listed.product, listed.withdrawn_at) == (True, "es", None)
    assert (one.version, one.channel, one.severity, one.share) == ("5.10", "stable", Severity.NORMAL, 100)
    assert (one.url, one.notes_url, one.oldest) == (None, None, None)
    assert abs((one.day - datetime.now(UTC).date()).days) <= 1  # midnight may lie between


async def test_everything_given_is_kept(connection: Connection) -> None:
    """What is given is what is stored, read back the same by all who ask."""
    _, listed = await releases.add(connection, FULL)
    one = listed.release
    assert (one.version, one.channel, one.day, one.severity) == ("5.10", "beta", FULL.day, Severity.SECURITY)
    assert (one.url, one.notes_url, one.share, one.oldest) == (FULL.url, FULL.notes_url, 25, "5.0")
    assert await releases.current(connection) == [one]
    assert await releases.list_all(connection) == [listed]


async def test_adding_again_changes_what_is_given(connection: Connection) -> None:
    """The second time changes the fields that are given, keeps the others and the number, and is not new."""
    _, before = await releases.add(connection, FULL)
    is_new, after = await releases.add(connection, Given("es", "5.10", "beta", share=50))
    assert not is_new
    assert after.release == replace(before.release, share=50)
    cleared = Given("es", "5.10", "beta", date(2026, 11, 1), Severity.NORMAL, "", "", 0, "")
    _, after = await releases.add(connection, cleared)
    assert after.release == replace(
        before.release,
        day=date(2026, 11, 1),
        severity=Severity.NORMAL,
        url=None,
        notes_url=None,
        share=0,
        oldest=None,
    )


async def test_channels_and_products_have_their_own(connection: Connection) -> None:
    """The same version on another channel or of another product is another release."""
    for given in (
        Given("es", "5.10"),
        Given("es", "5.10", "beta"),
        Given("db", "5.10"),
        Given("es", "5.10.0"),
    ):
        is_new, _ = await releases.add(connection, given)
        assert is_new
    assert len({one.id for one in await releases.current(connection)}) == 4


async def test_a_withdrawn_one_is_offered_no_more_until_it_is_added_again(
    connection: Connection,
) -> None:
    """Withdrawing takes it out of what is offered and keeps it; adding it again offers it as it was."""
    _, added = await releases.add(connection, FULL)
    assert await releases.withdraw(connection, "es", "5.10", "beta")
    assert await releases.current(connection) == []
    assert await releases.list_all(connection) == []
    (gone,) = await releases.list_all(connection, withdrawn=True)
    assert (gone.release, gone.withdrawn_at is None) == (added.release, False)

    assert not await releases.withdraw(connection, "es", "5.10", "beta")
    assert await releases.list_all(connection, withdrawn=True) == [gone]

    assert await releases.add(connection, Given("es", "5.10", "beta")) == (False, added)
    assert await releases.current(connection) == [added.release]


async def test_the_list_is_newest_first(connection: Connection) -> None:
    """It is in the order of products and channels, within them of versions as numbers; one product's if asked."""
    for product, version, channel in [
        ("es", "5.9", "stable"),
        ("es", "5.10", "stable"),
        ("es", "R12B", "stable"),
        ("es", "5.10rc1", "stable"),
        ("es", "6.0b1", "beta"),
        ("db", "1.0", "stable"),
    ]:
        await releases.add(connection, Given(product, version, channel))
    found = [(each.product, each.release.version) for each in await releases.list_all(connection)]
    of_es = [("es", version) for version in ("6.0b1", "5.10", "5.10rc1", "5.9", "R12B")]
    assert found == [("db", "1.0"), *of_es]
    assert [each.release.version for each in await releases.list_all(connection, "db")] == ["1.0"]
    with pytest.raises(UnknownProduct):
        await releases.list_all(connection, "nope")


async def test_replicas_are_told(connection: Connection, database: str) -> None:
    """Each change notifies once, when it is committed; withdrawing what is withdrawn notifies nobody."""
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await asyncpg.connect(database)
    await listener.add_listener(products.CATALOG_CHANNEL, lambda *said: heard.put_nowait(said[-1]))
    await releases.add(connection, Given("es", "5.10"))
    await releases.withdraw(connection, "es", "5.10")
    await releases.withdraw(connection, "es", "5.10")
    with pytest.raises(UnknownProduct):
        await releases.add(connection, Given("nope", "5.10"))
    await connection.execute("SELECT pg_notify($1, 'the end')", products.CATALOG_CHANNEL)
    async with asyncio.timeout(30):
        assert [await heard.get() for _ in range(3)] == [products.RELEASES_CHANGED] * 2 + ["the end"]
    await listener.close()


WRONG = [
    (Given("es", ""), "version"),
    (Given("es", "5 10"), "version"),
    (Given("es", "x" * 65), "version"),
    (Given("es", "5.10", ""), "channel"),
    (Given("es", "5.10", "my channel"), "channel"),
    (Given("es", "5.10", url="javascript:alert(1)"), "url"),
    (Given("es", "5.10", notes_url="https://example.com/\r\nx"), "notes_url"),
    (Given("es", "5.10", share=101), "share"),
    (Given("es", "5.10", share=-1), "share"),
    (Given("es", "5.10", oldest="5 9"), "oldest"),
    (Given("es", "5.10", oldest="5.11"), "oldest"),
    (Given("es", "5.10", oldest="5.10.0"), "oldest"),
]


@pytest.mark.parametrize(("given", "field"), WRONG)
async def test_what_is_wrong_is_not_stored(given: Given, field: str, connection: Connection) -> None:
    """Whoever adds a release hears which field is wrong; nothing is stored."""
    with pytest.raises(InvalidField, match=f"^{field}: ") as caught:
        await releases.add(connection, given)
    assert caught.value.exit_code == 2
    assert await releases.list_all(connection, withdrawn=True) == []


async def test_an_unknown_product_is_told(connection: Connection) -> None:
    """A product that isn't registered is an error that names those that are."""
    with pytest.raises(UnknownProduct, match="'nope' isn't registered; registered are db, es"):
        await releases.add(connection, Given("nope", "5.10"))
    with pytest.raises(UnknownProduct, match="'nope' isn't registered; registered are db, es"):
        await releases.withdraw(connection, "nope", "5.10")


async def test_withdrawing_what_is_not_there_says_what_is(connection: Connection) -> None:
    """A release that doesn't exist is an error that tells the channel it is on, or the newest there are."""
    with pytest.raises(UnknownRelease, match="there is none: `callhome release list es`"):
        await releases.withdraw(connection, "es", "5.10")
    for number in range(1, 8):
        await releases.add(connection, Given("es", f"5.{number}"))
    await releases.add(connection, Given("es", "6.0", "beta"))
    with pytest.raises(UnknownRelease, match=r"there are 5\.7, 5\.6, 5\.5, 5\.4, 5\.3 …: `callhome"):
        await releases.withdraw(connection, "es", "5.10")
    with pytest.raises(UnknownRelease, match="it has one on beta: name it with --channel"):
        await releases.withdraw(connection, "es", "6.0")
    assert len(await releases.current(connection)) == 8


async def test_two_at_once_are_one_release(connection: Connection, database: str) -> None:
    """Adding the same release over several connections at once makes one, and one of them made it."""
    others = [await asyncpg.connect(database) for _ in range(4)]
    done = await asyncio.gather(*(releases.add(other, Given("es", "5.10")) for other in others))
    assert sorted(is_new for is_new, _ in done) == [False, False, False, True]
    assert len(await releases.current(connection)) == 1
    for other in others:
        await other.close()
