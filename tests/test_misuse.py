"""`callhome.store.misuse`: measures of the licenses that break a rule; evidence says which installs, when, where."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from typing import Any

from callhome.licenses.findings import Case, DayUse, Rule, State
from callhome.licenses.model import Counts, License, Use
from callhome.store import misuse
from offices import MORNING, Office, office, on, opened
from offices import Use as Ping


async def only_license(used: Office) -> int:
    found: int = await used.connection.fetchval("SELECT id FROM license")
    return found


async def test_measures_are_those_of_the_window(database: str) -> None:
    """Days, the most, the first and the last day of each rule, with the license as it was sold."""
    async with opened(database) as used:
        await used.sell(
            seats=2,
            window_days=5,
            ends=on(4),
            grace_days=1,
            overage=Decimal("1.5"),
            revoked_on=on(8),
            starts=on(1),
        )
        uses = [*office([1, 2, 3, 4], range(1, 10)), *office([7], [2, 9], product=2)]
        for day in range(1, 10):
            await used.live(day, uses)
        number = await only_license(used)
        (found,) = await misuse.measures(used.connection, [number], on(9))
    assert found.license == License(
        id=number, last4="7F3Q", customer="Office", product=1, seats=2, counts=Counts.INSTALL, use=Use.NAMED,
        window_days=5, starts=on(1), ends=on(4), grace_days=1, overage=Decimal("1.5"), revoked_on=on(8),
    )  # fmt: skip
    assert found.used == DayUse(5, 4, on(5), on(9))
    assert found.held == DayUse(4, 4, on(5), on(8))
    assert found.expired == DayUse(2, 4, on(6), on(7))
    assert found.revoked == DayUse(2, 4, on(8), on(9))
    assert found.elsewhere == DayUse(2, 1, on(2), on(9))
    assert found.new_countries == 0


async def test_licenses_used_as_sold_are_not_read(database: str) -> None:
    """Only those that break a rule, or have a finding that isn't closed, leave the database."""
    async with opened(database) as used:
        await used.sell(seats=2)
        await used.live(1, office([1, 2], [1]))
        number = await only_license(used)
        assert await misuse.measures(used.connection, [number], on(1)) == []
        await used.change("seats = 1", 1)
        await used.live(1, [])
        await used.change("seats = 2", 1)
        (found,) = await misuse.measures(used.connection, [number], on(1))
        assert found.used == DayUse()


async def test_countries_are_new_where_they_were_not_before_the_window(database: str) -> None:
    """Those of the window alone count, unknown ones never; they are counted only far beyond the seats."""
    async with opened(database) as used:
        await used.sell(seats=1, window_days=3)
        countries = ("DE", "FR", "CH", "AT", "ZZ")
        for day in range(1, 11):
            uses = [Ping(10, MORNING, 100 + number, code) for number, code in enumerate(countries)]
            await used.live(day, [*office([1], range(1, 11)), *uses, Ping(1, MORNING, 2, "AT")])
        (found,) = await misuse.measures(used.connection, [await only_license(used)], on(10))
    assert (found.used.most, found.new_countries) == (6, 2)


async def evidence(used: Office, rule: Rule, today: int, first: int = 1) -> dict[str, Any]:
    (found,) = await misuse.measures(used.connection, [await only_license(used)], on(today))
    case = Case(rule, State.OPEN, 1, 0, on(first), on(today), "terms", held=3)
    return await misuse.evidence_on_license(used.connection, found.license, case, on(today))


async def test_evidence_on_seats(database: str) -> None:
    """Installs as they were last, the latest first, with countries and days; of many a hundred, and their number."""
    async with opened(database) as used:
        await used.sell(seats=1)
        uses = [
            *office(range(1, 121), [2], "FR"),
            *office([500], [1, 2, 3]),
            Ping(3, MORNING + 1, 500, "CH", "2.0", users=7),
        ]
        for day in (1, 2, 3):
            await used.live(day, uses)
        said = await evidence(used, Rule.OVER_SEATS, 3)
    assert (said["first"], said["last"], said["terms"], said["held"]) == (str(on(1)), str(on(3)), "terms", 3)
    assert said["countries"] == {"FR": 120, "CH": 1}
    assert (said["installs_total"], len(said["installs"])) == (121, 100)
    assert said["installs"][0] == {
        "install": (500).to_bytes(16, "big").hex(), "product": "es", "first_day": str(on(1)), "last_day": str(on(3)),
        "days": 3, "country": "CH", "version": "2.0", "users": 7,
    }  # fmt: skip
    assert [(day["day"], day["seats_used"], day["held"], day["active"]) for day in said["days"]] == [
        (str(on(1)), 1, 1, 1),
        (str(on(2)), 121, 121, 121),
        (str(on(3)), 121, 0, 1),
    ]


async def test_evidence_on_another_product(database: str) -> None:
    """It has the installs of the other products, and only those."""
    async with opened(database) as used:
        await used.sell(seats=9)
        await used.live(1, [*office([1], [1]), *office([2], [1], "FR", product=2)])
        said = await evidence(used, Rule.WRONG_PRODUCT, 1)
    assert [(one["install"][-2:], one["product"]) for one in said["installs"]] == [("02", "other")]
    assert said["countries"] == {"FR": 1}


async def test_evidence_on_use_after_the_end_begins_there(database: str) -> None:
    """Installs that were gone by then are no evidence."""
    async with opened(database) as used:
        await used.sell(seats=9, ends=on(2), grace_days=0)
        uses = [*office([1], [1, 2]), *office([2], [2, 3])]
        for day in (1, 2, 3):
            await used.live(day, uses)
        said = await evidence(used, Rule.EXPIRED_USE, 3, first=3)
    assert [one["install"][-2:] for one in said["installs"]] == ["02"]
    assert [day["day"] for day in said["days"]] == [str(on(3))]


async def test_suspects_come_with_their_flips(database: str) -> None:
    """Installs with four flips on a verified day, each with the flips of such days in order, and no other."""
    uses = [
        Ping(day, MORNING + ping / 10 + install / 1000, install, ("DE", "FR")[ping % 2], verified=install < 9)
        for day, pings in ((1, 6), (2, 2))
        for ping in range(pings)
        for install in (1, 2, 9)
    ] + office([3], [1])
    async with opened(database) as used:
        await used.send(uses)
        async with used.connection.transaction():
            found = [it async for it in misuse.suspects(used.connection, on(2))]
            assert [it async for it in misuse.suspects(used.connection, on(40))] == []
    assert [(install[-1], product) for install, product, _ in found] == [(1, 1), (2, 1)]
    for _, _, flips in found:
        assert [(flip.from_country, flip.to_country) for flip in flips] == [
            (("DE", "FR"), ("FR", "DE"))[number % 2] for number in range(5)
        ]
        assert {flip.at.astimezone(UTC).date() for flip in flips} == {on(1)}
