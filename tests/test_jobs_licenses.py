"""`callhome.jobs.licenses`: counts and settles by itself, one replica at a time, and tells every replica."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from callhome.jobs import licenses
from callhome.jobs.licenses import LicenseJob, count_some, look, look_for_clones
from callhome.store.findings import close
from callhome.store.license_usage import USAGE_LOCK
from callhome.store.products import CATALOG_CHANNEL, LICENSES_CHANGED
from offices import MORNING, Use, office, on, opened
from running import until


async def test_two_jobs_count_what_was_folded(database: str) -> None:
    """With two replicas, each cut in between, usage follows the pings without being asked."""
    async with opened(database) as used:
        await used.sell()
        async with (
            LicenseJob(database, retention_days=400, today=lambda: on(1)),
            LicenseJob(database, retention_days=400, today=lambda: on(1)),
        ):
            for installs in (1, 2):
                await used.send(office([installs], [1]))

                async def counted(installs: int = installs) -> bool:
                    return bool(
                        await used.connection.fetchval("SELECT seats_used = $1 FROM license_state", installs)
                    )

                await until(counted)
                await used.connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'callhome licenses' AND datname = current_database()"
                )
        assert await used.findings() == "over_seats open"


async def test_one_replica_at_a_time(database: str) -> None:
    """While another holds the lock nothing is counted, and what waits stays there."""
    async with opened(database) as used:
        await used.sell()
        await used.send(office([1, 2], [1]))
        other = await asyncpg.connect(database)
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock($1)", USAGE_LOCK)
            assert not await count_some(used.connection, on(1))
            await look_for_clones(used.connection, on(1))
            assert await used.connection.fetchval("SELECT count(*) FROM license_touched")
        await other.close()
        assert await count_some(used.connection, on(1))
        assert await used.findings() == "over_seats open"


async def test_a_change_of_the_verdict_is_told(database: str) -> None:
    """Every replica hears when answers must say over_seats, and when they must no more; else there is silence."""
    heard: list[str] = []
    listener = await asyncpg.connect(database)
    await listener.add_listener(CATALOG_CHANNEL, lambda *said: heard.append(said[-1]))

    async def told() -> list[str]:
        """What was said so far: a notification of our own comes behind those before it."""
        await listener.execute("SELECT pg_notify($1, 'end')", CATALOG_CHANNEL)
        async with asyncio.timeout(20):
            while heard[-1:] != ["end"]:
                await listener.fetchval("SELECT 1")
        said = heard[:-1]
        heard.clear()
        return said

    async with opened(database) as used:
        await used.sell()
        uses = office([1, 2], range(1, 9))
        for day in (1, 2, 3):
            await used.live(day, uses)
        assert await told() == []
        await used.live(4, uses)
        assert await told() == [LICENSES_CHANGED]
        await used.live(5, uses)
        assert await told() == []
        await close(used.connection, 1, "ordered one more", "Ann")
        assert await told() == [LICENSES_CHANGED]
        assert await used.verdict(5) == "ok"
        await used.live(6, uses)
        assert await told() == []
        assert await used.findings() == "over_seats closed"
    await listener.close()


async def test_what_a_person_closed_opens_again_when_it_grows(database: str) -> None:
    """A closed finding stays the only one while as much is used, and is followed by another when more is."""
    async with opened(database) as used:
        await used.sell()
        for day in range(1, 5):
            await used.live(day, office([1, 2], [day]))
        await close(used.connection, 1, "known", "Ann")
        for day in range(5, 15):
            await used.live(day, office([1, 2], [day]))
        assert await used.findings() == "over_seats closed"
        await used.live(15, office([1, 2, 3], [15]))
        assert await used.findings() == "over_seats closed, over_seats confirmed"


@pytest.mark.parametrize(
    ("terms", "product", "rule"),
    [
        ({"revoked_on": on(3)}, 1, "revoked_use"),
        ({"ends": on(2), "grace_days": 0}, 1, "expired_use"),
        ({"ends": on(0), "grace_days": 2}, 1, "expired_use"),
        ({}, 2, "wrong_product"),
    ],
)
async def test_use_that_was_not_sold_is_found_and_ends(
    database: str, terms: dict[str, object], product: int, rule: str
) -> None:
    """Opened on its first day, confirmed on the third, closed a week after the last; unverified days never count."""
    async with opened(database) as used:
        await used.sell(seats=50, **terms)
        first = 3 if product == 1 else 1
        uses = office([1, 2], range(first, first + 3), product=product)
        uses += [Use(day, MORNING, 100 + day, product=product, verified=False) for day in range(1, 20)]
        seen = {}
        for day in range(1, 20):
            await used.live(day, uses)
            seen[day] = await used.findings()
        assert seen.get(first - 1, "") == ""
        assert [seen[first + day] for day in (0, 1, 2, 8, 9)] == [
            f"{rule} {state}" for state in ("open", "open", "confirmed", "confirmed", "closed")
        ]
        row = await used.connection.fetchrow("SELECT measure, allowed, closed_by, note FROM finding")
        assert tuple(row) == (2, 0, "callhome", "not seen for 7 days")


async def test_a_revoked_license_is_not_called_expired_too(database: str) -> None:
    """Use after both is use of a revoked license alone."""
    async with opened(database) as used:
        await used.sell(seats=50, ends=on(1), grace_days=0, revoked_on=on(1))
        await used.live(2, office([1], [2]))
        assert await used.findings() == "revoked_use open"


async def test_unverified_installs_open_nothing(database: str) -> None:
    """A thousand installs that nobody vouches for use no seat, and clones among them are none."""
    async with opened(database) as used:
        await used.sell()
        strangers = [Use(1, MORNING, number, verified=False) for number in range(1, 1001)]
        strangers += [
            Use(1, MORNING + 1 + ping / 10, 1, ("DE", "FR")[ping % 2], verified=False) for ping in range(8)
        ]
        await used.live(1, strangers)
        assert await used.findings() == ""
        assert await used.connection.fetchval("SELECT seats_used FROM license_state") == 0


async def test_so_many_clones_are_opened_and_no_more(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can make installs look cloned: from a bound on none is opened, and those that are open go on."""
    monkeypatch.setattr(licenses, "_CLONES_OPEN", 2)

    def alternating(day: int, installs: int) -> list[Use]:
        return [
            Use(day, MORNING + ping / 10 + install / 1000, install, ("DE", "FR")[ping % 2])
            for install in range(1, installs + 1)
            for ping in range(6)
        ]

    async with opened(database) as used:
        await used.live(1, alternating(1, 5))
        assert await used.findings() == "cloned_install open, cloned_install open"
        await used.live(2, alternating(2, 5))
        assert await used.findings() == "cloned_install confirmed, cloned_install confirmed"
        await used.live(9, [])
        assert await used.findings() == "cloned_install closed, cloned_install closed"


async def test_a_day_without_a_server_is_counted_later(database: str) -> None:
    """The days between two looks get their usage, too."""
    async with opened(database) as used:
        await used.sell()
        await used.live(1, office([1], [1]))
        await look(used.connection, on(6))
        days = await used.connection.fetch("SELECT day FROM license_usage ORDER BY day")
        assert [row["day"] for row in days] == [on(1) + timedelta(days=day) for day in range(6)]
