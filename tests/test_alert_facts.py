"""`callhome.store.alert_facts`: what the rules look at is what the tables say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from callhome.alerts import facts
from callhome.alerts.facts import Product
from callhome.alerts.model import Event, Rule
from callhome.store import alert_events, alert_facts
from callhome.store.ids import id_ms, new_id
from running import connected
from watched import NOW, Connection, active, alert, confirm, in_use, license, product, seen, use

ES = Product("es", "Example Server")
DAY = NOW.date()


@pytest.mark.parametrize(
    ("seats", "overage", "used", "allowed"),
    [
        (10, "1", 10, None), (10, "1", 11, 10), (10, "1.25", 12, None), (10, "1.25", 13, 12),
        (7, "1.5", 10, None), (7, "1.5", 11, 10), (1, None, 10**9, None),
    ],
)  # fmt: skip
async def test_a_license_is_over_beyond_what_is_allowed(
    seats: int, overage: str | None, used: int, allowed: int | None, database: str
) -> None:
    """Seats with their overage, rounded down, are allowed; an unlimited license is never over."""
    async with connected(database) as connection:
        es = await product(connection)
        number = await license(connection, es, seats, overage)
        await use(connection, number, used)
        found = await alert_facts.over_licenses(connection, None)
        expected = facts.OverLicense(number, "7K2F", "Example Inc.", ES, used, allowed or 0)
        assert found == ([] if allowed is None else [expected])
        assert await alert_facts.over_licenses(connection, "es") == found
        assert await alert_facts.over_licenses(connection, "other") == []


async def test_confirmed_findings_are_those_not_told(database: str) -> None:
    """Findings of before the alert, of other products, not confirmed, or told before are left out."""
    async with connected(database) as connection:
        es, other = await product(connection), await product(connection, "other")
        watching = await alert(connection, Rule.FINDING_CONFIRMED)
        old = await confirm(connection, es, await license(connection, es), NOW - timedelta(seconds=1))
        new = await confirm(connection, es, await license(connection, es), NOW + timedelta(seconds=1))
        clone = await connection.fetchval(
            "INSERT INTO finding (rule, product, install, state, measure, allowed, evidence, confirmed_at) "
            "VALUES ('cloned_install', $1, 'ab', 'confirmed', 9, 1, '{}', $2) RETURNING id",
            other,
            NOW + timedelta(seconds=2),
        )

        async def found(key: str | None = None) -> list[int]:
            return [
                each.finding
                for each in await alert_facts.confirmed_findings(connection, watching.id, key, NOW)
            ]

        assert await found() == [new, clone]
        assert await found("es") == [new]
        assert old not in await found()
        one = (await alert_facts.confirmed_findings(connection, watching.id, "other", NOW))[0]
        assert (one.license, one.customer, one.install, one.rule) == (None, None, "6162", "cloned_install")
        await alert_events.fire(connection, watching, [Event(f"finding {new}", "s")], [], NOW)
        assert await found() == [clone]
        await connection.execute("UPDATE finding SET state = 'closed'")
        assert await found() == []


async def released(connection: Connection, product: int, *versions: str) -> None:
    """Register releases of today."""
    for version in versions:
        await connection.execute(
            "INSERT INTO release (product, version, day, share) VALUES ($1, $2, $3, 40)",
            product,
            version,
            DAY,
        )


async def test_adoption_counts_builds_and_newer_versions(database: str) -> None:
    """An install counts for each release that it has or is beyond, under any build; by product."""
    async with connected(database) as connection:
        es, other = await product(connection), await product(connection, "other", "Other")
        await released(connection, es, "5.9", "5.10", "6.0")
        await released(connection, other, "1.0")
        await in_use(connection, es, v5_9=41, v5_10=21, v5_11=11, v5_8=0)
        found = await alert_facts.release_adoptions(connection, None, DAY)
        assert [(one.released.version, one.installs, one.total) for one in found] == [
            ("5.9", 73, 73),
            ("5.10", 32, 73),
            ("6.0", 0, 73),
            ("1.0", 0, 0),
        ]
        assert found[0].released == facts.Released(ES, "5.9", DAY, 40)
        assert await alert_facts.release_adoptions(connection, "other", DAY) == found[3:]
        assert await alert_facts.release_adoptions(connection, None, DAY - timedelta(days=1)) == []
        await connection.execute("UPDATE release SET withdrawn_at = now() WHERE version <> '6.0'")
        await connection.execute("UPDATE release SET channel = 'beta' WHERE version = '6.0'")
        assert await alert_facts.release_adoptions(connection, None, DAY) == []


async def test_invented_versions_bound_what_is_read(database: str) -> None:
    """Of a product with many versions the most used are read; the others count among all, as older."""
    async with connected(database) as connection:
        es = await product(connection)
        await released(connection, es, "1.0")
        await connection.execute(
            "INSERT INTO live_build SELECT $1, '2.' || n, '', CASE WHEN n <= $2 THEN 2 ELSE 1 END "
            "FROM generate_series(1, $2 + 500) n",
            es,
            facts.VERSIONS_READ,
        )
        (one,) = await alert_facts.release_adoptions(connection, None, DAY)
        assert (one.installs, one.total) == (2 * facts.VERSIONS_READ, 2 * facts.VERSIONS_READ + 500)


async def test_days_are_counted_with_their_weekdays(database: str) -> None:
    """Verified installs of the day and of the four weeks before, latest first; a day without any is nought."""
    async with connected(database) as connection:
        es, young = await product(connection), await product(connection, "young")
        for week, installs in ((0, 5), (1, 10), (3, 30), (4, 40), (5, 50)):
            await active(connection, es, DAY - timedelta(weeks=week), installs)
            await active(connection, es, DAY - timedelta(weeks=week), 99, verified=False)
        await active(connection, es, DAY - timedelta(days=1), 77)
        await active(connection, young, DAY - timedelta(weeks=3), 77)
        assert await alert_facts.day_counts(connection, None, DAY) == [facts.DayCount(ES, 5, (10, 0, 30, 40))]
        assert await alert_facts.day_counts(connection, "young", DAY) == []
        # In use in the week that ended four weeks before, though not on its last day.
        assert len(await alert_facts.day_counts(connection, "es", DAY + timedelta(days=3))) == 1


async def test_seen_is_the_last_of_a_product_or_of_any(database: str) -> None:
    """A product that never pinged was never seen; all together were seen when the last of them was."""
    async with connected(database) as connection:
        es, other = await product(connection), await product(connection, "other", "Other")
        assert await alert_facts.seen(connection, None) == facts.Seen(None, None)
        await seen(connection, es, NOW)
        assert await alert_facts.seen(connection, "es") == facts.Seen(ES, NOW)
        assert await alert_facts.seen(connection, "other") == facts.Seen(Product("other", "Other"), None)
        await seen(connection, other, NOW + timedelta(seconds=1))
        assert await alert_facts.seen(connection, None) == facts.Seen(None, NOW + timedelta(seconds=1))
        assert await alert_facts.seen(connection, "nope") is None


async def test_all_is_counted_up_to_the_oldest_batch(database: str) -> None:
    """What waits to be counted began with the oldest batch; where nothing waits, all is counted up to now."""
    async with connected(database) as connection:
        now = await alert_facts.now(connection)
        assert await alert_facts.folded_until(connection, now) == now
        oldest, newer = new_id(), new_id()
        for id_ in (newer, oldest):
            await connection.execute("INSERT INTO batch VALUES ($1, $1, $1, 1, 0)", id_.hex())
        later = now + timedelta(hours=1)
        began = datetime.fromtimestamp(id_ms(oldest) / 1_000, UTC)
        assert await alert_facts.folded_until(connection, later) == began
        assert await alert_facts.folded_until(connection, began - timedelta(hours=1)) == began - timedelta(
            hours=1
        )
