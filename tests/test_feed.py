"""The feed against a real PostgreSQL: counters equal to the tables, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from callhome.live import feed
from callhome.live.counters import Counters, Dirty
from callhome.live.feed import Feed, Source
from callhome.persistent import Connection
from callhome.store import products
from callhome.store.live import LIVE_CHANNEL, change_messages, live_seq, live_snapshot, recount_message

PATIENCE_S = 10.0
# What PostgreSQL calls the connection of the feed under test.
NAME = "feed under test"


@dataclass
class Listener:
    """A sink that remembers."""

    dirty: Dirty = field(default_factory=Dirty)
    stale_since: list[float | None] = field(default_factory=list)

    def changed(self, dirty: Dirty) -> None:
        self.dirty.merge(dirty)

    def stale(self, since_s: float | None) -> None:
        self.stale_since.append(since_s)


class Database:
    """The writer's side: changes counters as the rollup does, in one transaction with the message."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def count(self, country: str, installs: int, *, silent: bool = False) -> None:
        """Set a country's numbers; ``silent``: the message gets lost."""
        async with self.connection.transaction():
            await self.connection.execute(
                "INSERT INTO live_count SELECT id, $1, $2, $2, $2, $2, $2, $2 FROM product WHERE key = 'es' "
                "ON CONFLICT (product, country) DO UPDATE SET installs_30d = $2",
                country,
                installs,
            )
            row = await self.connection.fetchrow(
                "SELECT 'es', country, installs_today, users_today, launches_today, installs_30d, users_30d, "
                "launches_30d FROM live_count WHERE country = $1",
                country,
            )
            assert row is not None
            seq, today = await self.raise_seq()
            for message in [] if silent else change_messages(seq, today, [tuple(row)], []):
                await self.notify(message)

    async def raise_seq(self) -> tuple[int, dt.date]:
        """Number a change."""
        row = await self.connection.fetchrow("UPDATE live_seq SET seq = seq + 1 RETURNING seq, today")
        assert row is not None
        return row["seq"], row["today"]

    async def notify(self, message: str) -> None:
        """Send a message to all who listen."""
        await self.connection.execute("SELECT pg_notify($1, $2)", LIVE_CHANNEL, message)

    async def kill_feed(self) -> int:
        """End the feed's connections; how many there were."""
        killed = await self.connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1", NAME
        )
        return int(killed)


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    """A database with one product and one country."""
    connection: Connection = await asyncpg.connect(database)
    try:
        await products.add(connection, "es", "Example Server")
        db = Database(connection)
        await db.count("DE", 1)
        yield db
    finally:
        await connection.close()


def source(dsn: str) -> Source:
    """The real store on connections that tests can find and kill."""

    async def connect() -> Connection:
        return await asyncpg.connect(dsn, server_settings={"application_name": NAME})

    return Source(connect, live_snapshot, live_seq, LIVE_CHANNEL, products.CATALOG_CHANNEL)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def following(origin: Source) -> AsyncIterator[tuple[Feed, Listener]]:
    """A feed that has loaded its first snapshot."""
    listener = Listener()
    async with Feed(origin, Counters(), listener) as under_test:
        await until(lambda: under_test.stale_since_s is None)
        listener.dirty = Dirty()
        yield under_test, listener


async def equal(under_test: Feed, db: Database) -> None:
    """Wait until the counters are those of the database."""
    truth = Counters()
    truth.load(await live_snapshot(db.connection))
    counters = under_test.counters
    await until(lambda: counters.seq == truth.seq and not counters.lost)
    assert (counters.today, counters.products) == (truth.today, truth.products)
    assert (counters.countries, counters.builds) == (truth.countries, truth.builds)


async def test_changes_arrive_without_a_new_snapshot(database: str, db: Database) -> None:
    """After the first snapshot messages alone keep the counters equal, and tell what changed."""
    async with following(source(database)) as (under_test, listener):
        await equal(under_test, db)
        await db.count("FR", 2)
        await db.count("DE", 3)
        await equal(under_test, db)
        assert listener.dirty.countries == {("es", "FR"), ("es", "DE")}
        assert under_test.snapshots_total == 1


async def test_killed_connection_comes_back_with_equal_counters(database: str, db: Database) -> None:
    """A lost connection keeps the old numbers, says they are stale, and catches up by itself."""
    async with following(source(database)) as (under_test, listener):
        assert await db.kill_feed() == 1
        await db.count("US", 4)
        await until(lambda: len(listener.stale_since) == 4)
        assert [since is None for since in listener.stale_since] == [False, True, False, True]
        assert ("es", "DE") in under_test.counters.countries
        await equal(under_test, db)
        assert listener.dirty.countries == {("es", "US")}


async def test_two_replicas_stay_equal_while_one_is_cut(database: str, db: Database) -> None:
    """Replicas on one database have equal counters, though one is cut again and again under change."""
    whole = Source(
        lambda: asyncpg.connect(database), live_snapshot, live_seq, LIVE_CHANNEL, products.CATALOG_CHANNEL
    )
    async with following(source(database)) as (cut, _), following(whole) as (other, _):
        for installs in range(2, 42):
            await db.count(f"C{installs % 7}", installs)
            if installs % 10 == 0:
                await db.kill_feed()
        await equal(cut, db)
        await equal(other, db)
        assert other.snapshots_total == 1
        assert cut.snapshots_total > 1


async def test_change_during_the_snapshot_is_not_lost(database: str, db: Database) -> None:
    """What is committed between reading a snapshot and using it is applied afterwards."""

    async def slow_snapshot(connection: Connection) -> object:
        snapshot = await live_snapshot(connection)
        await db.count("FR", 2)
        await connection.execute("SELECT 1")  # its answer comes after the message
        return snapshot

    origin = source(database)
    slow = Source(origin.connect, slow_snapshot, origin.seq, *(LIVE_CHANNEL, products.CATALOG_CHANNEL))  # type: ignore[arg-type]
    async with following(slow) as (under_test, _):
        await equal(under_test, db)
        assert under_test.snapshots_total == 1


@pytest.mark.parametrize("payload", ['{"seq":99,"countries":[]}', "not JSON", '{"seq":"one"}'])
async def test_gap_and_garbage_lead_to_a_snapshot(database: str, db: Database, payload: str) -> None:
    """A jump in the numbers or an unreadable message is answered with a new snapshot."""
    async with following(source(database)) as (under_test, _):
        await db.count("FR", 2, silent=True)
        await db.notify(payload)
        await equal(under_test, db)
        assert under_test.snapshots_total == 2


async def test_recount_leads_to_a_snapshot(database: str, db: Database) -> None:
    """A recount's message makes every replica read anew, gone rows and the new day included."""
    async with following(source(database)) as (under_test, listener):
        async with db.connection.transaction():
            await db.connection.execute("DELETE FROM live_count")
            await db.connection.execute("UPDATE live_seq SET today = today + 1")
            await db.notify(recount_message((await db.raise_seq())[0]))
        await equal(under_test, db)
        assert listener.dirty == Dirty(countries={("es", "DE")}, today=True)


async def test_new_product_appears(database: str, db: Database) -> None:
    """A product that is registered, or renamed, is known at once."""
    async with following(source(database)) as (under_test, listener):
        await products.add(db.connection, "db", "Database")
        await until(lambda: under_test.counters.products == {"es": "Example Server", "db": "Database"})
        assert listener.dirty == Dirty(products={"db"})


async def test_lost_last_message_is_found(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change whose message never came is found by its number."""
    monkeypatch.setattr(feed, "CHECK_S", 0.05)
    monkeypatch.setattr(feed, "GRACE_S", 0.05)
    async with following(source(database)) as (under_test, _):
        await db.count("FR", 2, silent=True)
        await equal(under_test, db)


async def test_database_that_was_set_back_is_found(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lower number, as after restoring a backup, leads to a new snapshot."""
    monkeypatch.setattr(feed, "CHECK_S", 0.05)
    async with following(source(database)) as (under_test, _):
        async with db.connection.transaction():
            await db.connection.execute("UPDATE live_seq SET seq = 0")
            await db.connection.execute("DELETE FROM live_count")
        await equal(under_test, db)


async def test_silent_database_is_given_up(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that gets no answer costs the connection, not the feed."""
    monkeypatch.setattr(feed, "CHECK_S", 0.05)
    monkeypatch.setattr(feed, "QUERY_S", 0.3)
    async with following(source(database)) as (under_test, listener):
        async with db.connection.transaction():
            await db.connection.execute("LOCK TABLE live_seq IN ACCESS EXCLUSIVE MODE")
            await until(lambda: under_test.stale_since_s is not None)
        await db.count("FR", 2)
        await equal(under_test, db)
        assert listener.stale_since[-1] is None


async def test_flood_of_messages_is_bounded(
    database: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More messages than the inbox holds are dropped for a snapshot."""
    monkeypatch.setattr(feed, "INBOX_MESSAGES", 3)
    async with following(source(database)) as (under_test, _):
        async with db.connection.transaction():
            for installs in range(10):
                await db.count(f"C{installs}", installs + 1)
        await equal(under_test, db)
        assert under_test.snapshots_total >= 2


async def test_exit_does_not_wait_for_the_database(database: str, db: Database) -> None:
    """Leaving is quick, even in the middle of a query that gets no answer."""
    under_test = Feed(source(database), Counters(), Listener())
    async with db.connection.transaction():
        await db.connection.execute("LOCK TABLE live_seq IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(PATIENCE_S):
            async with under_test:
                await asyncio.sleep(0.3)
    assert under_test.snapshots_total == 0


async def test_database_away_at_start_is_waited_for(
    database: str, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Entering needs no database; the feed tries again, and says so once an outage."""
    origin, tries = source(database), 0

    async def connect() -> Connection:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise ConnectionRefusedError("nobody there")
        return await origin.connect()

    refusing = Source(connect, origin.snapshot, origin.seq, origin.live_channel, origin.catalog_channel)
    async with following(refusing) as (under_test, _):
        await equal(under_test, db)
    assert [record.levelname for record in caplog.records if "nobody there" in record.message] == ["WARNING"]
