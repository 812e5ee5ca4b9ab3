"""`callhome.store.alert_events`: what fires is recorded once with all that is to be sent, and can be looked up."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from callhome.alerts.model import Event, Kind, Rule, Target
from callhome.store import alert_events, alerts
from running import connected
from watched import NOW, alert

ONE, TWO = Event("one", "s1", {"n": 1, "text": "é\N{NO-BREAK SPACE}"}), Event("two", "s2")


async def test_an_event_fires_once(database: str) -> None:
    """An event of a name that was there is not told again; another one beside it is, to each target."""
    async with connected(database) as connection:
        made = await alert(
            connection, Rule.SILENCE, recipients=("a@example.com", "b@example.com"), webhook="https://x.y/"
        )
        assert await alert_events.fire(connection, made, [ONE], [], NOW) == [ONE]
        assert await alert_events.fire(connection, made, [ONE, TWO], [], NOW) == [TWO]
        assert await alert_events.fire(connection, made, [], [ONE, TWO], NOW) == []
        rows = await connection.fetch("SELECT channel, target, message_id FROM alert_delivery ORDER BY id")
        assert [(row["channel"], row["target"]) for row in rows] == 2 * [
            ("mail", "a@example.com"),
            ("mail", "b@example.com"),
            ("webhook", "https://x.y/"),
        ]
        assert len({row["message_id"] for row in rows}) == 6


async def test_two_alerts_fire_for_the_same(database: str) -> None:
    """Names are those of one alert: another one tells of the same event as well."""
    async with connected(database) as connection:
        for name in ("a", "b"):
            made = await alert(connection, Rule.SILENCE, name)
            assert await alert_events.fire(connection, made, [ONE], [], NOW) == [ONE]


async def test_a_delivery_has_all_that_is_told(database: str) -> None:
    """From a delivery follow the message, as it was recorded, and its target."""
    async with connected(database) as connection:
        made = await alert(connection, Rule.SILENCE, "é", language="fr")
        await alert_events.fire(connection, made, [ONE], [], NOW)
        id_, message_id = await connection.fetchrow("SELECT id, message_id FROM alert_delivery")
        found = await alert_events.delivery(connection, id_)
        assert found is not None
        message, target = found
        assert (message.alert, message.alert_name, message.rule) == (made.id, "é", Rule.SILENCE)
        assert (message.event, message.language, message.fired_at) == (ONE, "fr", NOW)
        assert target == Target("mail", "a@example.com", message_id)
        assert await alert_events.delivery(connection, id_ + 1) is None


async def test_subjects_cool_down(database: str) -> None:
    """A subject cools as long as the alert says, counted from when it fired last; recorded events count as well."""
    async with connected(database) as connection:
        made = await alert(connection, Rule.SILENCE, cooldown_s=60)
        await alert_events.fire(connection, made, [ONE, Event("more", "all", kind=Kind.MORE)], [TWO], NOW)
        for seconds, cooling in ((59, {"s1", "s2"}), (60, set[str]())):
            (found,) = await alert_events.watched(
                connection, [Rule.SILENCE], NOW + timedelta(seconds=seconds)
            )
            assert found.cooling == cooling
        assert await alert_events.watched(connection, [Rule.LICENSE_OVER], NOW) == []


async def test_a_state_is_remembered(database: str) -> None:
    """What a rule remembers is there at the next look."""
    async with connected(database) as connection:
        made = await alert(connection, Rule.SILENCE)
        (found,) = await alert_events.watched(connection, [Rule.SILENCE], NOW)
        assert found.state == {}
        state = {"told": {"es": "é"}, "list": [1, [2]]}
        await alert_events.keep_state(connection, made, state)
        (found,) = await alert_events.watched(connection, [Rule.SILENCE], NOW)
        assert found.state == state


async def test_the_history_has_the_latest_first(database: str) -> None:
    """Each event with what became of each message; those that one message told of have none of their own."""
    async with connected(database) as connection:
        first = await alert(connection, Rule.SILENCE, "first", recipients=("b@example.com", "a@example.com"))
        second = await alert(connection, Rule.LICENSE_OVER, "second")
        await alert_events.fire(connection, first, [ONE], [], NOW)
        await alert_events.fire(connection, second, [], [TWO], NOW + timedelta(seconds=1))
        await connection.execute(
            "UPDATE alert_delivery SET state = 'failed', tries = 3, outcome = '550 no' WHERE target LIKE 'b%'"
        )
        latest, before = await alert_events.history(connection, None, 10)
        assert (latest.message.alert_name, latest.deliveries) == ("second", ())
        assert [(each.target, each.state, each.tries, each.outcome) for each in before.deliveries] == [
            ("b@example.com", "failed", 3, "550 no"),
            ("a@example.com", "waiting", 0, None),
        ]
        assert await alert_events.history(connection, "first", 10) == [before]
        assert await alert_events.history(connection, None, 1) == [latest]
        assert await alert_events.history(connection, "third", 10) == []


async def test_a_turn_ends_with_its_transaction(database: str) -> None:
    """While one transaction has the turn no other gets it, and the end of a connection gives it back."""
    async with connected(database) as one, connected(database) as other:
        transaction = one.transaction()
        await transaction.start()
        assert await alert_events.try_lock(one)
        async with other.transaction():
            assert not await alert_events.try_lock(other)
        await transaction.rollback()
        async with other.transaction():
            assert await alert_events.try_lock(other)


async def test_an_alert_is_not_removed_while_it_is_looked_at(database: str) -> None:
    """Whoever removes an alert waits for the look that is under way, and then all of it is gone."""
    async with connected(database) as looking, connected(database) as removing:
        made = await alert(looking, Rule.SILENCE)
        async with looking.transaction():
            await alert_events.watched(looking, [Rule.SILENCE], NOW)
            await removing.execute("SET lock_timeout = 20")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await alerts.remove(removing, "watch")
            assert await alert_events.fire(looking, made, [ONE], [], NOW) == [ONE]
        await alerts.remove(removing, "watch")
        assert await looking.fetchval("SELECT count(*) FROM alert_event") == 0
