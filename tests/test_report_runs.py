"""`callhome.store.report_runs`: what is due is taken once, composed once, and becomes one delivery a recipient."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callhome.errors import UsageError
from callhome.reports import schedule
from callhome.store import report_runs, reports
from callhome.store.deliveries import TRIES
from callhome.store.report_runs import Run
from running import connected
from subscriptions import Connection, draft, due

LEASE_S = 60.0


async def runs(connection: Connection) -> list[tuple[Any, ...]]:
    """Due, first and last day of each run."""
    rows = await connection.fetch("SELECT due, first_day, last_day FROM report_run ORDER BY due")
    return [tuple(row) for row in rows]


async def taken(connection: Connection) -> Run:
    """The only run, claimed."""
    run = await report_runs.take_run(connection, LEASE_S)
    assert run is not None
    return run


async def composed(connection: Connection, run: Run) -> int | None:
    """Keep something as composed."""
    return await report_runs.keep_composed(
        connection,
        run,
        "subject",
        b"content",
        datetime.now(UTC),
        message_id=lambda address: f"id of {address}",
    )


async def test_a_due_report_is_taken_once(database: str) -> None:
    """However many look at once, a due report becomes one run, and is due next at its next time."""
    async with connected(database) as connection, connected(database) as other:
        for number in range(20):
            await due(connection, f"report {number}")
        counts = await asyncio.gather(*(report_runs.take_due(one) for one in (connection, other)))
        assert sum(counts) == 20
        assert await report_runs.take_due(connection) == 0
        assert len(await runs(connection)) == 20
        assert await connection.fetchval("SELECT bool_and(next_due > now()) FROM report")


async def test_dues_that_were_missed_become_one(database: str) -> None:
    """After weeks in which no server ran, the latest due is made, and covers all since the last one that was."""
    async with connected(database) as connection:
        made = await reports.add(connection, draft())
        last = schedule.last_due("0 7 * * MON", "Europe/Paris", datetime.now(UTC))
        before = schedule.last_due("0 7 * * MON", "Europe/Paris", last - timedelta(days=15))
        await connection.execute(
            "UPDATE report SET last_due = $1, next_due = $2", before, before + timedelta(days=7)
        )
        assert await report_runs.take_due(connection) == 1
        assert await report_runs.take_due(connection) == 0
        assert await runs(connection) == [(last, before.date(), last.date() - timedelta(days=1))]
        assert (await reports.one(connection, "weekly")).next_due == made.next_due


async def test_the_first_report_covers_one_turn_of_its_schedule(database: str) -> None:
    """A report that was never due covers the time since its schedule's tick before."""
    async with connected(database) as connection:
        await reports.add(connection, draft())
        last = schedule.last_due("0 7 * * MON", "Europe/Paris", datetime.now(UTC))
        await connection.execute("UPDATE report SET next_due = $1", last)
        await report_runs.take_due(connection)
        ((_, first_day, last_day),) = await runs(connection)
        assert (last_day - first_day).days == 6


async def test_a_paused_report_is_not_due(database: str) -> None:
    """A paused report is not taken, and nobody is warned of it."""
    async with connected(database) as connection:
        await due(connection)
        assert await report_runs.any_due(connection)
        await reports.pause(connection, "weekly")
        assert not await report_runs.any_due(connection)
        assert await report_runs.take_due(connection) == 0


async def test_a_schedule_that_broke_stops_no_other(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """A report whose time zone is no more is logged and looked at later; the others are taken."""
    async with connected(database) as connection:
        await due(connection, "broken")
        await due(connection, "whole")
        await connection.execute("UPDATE report SET time_zone = 'Mars' WHERE name = 'broken'")
        await report_runs.take_due(connection)
        assert len(await runs(connection)) == 1
        assert "report 'broken' can't be planned: 'Mars' is no time zone" in caplog.text
        assert await report_runs.take_due(connection) == 0


async def test_a_run_is_composed_once(database: str) -> None:
    """A run has one owner at a time; of two that composed it one is kept, with one delivery a recipient."""
    async with connected(database) as connection:
        made = await due(connection, recipients=("a@example.com", "b@example.com", "c@example.com"))
        await report_runs.take_due(connection)
        first = await taken(connection)
        assert (first.order.name, first.order.sections, first.tries) == ("weekly", ("usage",), 1)
        assert await report_runs.take_run(connection, LEASE_S) is None
        await connection.execute("UPDATE report_run SET next_try_at = now()")
        second = await taken(connection)
        await reports.unsubscribe(connection, made.id, "b@example.com")
        assert await composed(connection, first) is None
        assert await composed(connection, second) == 2
        assert await composed(connection, second) is None
        assert await report_runs.take_run(connection, LEASE_S) is None
        rows = await connection.fetch("SELECT id, address, message_id FROM delivery ORDER BY address")
        assert [tuple(row)[1:] for row in rows] == [
            ("a@example.com", "id of a@example.com"),
            ("c@example.com", "id of c@example.com"),
        ]
        (mail,) = await report_runs.mails(connection, [rows[0]["id"]])
        assert (mail.run, mail.report, mail.address) == (first.id, made.id, "a@example.com")
        assert await report_runs.content(connection, first.id) == b"content"


async def test_a_failed_run_is_tried_again_and_given_up(database: str) -> None:
    """A run that could not be composed waits for its next try, and is not tried for ever."""
    async with connected(database) as connection:
        await due(connection)
        await report_runs.take_due(connection)
        await report_runs.keep_failure(connection, await taken(connection), "no figures", 3_600)
        assert await report_runs.take_run(connection, LEASE_S) is None
        assert await connection.fetchval("SELECT failure FROM report_run") == "no figures"
        await connection.execute("UPDATE report_run SET next_try_at = now(), tries = $1", TRIES - 1)
        assert (await taken(connection)).tries == TRIES
        await connection.execute("UPDATE report_run SET next_try_at = now()")
        assert await report_runs.take_run(connection, LEASE_S) is None
        assert not await report_runs.any_due(connection)


async def test_a_report_is_sent_now_beside_its_schedule(database: str) -> None:
    """Ordered now, a report goes to those who are named, also strangers, for the days since the last due."""
    async with connected(database) as connection:
        made = await reports.add(connection, draft(recipients=("a@example.com", "b@example.com")))
        await reports.unsubscribe(connection, made.id, "b@example.com")
        with pytest.raises(UsageError, match=r"b@example\.com has unsubscribed from 'weekly'"):
            await report_runs.order_now(connection, "weekly", ["b@example.com"])
        at = await report_runs.order_now(connection, "weekly", ["z@example.com"])
        last = schedule.last_due("0 7 * * MON", "Europe/Paris", at)
        expected = schedule.period(at, last)
        assert await runs(connection) == [(at, expected.first_day, expected.last_day)]
        assert await composed(connection, await taken(connection)) == 1
        await report_runs.order_now(connection, "weekly", None)
        assert await composed(connection, await taken(connection)) == 1
        rows = await connection.fetch("SELECT address FROM delivery ORDER BY address")
        assert [row["address"] for row in rows] == ["a@example.com", "z@example.com"]
        after = await reports.one(connection, "weekly")
        assert (after.next_due, after.last_due) == (made.next_due, None)


async def test_contents_are_forgotten_and_the_history_stays(database: str) -> None:
    """90 days after it was composed a report's content is emptied, and no other."""
    async with connected(database) as connection:
        for name, age in (("old", 91), ("new", 89)):
            await due(connection, name)
            await report_runs.take_due(connection)
            await composed(connection, await taken(connection))
            await connection.execute(
                "UPDATE report_run r SET composed_at = now() - $2 * interval '1 day' FROM report p "
                "WHERE p.id = r.report AND p.name = $1",
                name,
                age,
            )
        await report_runs.forget_contents(connection)
        rows = await connection.fetch(
            "SELECT p.name, r.content, r.subject FROM report_run r JOIN report p ON p.id = r.report ORDER BY 1"
        )
        assert [tuple(row) for row in rows] == [("new", b"content", "subject"), ("old", None, "subject")]
