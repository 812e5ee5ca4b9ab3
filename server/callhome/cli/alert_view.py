"""How alerts and what they have told look to people and programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from ..alerts.model import Alert, Event, Kind, Message, Rule, Target

if TYPE_CHECKING:
    from ..store.alert_events import Delivery, Fired

_UNITS_S: Final = (("d", 86_400), ("h", 3_600), ("m", 60))
# In place of target, state, tries and answer, where one message told of many events.
_NOBODY: Final = ("", "told with others", "", "")


def told(alert: Alert) -> str:
    """What an alert watches and whom it tells, as a sentence without its end."""
    watched = alert.product or ("all products together" if alert.rule is Rule.SILENCE else "every product")
    numbers = _numbers(alert)
    targets = [*alert.recipients, *([alert.webhook] if alert.webhook else [])]
    return f"{alert.rule} of {watched}{f' ({numbers})' if numbers else ''}, to {', '.join(targets)}"


def row(alert: Alert) -> list[str]:
    """An alert as a line of a table."""
    return [
        alert.name,
        alert.rule.value,
        alert.product or "",
        _numbers(alert),
        " ".join(alert.recipients),
        alert.webhook or "",
        _time(alert.cooldown_s),
        alert.language,
    ]


def record(alert: Alert) -> dict[str, object]:
    """An alert for programs; of its numbers those that its rule has."""
    return {
        "name": alert.name,
        "rule": alert.rule.value,
        "product": alert.product,
        "numbers": {name: list(each) if isinstance(each, tuple) else each for name, each in _given(alert)},
        "recipients": list(alert.recipients),
        "webhook": alert.webhook,
        "cooldown_s": alert.cooldown_s,
        "language": alert.language,
        "created_at": alert.created_at.isoformat(),
    }


def event_rows(fired: Fired) -> list[list[str]]:
    """What was told, as a line of a table for each target."""
    from ..alerts.telling import Telling

    begin = [
        f"{fired.message.fired_at:%Y-%m-%d %H:%M}",
        fired.message.alert_name,
        Telling(fired.message).sentence,
    ]
    if not fired.deliveries:
        return [[*begin, *_NOBODY]]
    return [
        [*begin, each.target, each.state, str(each.tries), each.outcome or ""] for each in fired.deliveries
    ]


def event_record(fired: Fired) -> dict[str, object]:
    """What was told, for programs."""
    from ..alerts.telling import Telling

    message = fired.message
    return {
        "alert": message.alert_name,
        "rule": message.rule.value,
        "event": message.event.name,
        "subject": message.event.subject,
        "kind": message.event.kind.value,
        "fired_at": message.fired_at.isoformat(),
        "text": Telling(message).sentence,
        "details": dict(message.event.details),
        "deliveries": [_delivery(each) for each in fired.deliveries],
    }


def test_message(alert: Alert, now: datetime) -> Message:
    """The message that tells of nothing but that it arrives."""
    event = Event(f"test at {now.isoformat()}", "test", kind=Kind.TEST)
    return Message(alert.id, alert.name, alert.rule, alert.language, event, now)


def test_targets(alert: Alert) -> list[Target]:
    """All whom an alert tells, each with an id that no other message has."""
    mails = [Target("mail", address, _new_id()) for address in alert.recipients]
    return mails if alert.webhook is None else [*mails, Target("webhook", alert.webhook, _new_id())]


def _delivery(one: Delivery) -> dict[str, object]:
    return {
        "channel": one.channel,
        "target": one.target,
        "state": one.state,
        "tries": one.tries,
        "answer": one.outcome,
        "next_try_at": one.next_try_at.isoformat() if one.state == "waiting" else None,
        "sent_at": one.sent_at.isoformat() if one.sent_at else None,
    }


def _given(alert: Alert) -> list[tuple[str, int | tuple[int, ...]]]:
    return [(name, value) for name, value in asdict(alert.numbers).items() if value]


def _numbers(alert: Alert) -> str:
    return " ".join(
        f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in _given(alert)
    )


def _time(seconds: int) -> str:
    for unit, unit_s in _UNITS_S:
        if seconds and seconds % unit_s == 0:
            return f"{seconds // unit_s}{unit}"
    return f"{seconds}s" if seconds else "0"


def _new_id() -> str:
    return f"msg_{uuid4().hex}"
