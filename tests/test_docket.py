"""`callhome.store.docket`: findings are opened, gone on with and closed as the cases say, and written only then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from callhome.licenses.findings import Case, Cause, Rule, State
from callhome.store.docket import Docket, Subject, tell_verdicts
from offices import Office, on, opened

CASE = Case(Rule.OVER_SEATS, State.OPEN, 13, 10, on(1), on(1), "10", Cause.UNKNOWN, 11)


class Asked:
    """Gives the evidence on a case, and counts how often it was asked for."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self, case: Case) -> dict[str, Any]:
        self.times += 1
        return {"first": str(case.first), "last": str(case.last), "terms": case.terms, "held": case.held}


@asynccontextmanager
async def docket(used: Office, day: int = 1) -> AsyncIterator[Docket]:
    async with used.connection.transaction():
        licenses = [row["id"] for row in await used.connection.fetch("SELECT id FROM license")]
        yield await Docket.taken(used.connection, on(day), [Rule.OVER_SEATS], licenses)


async def settled(used: Office, asked: Asked, case: Case | None, day: int = 1) -> None:
    subject = Subject(1, license=await used.connection.fetchval("SELECT id FROM license"))
    async with docket(used, day) as taken:
        await taken.settle(Rule.OVER_SEATS, subject, case, asked)


async def rows(used: Office) -> list[Any]:
    found = await used.connection.fetch("SELECT * FROM finding ORDER BY id")
    return [{**row, "evidence": json.loads(row["evidence"])} for row in found]


async def test_a_finding_lives(database: str) -> None:
    """Opened, left alone while nothing changes, confirmed, kept confirmed, closed by itself; then another is opened."""
    asked = Asked()
    async with opened(database) as used:
        await used.sell()
        await settled(used, asked, None)
        assert await rows(used) == []
        for _ in range(2):
            await settled(used, asked, CASE)
        (row,) = await rows(used)
        assert (row["state"], row["measure"], row["allowed"], row["cause"]) == ("open", 13, 10, "")
        assert row["confirmed_at"] is None
        assert asked.times == 1, "nothing had changed"

        await settled(used, asked, replace(CASE, state=State.CONFIRMED, measure=15, last=on(3)), 3)
        await settled(used, asked, replace(CASE, cause=Cause.SHARED_KEY, last=on(4)), 4)
        (row,) = await rows(used)
        assert (row["state"], row["measure"], row["cause"]) == ("confirmed", 15, "shared_key")
        assert row["evidence"]["last"] == str(on(4))
        assert row["confirmed_at"] is not None

        await settled(used, asked, None, 11)
        await settled(used, asked, CASE, 12)
        closed, again = await rows(used)
        assert (closed["state"], closed["closed_by"], closed["note"]) == (
            "closed",
            "callhome",
            "not seen for 7 days",
        )
        assert again["state"] == "open"


async def test_installs_of_two_products_are_two_subjects(database: str) -> None:
    """The same id under another product is another install; a license is the same whatever its product."""
    assert Subject(1, install=b"x").key != Subject(2, install=b"x").key
    assert Subject(1, license=7).key == Subject(2, license=7).key
    asked, case = Asked(), replace(CASE, rule=Rule.CLONED_INSTALL, terms="")
    async with opened(database) as used:
        for looked_at, states in ((None, ["open", "open"]), ({(2, b"x")}, ["closed", "open"])):
            async with used.connection.transaction():
                taken = await Docket.taken(used.connection, on(1), [Rule.CLONED_INSTALL])
                for product in (1, 2):
                    await taken.settle(Rule.CLONED_INSTALL, Subject(product, install=b"x"), case, asked)
                assert len(taken) == 2
                if looked_at is not None:
                    await taken.close_others(Rule.CLONED_INSTALL, looked_at)
            assert [row["state"] for row in await rows(used)] == states


@pytest.mark.parametrize(("measure", "expected"), [(13, ["closed"]), (14, ["closed", "open"])])
async def test_the_last_that_a_person_closed_decides(
    database: str, measure: int, expected: list[str]
) -> None:
    """What callhome closed since doesn't count, nor what a person closed before."""
    asked = Asked()
    async with opened(database) as used:
        await used.sell()
        await settled(used, asked, CASE)
        await used.connection.execute(
            "UPDATE finding SET state = 'closed', closed_by = 'Ann', closed_at = now()"
        )
        await used.connection.execute(
            "INSERT INTO finding (rule, license, product, state, measure, allowed, evidence, closed_by, closed_at) "
            "SELECT rule, license, product, 'closed', measure + n, allowed, evidence, by, now() - n * interval '1 day' "
            "FROM finding, (VALUES (5, 'Bob'), (-5, 'callhome')) other (n, by)"
        )
        await settled(used, asked, replace(CASE, measure=measure))
        states = [row["state"] for row in await rows(used)]
        assert states == ["closed", "closed", *expected]


async def test_only_changes_of_verdicts_are_told(database: str) -> None:
    """A confirmed finding makes a license over its seats once; closed, no more."""
    async with opened(database) as used:
        await used.sell()
        number = await used.connection.fetchval("SELECT id FROM license")
        await used.connection.execute(
            "INSERT INTO license_state (license, seats_used, used_max, counted_day, counted_at) "
            "VALUES ($1, 1, 1, $2, now())",
            number,
            on(1) - timedelta(days=1),
        )
        await settled(used, Asked(), CASE)
        told = [await tell_verdicts(used.connection, [number])]
        await settled(used, Asked(), replace(CASE, state=State.CONFIRMED))
        told += [await tell_verdicts(used.connection, [number]) for _ in range(2)]
        assert await used.connection.fetchval("SELECT is_over FROM license_state")
        await settled(used, Asked(), None)
        told.append(await tell_verdicts(used.connection, [number]))
    assert told == [False, True, False, True]
