"""`callhome.jobs.courier`: deliveries of any kind, several at a time, each recorded as what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from callhome.errors import CallhomeError
from callhome.jobs.courier import Bounds, Courier, Deliver
from callhome.jobs.desk import Desk
from callhome.reports.outcomes import Outcome, Refused, Sent, TryLater, Uncertain
from callhome.store import report_runs
from callhome.store.deliveries import Claim, Queue
from running import connected, until
from subscriptions import Connection, all_are, due, states

Begin = Callable[[], Awaitable[None]]


@asynccontextmanager
async def delivering(dsn: str, deliver: Deliver, count: int, at_once: int = 2) -> AsyncIterator[Connection]:
    """A courier that has so many deliveries to deliver."""
    async with connected(dsn) as connection:
        await due(connection, recipients=tuple(f"r{number}@example.com" for number in range(count)))
        await report_runs.take_due(connection)
        run = await report_runs.take_run(connection, 60)
        assert run is not None
        moment = await connection.fetchval("SELECT now()")
        await report_runs.keep_composed(connection, run, "s", b"", moment, message_id=lambda address: address)
        bounds = Bounds(at_once, before_s=30, after_s=30, stop_s=lambda: 5.0)
        async with Courier("courier", dsn, Queue("delivery"), deliver, bounds):
            yield connection


def always(outcome: Outcome) -> Deliver:
    """Everything ends like this."""

    async def deliver(_desk: Desk, _claim: Claim, begin: Begin) -> Outcome:
        await begin()
        return outcome

    return deliver


@pytest.mark.parametrize(
    ("outcome", "state", "tries"),
    [
        (Sent("fine"), "sent", 1),
        (Refused("no"), "failed", 1),
        (Uncertain("who knows"), "uncertain", 1),
        (TryLater("later"), "waiting", 1),
        (TryLater("no server", is_server=True), "waiting", 0),
    ],
)
async def test_each_outcome_becomes_a_state(outcome: Outcome, state: str, tries: int, database: str) -> None:
    """Sent, refused, uncertain or to be tried later: each is recorded as that, in the receiver's words."""
    async with delivering(database, always(outcome), 5) as connection:

        async def recorded() -> bool:
            return bool(await connection.fetchval("SELECT count(outcome) = 5 FROM delivery"))

        await until(recorded)
        rows = await connection.fetch("SELECT DISTINCT state, tries, outcome FROM delivery")
        assert [tuple(row) for row in rows] == [
            (state, tries, outcome.reply if isinstance(outcome, Sent) else outcome.reason)
        ]


async def test_a_receiver_may_ask_for_patience(database: str) -> None:
    """What a receiver wants no other try of for a while waits at least so long."""
    async with delivering(database, always(TryLater("busy", after_s=7_200)), 1) as connection:
        await until(lambda: tried(connection))
        assert await connection.fetchval("SELECT next_try_at > now() + interval '119 minutes' FROM delivery")


async def tried(connection: Connection) -> bool:
    """Whether a try was recorded."""
    return bool(await connection.fetchval("SELECT count(outcome) FROM delivery"))


async def test_no_more_than_the_bound_at_once(database: str) -> None:
    """However many wait, only so many are delivered at a time, and all are in the end."""
    now, most = 0, 0

    async def deliver(_desk: Desk, _claim: Claim, begin: Begin) -> Outcome:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await begin()
        now -= 1
        return Sent("fine")

    async with delivering(database, deliver, 30, at_once=3) as connection:
        await until(lambda: all_are(connection, "sent", 30))
    assert most == 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [RuntimeError("new"), CallhomeError("known"), OSError("line")])
async def test_an_error_is_known_to_be_before_or_after_the_last_line(
    when: str, error: Exception, database: str
) -> None:
    """A delivery that raises is tried again if its last line was not near, and uncertain if it was."""

    async def deliver(_desk: Desk, _claim: Claim, begin: Begin) -> Outcome:
        if when == "after":
            await begin()
        raise error

    async with delivering(database, deliver, 2) as connection:
        await until(lambda: all_are(connection, "uncertain" if when == "after" else "waiting", 2))


async def test_what_became_of_it_is_recorded_over_an_outage(database: str) -> None:
    """While the database session is lost the outcome is kept, and recorded on the next one."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def deliver(_desk: Desk, _claim: Claim, begin: Begin) -> Outcome:
        await begin()
        reached.set()
        await go_on.wait()
        return Sent("fine")

    async with delivering(database, deliver, 1) as connection:
        await reached.wait()
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'callhome courier' AND datname = current_database()"
        )
        go_on.set()
        await until(lambda: all_are(connection, "sent", 1))


async def test_what_was_not_near_its_end_is_given_back(database: str) -> None:
    """A courier that is left gives back at once what it had claimed and not sent, untried."""
    reached = asyncio.Event()

    async def deliver(_desk: Desk, _claim: Claim, _begin: Begin) -> Outcome:
        reached.set()
        await asyncio.Event().wait()
        return Sent("never")

    async with connected(database) as looking:
        async with delivering(database, deliver, 5):
            await reached.wait()
        assert await states(looking) == {"waiting": 5}
        assert await looking.fetchval("SELECT sum(tries) FROM delivery") == 0
