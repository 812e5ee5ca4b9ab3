"""`callhome.store.licenses`: added, imported all or none, revoked, listed, handed to the servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from callhome.licenses.badlines import TOLD, BadLine, BadLines
from callhome.licenses.fields import OPTIONAL, InvalidLicense, Sold
from callhome.licenses.keys import KeyHasher
from callhome.licenses.model import Counts, Terms, Use
from callhome.persistent import Connection
from callhome.store import licenses, products
from callhome.store.licenses import Changes, Filter
from callhome.store.registered import UnknownProduct

KEY = KeyHasher(b"secret")


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database with the products es and tool."""
    connection = await asyncpg.connect(database)
    await products.add(connection, "es", None)
    await products.add(connection, "tool", None)
    yield connection
    await connection.close()


def sold(number: int = 1, **fields: Any) -> Sold:
    """Return a license with a key of this number."""
    values: dict[str, Any] = {"customer": "ACME", "product": "es", "seats": 5} | fields
    return Sold(*KEY(f"LICENSE-KEY-{number:04}"), **values)


async def take(
    connection: Connection,
    *lines: Sold,
    given: Any = OPTIONAL,
    bad: BadLines | None = None,
    dry_run: bool = False,
) -> Changes:
    """Import licenses, the first from line 2."""
    return await licenses.import_many(
        connection, enumerate(lines, 2), given, BadLines() if bad is None else bad, dry_run=dry_run
    )


@asynccontextmanager
async def notices(dsn: str) -> AsyncIterator[list[str]]:
    """What the replicas hear of in the block: complete when the block ends."""
    heard: list[str] = []
    listener = await asyncpg.connect(dsn)
    await listener.add_listener(products.CATALOG_CHANNEL, lambda *said: heard.append(str(said[-1])))
    yield heard
    # Notifications come in the order of the commits.
    ended = asyncio.Event()
    await listener.add_listener("ended", lambda *_: ended.set())
    await listener.execute("NOTIFY ended")
    await asyncio.wait_for(ended.wait(), 10)
    await listener.close()


async def touched(connection: Connection) -> list[tuple[int, int]]:
    """Return which licenses are to be counted, and from how many days ago; and forget it."""
    rows = await connection.fetch(
        "WITH gone AS (DELETE FROM license_touched RETURNING license, current_date - day AS days) "
        "SELECT license, days FROM gone ORDER BY license, days"
    )
    return [(row["license"], row["days"]) for row in rows]


async def test_a_license_is_added_and_changed(connection: Connection, database: str) -> None:
    """A key is registered once; adding it again changes what is given, keeps the rest, and tells the replicas."""
    async with notices(database) as heard:
        first = sold(
            counts=Counts.USER, use=Use.CONCURRENT, window_days=7, ends=date(2027, 1, 1), overage=None
        )
        changes, listed = await licenses.add(connection, first, OPTIONAL)
        assert changes == Changes(1, 0, 0)
        id = listed.license.id
        assert await touched(connection) == [(id, 30)]
        changes, again = await licenses.add(connection, first, OPTIONAL)
        assert (changes, again) == (Changes(0, 0, 1), listed)
        assert await touched(connection) == []
        changes, changed = await licenses.add(connection, sold(seats=80, grace_days=3), {"grace_days"})
        assert changes == Changes(0, 1, 0)
        assert changed.license == replace(listed.license, seats=80, grace_days=3)
        assert await touched(connection) == [(id, 30)]
    assert heard == [products.LICENSES_CHANGED] * 2


async def test_numbers_are_used_up_by_new_licenses_alone(connection: Connection) -> None:
    """However often a license is imported, the next new one has the next number."""
    for _ in range(5):
        await take(connection, sold(1), sold(2))
    await take(connection, sold(3))
    assert [each.license.id for each in await licenses.list_all(connection)] == [1, 2, 3]


async def test_each_column_is_kept_unless_given(connection: Connection) -> None:
    """Every optional column that isn't given stays as it is, and each that is given changes alone."""
    before = sold(
        counts=Counts.USER, use=Use.CONCURRENT, window_days=7, starts=date(2026, 1, 1), ends=date(2027, 1, 1),
        grace_days=1, overage=Decimal("1.5"), revoked_on=date(2026, 6, 1),
    )  # fmt: skip
    after = sold(
        starts=date(2026, 2, 1), ends=date(2027, 2, 1), overage=Decimal("1.25"), revoked_on=date(2026, 7, 1)
    )
    for name in OPTIONAL:
        await take(connection, before)
        (was,) = await licenses.list_all(connection)
        assert await take(connection, after, given=[name]) == Changes(0, 1, 0)
        (now,) = await licenses.list_all(connection)
        assert now.license == replace(was.license, **{name: getattr(after, name)})


async def test_an_import_counts_what_it_does(connection: Connection, database: str) -> None:
    """New, changed and unchanged licenses are counted, and one message tells of all."""
    async with notices(database) as heard:
        assert await take(connection, *(sold(number) for number in range(10))) == Changes(10, 0, 0)
        assert len(await touched(connection)) == 10
        lines = [sold(number, seats=5 + (number < 3)) for number in range(12)]
        assert await take(connection, *lines) == Changes(2, 3, 7)
        assert len(await touched(connection)) == 5
        assert await take(connection) == Changes(0, 0, 0)
    assert heard == [products.LICENSES_CHANGED] * 2


async def test_a_dry_run_counts_and_changes_nothing(connection: Connection, database: str) -> None:
    """A dry run reports what an import would, and leaves all as it was; so does one that finds mistakes."""
    await take(connection, sold(1), sold(2))
    await touched(connection)
    before = await licenses.list_all(connection)
    lines = [sold(1), sold(2, seats=6), sold(3)]
    async with notices(database) as heard:
        assert await take(connection, *lines, dry_run=True) == Changes(1, 1, 1)
        with pytest.raises(BadLines):
            await take(connection, sold(4, product="gone"), dry_run=True)
    assert (heard, await touched(connection), await licenses.list_all(connection)) == ([], [], before)
    assert await take(connection, *lines) == Changes(1, 1, 1)


async def test_licenses_of_unknown_products_are_refused_line_by_line(connection: Connection) -> None:
    """Each line of a product that isn't registered is told, beside what the file had before; nothing is imported."""
    bad = BadLines()
    bad.add(BadLine(9, "seats", "'x'", "a number"))
    with pytest.raises(BadLines) as caught:
        await take(connection, sold(1, product="gone"), sold(2), sold(3, product="gone"), bad=bad)
    assert caught.value is bad
    assert [(each.line, each.column, each.given) for each in sorted(bad.found)] == [
        (2, "product", "'gone'"),
        (4, "product", "'gone'"),
        (9, "seats", "'x'"),
    ]
    assert await licenses.list_all(connection) == []


async def test_refused_lines_beyond_the_report_are_counted(connection: Connection) -> None:
    """Of very many refused lines the first are told, and all are counted."""
    bad = BadLines()
    with pytest.raises(BadLines):
        await take(connection, *(sold(number, product="gone") for number in range(TOLD + 7)), bad=bad)
    assert (len(bad.found), bad.count) == (TOLD, TOLD + 7)


async def test_a_span_is_judged_with_the_day_that_is_kept(connection: Connection) -> None:
    """A last day before the first one that the license has already is refused, in a file and alone."""
    await take(connection, sold(1, starts=date(2026, 6, 1)))
    bad, late = BadLines(), sold(1, ends=date(2026, 5, 31))
    with pytest.raises(BadLines):
        await take(connection, late, given=["ends"], bad=bad)
    assert [(each.line, each.column) for each in bad.found] == [(2, "ends")]
    with pytest.raises(InvalidLicense, match="ends: got '2026-05-31'"):
        await licenses.add(connection, late, ["ends"])


async def test_what_reading_raises_ends_the_import(connection: Connection) -> None:
    """A file that can't be read to its end is not imported at all."""

    def lines() -> Iterator[tuple[int, Sold]]:
        yield 2, sold(1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await licenses.import_many(connection, lines(), OPTIONAL, BadLines())
    assert await licenses.list_all(connection) == []
    assert await take(connection, sold(1)) == Changes(1, 0, 0)


async def test_changes_wait_for_each_other_or_say_so(connection: Connection, database: str) -> None:
    """While somebody changes licenses, another hears that they are busy, and has changed nothing."""
    other = await asyncpg.connect(database, server_settings={"lock_timeout": "50"})
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", licenses.LICENSES_LOCK)
        with pytest.raises(licenses.Busy, match="try again"):
            await licenses.add(other, sold(1), OPTIONAL)
    assert (await licenses.add(other, sold(1), OPTIONAL))[0] == Changes(1, 0, 0)
    await other.close()


async def test_an_unknown_product_is_told_with_those_there_are(connection: Connection) -> None:
    """A single license of a product that isn't registered names those that are."""
    with pytest.raises(UnknownProduct, match="'gone' isn't registered; registered are es, tool"):
        await licenses.add(connection, sold(product="gone"), OPTIONAL)


async def test_a_license_is_revoked_and_valid_again(connection: Connection, database: str) -> None:
    """Revoking sets its day, taking it back removes it; each is told and counted. A number that is none is an error."""
    _, listed = await licenses.add(connection, sold(), OPTIONAL)
    await touched(connection)
    day = date(2026, 11, 25)
    async with notices(database) as heard:
        revoked = await licenses.revoke(connection, listed.license.id, day)
        assert revoked.license == replace(listed.license, revoked_on=day)
        assert revoked.terms.revoked_on == day
        assert await licenses.revoke(connection, listed.license.id, None) == listed
        with pytest.raises(licenses.UnknownLicense, match="no license with the id 99"):
            await licenses.revoke(connection, 99, day)
    assert heard == [products.LICENSES_CHANGED] * 2
    assert await touched(connection) == [(listed.license.id, 30)] * 2


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Filter(), [1, 2, 3, 4]),
        (Filter(product="tool"), [4]),
        (Filter(customer="acme"), [1, 4]),
        (Filter(customer="%"), [3]),
        (Filter(ends_from=date(2026, 1, 1), ends_until=date(2026, 12, 31)), [1, 2]),
        (Filter(ends_until=date(2026, 12, 30)), [1]),
        (Filter(ends_from=date(2026, 1, 2)), [2, 3]),
        (Filter(key_hash=KEY("LICENSE-KEY-0003").hash), [3]),
        (Filter(last4="0002"), [2]),
        (Filter(id=4), [4]),
        (Filter(id=4, product="es"), []),
        (Filter(last4="_000"), []),
    ],
)
async def test_licenses_are_found(which: Filter, found: list[int], connection: Connection) -> None:
    """A filter finds those of which all holds, the days at its ends included, and takes nothing for a pattern."""
    await take(
        connection,
        sold(1, customer="Acme Inc.", ends=date(2026, 1, 1)),
        sold(2, customer="B", ends=date(2026, 12, 31)),
        sold(3, customer="50 % Ltd.", ends=date(2027, 1, 1)),
        sold(4, customer="ACME SA", product="tool"),
    )
    assert [each.license.id for each in await licenses.list_all(connection, which)] == found


async def test_the_list_comes_in_pages(connection: Connection) -> None:
    """A page goes on behind the number that was the last of the one before."""
    await take(connection, *(sold(number) for number in range(5)))
    pages = [
        [each.license.id for each in await licenses.list_all(connection, after=after, limit=2)]
        for after in (0, 2, 4, 5)
    ]
    assert pages == [[1, 2], [3, 4], [5], []]


async def test_the_list_says_how_licenses_stand(connection: Connection) -> None:
    """Seats used, their maximum and whether they are exceeded come with a license; before a count they don't."""
    await take(connection, sold(1), sold(2))
    await connection.execute(
        "INSERT INTO license_state (license, seats_used, used_max, max_day, is_over, counted_day, counted_at) "
        "VALUES (1, 7, 9, '2026-03-01', true, current_date, now())"
    )
    counted, fresh = await licenses.list_all(connection)
    assert (counted.seats_used, counted.used_max, counted.max_day, counted.is_over) == (
        7,
        9,
        date(2026, 3, 1),
        True,
    )
    assert (fresh.seats_used, fresh.used_max, fresh.max_day, fresh.is_over) == (None, None, None, False)
    assert counted.terms.is_over


async def test_usage_comes_by_day(connection: Connection) -> None:
    """The usage of one license since a day, in order."""
    await take(connection, sold(1), sold(2))
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=ago) for ago in (0, 2, 3)]
    await connection.executemany(
        "INSERT INTO license_usage (license, day, seats_used, held, active, elsewhere) VALUES ($1, $2, $3, 2, 1, 0)",
        [(1, day, seats) for seats, day in enumerate(days)] + [(2, today, 99)],
    )
    found = await licenses.usage(connection, 1, days[1])
    assert found == [licenses.UsageDay(days[1], 1, 2, 1), licenses.UsageDay(days[0], 0, 2, 1)]


async def test_servers_get_the_terms_of_all(connection: Connection) -> None:
    """Every license is handed over with what decides its verdict, more of them than one chunk holds."""
    many = [sold(number, starts=date(2026, 1, 1), grace_days=number % 30) for number in range(1203)]
    await take(connection, *many)
    await connection.execute(
        "INSERT INTO license_state (license, seats_used, used_max, is_over, counted_day, counted_at) "
        "SELECT id, 1, 1, true, current_date, now() FROM license WHERE grace_days = 29"
    )
    ids = await connection.fetchrow("SELECT id FROM product WHERE key = 'es'")
    assert ids is not None
    found = {key: terms async for key, terms in licenses.load_terms(connection)}
    assert found == {
        one.key_hash: Terms(ids["id"], one.starts, None, one.grace_days, None, one.grace_days == 29)
        for one in many
    }


async def test_others_get_their_turn_while_terms_are_loaded(connection: Connection) -> None:
    """Between chunks the event loop serves others: it is not taken for all of the licenses at once."""
    await take(connection, *(sold(number) for number in range(3000)))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert len([key async for key, _ in licenses.load_terms(connection)]) == 3000
    task.cancel()
    assert turns > 5


async def test_leaving_off_ends_the_transaction(connection: Connection) -> None:
    """A reader that leaves off leaves the connection as it was."""
    await take(connection, *(sold(number) for number in range(1000)))
    terms = licenses.load_terms(connection)
    async for _ in terms:
        break
    await terms.aclose()  # type: ignore[attr-defined]
    assert not connection.is_in_transaction()
