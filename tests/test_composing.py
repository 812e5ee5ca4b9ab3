"""`callhome.jobs.composing`: what falls due is composed once, from the figures of its period, and is then delivered."""

from __future__ import annotations

from typing import Any

import pytest

from callhome.jobs import composing
from callhome.jobs.composing import Composing
from callhome.reports import message
from callhome.reports.model import Composed, Order, Period
from callhome.store import products, report_runs
from running import connected, until
from subscriptions import MAILING, Connection, all_are, due, one_line


async def test_what_is_due_is_composed_from_its_figures(database: str) -> None:
    """A due report is composed with the real figures, and what is stored can be sent."""
    async with connected(database) as connection:
        await products.add(connection, "es", "Example Server")
        await due(connection, recipients=("a@example.com", "b@example.com"))
        async with Composing(database, MAILING):
            await until(lambda: all_are(connection, "waiting", 2))
        row = await connection.fetchrow("SELECT * FROM report_run")
        made = message.unpack(row["content"])
        assert (made.subject, made.composed_at) == (row["subject"], row["composed_at"])
        assert "Example Server" in made.text
        ids = await connection.fetch("SELECT address, message_id FROM delivery")
        for one in ids:
            assert one["message_id"] == MAILING.message_id(row["report"], row["due"], one["address"])


async def test_the_same_figures_make_the_same_report(database: str) -> None:
    """Composed twice from one moment's figures a report is the same: what a preview shows is what is sent."""
    async with connected(database) as connection:
        await products.add(connection, "es", "Example Server")
        today = (await connection.fetchval("SELECT now()")).date()
        order = Order("weekly", ("es",), ("usage", "countries"), "fr", Period(today, today))
        first = await composing.composed(connection, order, None)
        second = await composing.composed(connection, order, None)
        assert first.subject == second.subject
        assert first.images == second.images


async def test_a_report_that_fails_stops_no_other(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """A composer that raises, or makes what can't be a mail, is recorded with its reason; the others are composed."""

    async def composer(connection: Any, order: Order, console_url: str | None) -> Composed:
        if order.name == "bad":
            raise ZeroDivisionError("no installs")
        return await one_line(connection, order, console_url)

    async with connected(database) as connection:
        await due(connection, "bad")
        await due(connection, "good")
        async with Composing(database, MAILING, composer):
            await until(lambda: all_are(connection, "waiting", 1))
            await until(lambda: told(connection, "ZeroDivisionError: no installs"))
        assert "report 'bad' can't be composed" in caplog.text


async def told(connection: Connection, failure: str) -> bool:
    """Whether a run has failed with these words."""
    return bool(await connection.fetchval("SELECT max(failure) = $1 FROM report_run", failure))


async def test_a_lost_session_is_no_failure_of_the_report(database: str) -> None:
    """Where the database goes away while a report is composed, it is composed later."""
    cut = 0

    async def composer(connection: Any, order: Order, console_url: str | None) -> Composed:
        nonlocal cut
        if not cut:
            cut += 1
            connection.terminate()
            await connection.fetchval("SELECT 1")
        return await one_line(connection, order, console_url)

    async with connected(database) as connection:
        await due(connection)
        async with Composing(database, MAILING, composer):

            async def tried() -> bool:
                return bool(cut)

            await until(tried)
            await connection.execute("UPDATE report_run SET next_try_at = now()")
            await until(lambda: all_are(connection, "waiting", 1))
        assert await connection.fetchval("SELECT tries FROM report_run") == 2
        assert not await report_runs.any_due(connection)
