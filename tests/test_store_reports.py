"""`callhome.store.reports`: subscriptions are made, changed, paused, ended by their recipients, and removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from callhome.errors import UsageError
from callhome.store import products, reports
from callhome.store.connection import StoreUnavailable
from callhome.store.reports import UnknownReport
from running import connected
from subscriptions import Connection, draft

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


async def test_a_subscription_is_made_and_found(database: str) -> None:
    """What was wanted is what is found, due at the schedule's next time, with each recipient."""
    async with connected(database) as connection:
        await products.add(connection, "es", None)
        made = await reports.add(
            connection, draft(recipients=("b@example.com", "a@example.com"), products=("es",))
        )
        assert made == await reports.one(connection, "weekly")
        assert await reports.list_all(connection) == [made]
        assert (made.products, made.sections, made.language) == (("es",), ("usage",), "en")
        assert [each.address for each in made.recipients] == ["a@example.com", "b@example.com"]
        assert (made.next_due.weekday(), made.last_due, made.is_paused) == (0, None, False)
        assert made.next_due > await reports.now(connection)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"products": ("es", "nope")}, "'nope' is no registered product: `callhome product list` shows them"),
        ({"name": "there"}, "there is a report 'there' already"),
        ({"schedule": "0 7 * *"}, "is no schedule"),
    ],
)
async def test_what_is_wrong_makes_nothing(changed: dict[str, Any], said: str, database: str) -> None:
    """An unknown product, a name that is taken or a wrong schedule is told, and nothing is made."""
    async with connected(database) as connection:
        await products.add(connection, "es", None)
        await reports.add(connection, draft("there"))
        with pytest.raises(UsageError, match=said):
            await reports.add(connection, draft(**changed))
        assert [each.name for each in await reports.list_all(connection)] == ["there"]


async def test_a_change_leaves_the_rest(database: str) -> None:
    """Recipients are added and dropped, a new schedule moves the next due, and who unsubscribed stays so."""
    async with connected(database) as connection:
        made = await reports.add(connection, draft(recipients=("a@example.com", "b@example.com")))
        await reports.unsubscribe(connection, made.id, "b@example.com")
        after = await reports.change(
            connection,
            "weekly",
            lambda old: replace(old, recipients=(*old.recipients, "c@example.com")),
            dropped=["a@example.com"],
        )
        assert [(each.address, each.unsubscribed_at is None) for each in after.recipients] == [
            ("b@example.com", False),
            ("c@example.com", True),
        ]
        assert after.next_due == made.next_due
        moved = await reports.change(
            connection, "weekly", lambda old: replace(old, schedule="0 7 1 1 *", language="fr")
        )
        assert (moved.language, moved.schedule, moved.next_due.month in (12, 1)) == ("fr", "0 7 1 1 *", True)
        with pytest.raises(UsageError, match="would have no recipient"):
            await reports.change(
                connection, "weekly", lambda old: old, dropped=["b@example.com", "c@example.com"]
            )
        assert len((await reports.one(connection, "weekly")).recipients) == 2


async def test_a_pause_is_left_out(database: str) -> None:
    """A paused report falls due no more; resumed, it is due at its next time and begins anew."""
    async with connected(database) as connection:
        made = await reports.add(connection, draft())
        await connection.execute("UPDATE report SET last_due = $1, next_due = $1", NOON)
        await reports.pause(connection, "weekly")
        assert (await reports.one(connection, "weekly")).is_paused
        after = await reports.resume(connection, "weekly")
        assert (after.is_paused, after.last_due, after.next_due) == (False, None, made.next_due)
        assert await reports.resume(connection, "weekly") == after


@pytest.mark.parametrize("what", ["one", "remove", "pause", "resume"])
async def test_an_unknown_name_is_told(what: str, database: str) -> None:
    """Each command on a report that there isn't says so and where to look."""
    async with connected(database) as connection:
        with pytest.raises(UnknownReport, match="there is no report 'x': `callhome report list` shows"):
            await getattr(reports, what)(connection, "x")


async def test_unsubscribing_is_for_good_and_may_be_repeated(database: str) -> None:
    """Who unsubscribes is noted once, also who was never on the list; of a removed report there is nothing to note."""
    async with connected(database) as connection:
        made = await reports.add(connection, draft())
        assert await reports.unsubscribe(connection, made.id, "a@example.com")
        first = (await reports.one(connection, "weekly")).recipients
        assert await reports.unsubscribe(connection, made.id, "a@example.com")
        assert (await reports.one(connection, "weekly")).recipients == first
        assert await reports.unsubscribe(connection, made.id, "z@example.com")
        assert await unsubscribed(connection) == ["a@example.com", "z@example.com"]
        await reports.remove(connection, "weekly")
        assert not await reports.unsubscribe(connection, made.id, "a@example.com")


async def unsubscribed(connection: Connection) -> list[str]:
    """Who has unsubscribed."""
    rows = await connection.fetch(
        "SELECT address FROM report_recipient WHERE unsubscribed_at IS NOT NULL ORDER BY 1"
    )
    return [row["address"] for row in rows]


async def test_unsubscribing_has_a_connection_of_its_own(database: str, unused_tcp_port: int) -> None:
    """The console's way to unsubscribe connects by itself, and raises one error where the database is away."""
    async with connected(database) as connection:
        made = await reports.add(connection, draft())
        assert await reports.unsubscriber(database)(made.id, "a@example.com")
        assert await unsubscribed(connection) == ["a@example.com"]
        await connection.execute("DROP TABLE report_recipient")
        with pytest.raises(StoreUnavailable, match=r"the database failed while a@example\.com unsubscribed"):
            await reports.unsubscriber(database)(made.id, "a@example.com")
    with pytest.raises(StoreUnavailable):
        await reports.unsubscriber(f"postgresql://127.0.0.1:{unused_tcp_port}/x")(made.id, "a@example.com")
