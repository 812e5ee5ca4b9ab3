"""What alerts fire for: recorded with all that is to be sent in one transaction, so that each is told of once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from ..alerts.model import Alert, Event, Kind, Message, Rule, Target
from ..alerts.parameters import InvalidAlert
from .alerts import COLUMNS, alert_of
from .connection import Connection

logger = logging.getLogger(__name__)

ALERT_LOCK: Final = 0x63616C6C_00000004


@dataclass(frozen=True, slots=True)
class Watched:
    """An alert at a look: what it remembers, and the subjects of which it has told within its cool-down."""

    alert: Alert
    state: dict[str, Any]
    cooling: frozenset[str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message to one target: ``state`` is as in ``delivery.state``."""

    channel: str
    target: str
    state: str
    tries: int
    outcome: str | None
    next_try_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fired:
    """An event that was fired for, and who was told; nobody where one message told of many."""

    message: Message
    deliveries: tuple[Delivery, ...]


async def try_lock(connection: Connection) -> bool:
    """Whether it is this transaction's turn to look; its end gives the turn back. Cancelling it: roll back."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", ALERT_LOCK))


async def watched(connection: Connection, rules: Collection[Rule], now: datetime) -> list[Watched]:
    """Return the alerts of these rules, in the order of their numbers; none is removed before the transaction's end.

    Cancelling it: roll back. One whose numbers this version of callhome doesn't take is left out, and logged.
    """
    rows = await connection.fetch(
        f"SELECT {COLUMNS}, a.state, ("  # noqa: S608 - constants
        "  SELECT coalesce(array_agg(DISTINCT e.subject), '{}') FROM alert_event e WHERE e.alert = a.id "
        "  AND e.fired_at > $2::timestamptz - a.cooldown_s * interval '1 second' AND e.kind = 'event'"
        ") AS cooling FROM alert a LEFT JOIN product p ON p.id = a.product "
        "WHERE a.rule = ANY ($1::text[]) ORDER BY a.id FOR KEY SHARE OF a",
        [rule.value for rule in rules],
        now,
    )
    found = []
    for row in rows:
        try:
            alert = alert_of(row)
        except InvalidAlert as error:
            logger.error("the alert %r is not looked at: %s", row["name"], error)
            continue
        found.append(Watched(alert, orjson.loads(row["state"]), frozenset(row["cooling"])))
    return found


async def keep_state(connection: Connection, alert: Alert, state: Any) -> None:
    """Remember something for the next look. Cancelling it: roll back."""
    await connection.execute(
        "UPDATE alert SET state = $2 WHERE id = $1", alert.id, orjson.dumps(state).decode()
    )


async def fire(
    connection: Connection, alert: Alert, told: Sequence[Event], recorded: Sequence[Event], now: datetime
) -> list[Event]:
    """Record events that were not yet, and messages for those to tell; return the latter. Cancelling it: roll back."""
    await _insert(connection, alert, recorded, now)
    new = await _insert(connection, alert, told, now)
    targets = [("mail", address) for address in alert.recipients]
    if alert.webhook is not None:
        targets.append(("webhook", alert.webhook))
    await connection.execute(
        "INSERT INTO alert_delivery (event, channel, target, message_id) "
        "SELECT e, t.channel, t.target, 'msg_' || replace(gen_random_uuid()::text, '-', '') "
        "FROM unnest($1::bigint[]) e CROSS JOIN unnest($2::text[], $3::text[]) t (channel, target) ORDER BY e",
        list(new.values()),
        [channel for channel, _ in targets],
        [target for _, target in targets],
    )
    return [event for event in told if event.name in new]


async def _insert(
    connection: Connection, alert: Alert, events: Sequence[Event], now: datetime
) -> dict[str, int]:
    """Record events; return the numbers of those that were not there, by their names."""
    if not events:
        return {}
    rows = await connection.fetch(
        "INSERT INTO alert_event (alert, event, subject, kind, details, fired_at) "
        "SELECT $1, event, subject, kind, details, $6 "
        "FROM unnest($2::text[], $3::text[], $4::text[], $5::jsonb[]) AS e (event, subject, kind, details) "
        "ON CONFLICT (alert, event) DO NOTHING RETURNING id, event",
        alert.id,
        [event.name for event in events],
        [event.subject for event in events],
        [event.kind.value for event in events],
        [orjson.dumps(event.details).decode() for event in events],
        now,
    )
    return {row["event"]: row["id"] for row in rows}


async def delivery(connection: Connection, id: int) -> tuple[Message, Target] | None:
    """Return what a delivery is to take to whom; None if its alert was removed. Cancelling it changes nothing."""
    row = await connection.fetchrow(
        f"{_MESSAGE}, d.channel, d.target, d.message_id {_FROM} WHERE d.id = $1", id
    )
    return None if row is None else (_message(row), Target(row["channel"], row["target"], row["message_id"]))


async def history(connection: Connection, alert: str | None, count: int) -> list[Fired]:
    """Return what was fired for (by one alert, or all), the latest first. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "WITH latest AS ("  # noqa: S608 - constants
        "  SELECT e.* FROM alert_event e JOIN alert a ON a.id = e.alert WHERE $1::text IS NULL OR a.name = $1 "
        "  ORDER BY e.fired_at DESC, e.id DESC LIMIT $2"
        f") {_MESSAGE}, e.id AS number, d.channel, d.target, d.state, d.tries, d.outcome, d.next_try_at, d.sent_at "
        "FROM latest e JOIN alert a ON a.id = e.alert LEFT JOIN alert_delivery d ON d.event = e.id "
        "ORDER BY e.fired_at DESC, e.id DESC, d.id",
        alert,
        count,
    )
    found: dict[int, tuple[Message, list[Delivery]]] = {}
    for row in rows:
        _, deliveries = found.setdefault(row["number"], (_message(row), []))
        if row["channel"] is not None:
            names = ("channel", "target", "state", "tries", "outcome", "next_try_at", "sent_at")
            deliveries.append(Delivery(*(row[name] for name in names)))
    return [Fired(message, tuple(deliveries)) for message, deliveries in found.values()]


_MESSAGE: Final = (
    "SELECT a.id AS alert, a.name AS alert_name, a.rule, a.language, "
    "e.event, e.subject, e.kind, e.details, e.fired_at"
)
_FROM: Final = "FROM alert_delivery d JOIN alert_event e ON e.id = d.event JOIN alert a ON a.id = e.alert"


def _message(row: Any) -> Message:
    event = Event(row["event"], row["subject"], orjson.loads(row["details"]), Kind(row["kind"]))
    return Message(
        row["alert"], row["alert_name"], Rule(row["rule"]), row["language"], event, row["fired_at"]
    )
