"""`callhome.store.report_history`: what became of each run and each mail, the latest first."""

from __future__ import annotations

from datetime import UTC, datetime

from callhome.store import report_history, report_runs
from callhome.store.deliveries import Queue
from running import connected
from subscriptions import due


async def test_history_shows_what_became_of_all(database: str) -> None:
    """Runs with their mails by state, and mails by state, of one report or of all."""
    async with connected(database) as connection:
        for name in ("first", "second"):
            await due(connection, name, tuple(f"r{number}@example.com" for number in range(3)))
            await report_runs.take_due(connection)
            run = await report_runs.take_run(connection, 60)
            assert run is not None
            await report_runs.keep_composed(
                connection,
                run,
                f"Subject of {name}",
                b"",
                datetime.now(UTC),
                message_id=lambda address: address,
            )
        queue = Queue("delivery")
        claims = await queue.claim(connection, 2, 60)
        await queue.record(connection, claims[0], "failed", "550 no such user")
        failed = claims[0].id

        every = await report_history.runs(connection, None, 10)
        assert [(run.report, run.subject) for run in every] == [
            ("second", "Subject of second"),
            ("first", "Subject of first"),
        ]
        assert sum(run.states.get("failed", 0) for run in every) == 1
        assert sum(sum(run.states.values()) for run in every) == 6
        assert [run.report for run in await report_history.runs(connection, "first", 10)] == ["first"]
        assert len(await report_history.runs(connection, None, 1)) == 1

        (mail,) = await report_history.deliveries(connection, None, "failed", 10)
        assert (mail.id, mail.outcome, mail.tries) == (failed, "550 no such user", 1)
        assert len(await report_history.deliveries(connection, "second", None, 10)) == 3
        assert len(await report_history.deliveries(connection, None, None, 4)) == 4
