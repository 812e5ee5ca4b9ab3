"""Messages of alerts for tests: one of each kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from callhome.alerts.model import Event, Kind, Message, Rule

FIRED_AT: Final = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
_ES: Final = {"product": "es", "product_name": "Example Server"}
_LICENSE: Final = {**_ES, "license": 7, "last4": "7K2F", "customer": "Example Inc."}
_FINDING: Final = {
    "finding": 12,
    "finding_rule": "over_seats",
    "cause": "",
    "install": None,
    "measure": 14,
    "allowed": 10,
}
_RELEASE: Final = {
    **_ES,
    "version": "5.10",
    "day": "2026-11-01",
    "offered_percent": 100,
    "installs": 5_123,
    "total": 10_001,
}

DETAILS: Final[dict[str, tuple[Rule, Kind, dict[str, Any]]]] = {
    "license_over": (Rule.LICENSE_OVER, Kind.EVENT, {**_LICENSE, "seats_used": 1_200, "allowed": 1_000, "since": ""}),
    "license_without_end": (Rule.LICENSE_OVER, Kind.EVENT, {**_LICENSE, "last4": None, "seats_used": 2, "allowed": 1}),
    "finding": (Rule.FINDING_CONFIRMED, Kind.EVENT, {**_LICENSE, **_FINDING}),
    "finding_cause": (Rule.FINDING_CONFIRMED, Kind.EVENT, {**_LICENSE, **_FINDING, "cause": "shared_key"}),
    "clone": (
        Rule.FINDING_CONFIRMED,
        Kind.EVENT,
        {
            **_LICENSE, **_FINDING, "finding_rule": "cloned_install", "license": None, "customer": None,
            "install": "ab12",
        },
    ),
    "adopted": (Rule.RELEASE_ADOPTED, Kind.EVENT, {**_RELEASE, "percent": 50}),
    "slow": (Rule.RELEASE_SLOW, Kind.EVENT, {**_RELEASE, "percent": 80, "days": 14}),
    "slow_day": (Rule.RELEASE_SLOW, Kind.EVENT, {**_RELEASE, "percent": 80, "days": 1, "offered_percent": 10}),
    "dropped": (Rule.INSTALLS_CHANGED, Kind.EVENT, {**_ES, "day": "2026-11-24", "installs": 400, "usual": 1_000.0}),
    "jumped": (Rule.INSTALLS_CHANGED, Kind.EVENT, {**_ES, "day": "2026-11-24", "installs": 2_500, "usual": 1_000.5}),
    "from_nothing": (Rule.INSTALLS_CHANGED, Kind.EVENT, {**_ES, "day": "2026-11-24", "installs": 100, "usual": 0}),
    "silence": (Rule.SILENCE, Kind.EVENT, {**_ES, "minutes": 30, "last": "2026-11-25T00:30:00+00:00"}),
    "any_silence": (
        Rule.SILENCE,
        Kind.EVENT,
        {"product": None, "product_name": None, "minutes": 1, "last": "2026-11-25T00:59:00+00:00"},
    ),
    "more": (Rule.LICENSE_OVER, Kind.MORE, {"count": 480, "subjects": ["license 20", "license 21"]}),
    "one_more": (Rule.LICENSE_OVER, Kind.MORE, {"count": 1, "subjects": ["license 20"]}),
    "test": (Rule.SILENCE, Kind.TEST, {}),
}  # fmt: skip


def message(of: str, language: str = "en", **changed: Any) -> Message:
    """The message ``of`` that name in `DETAILS`, with some details changed."""
    rule, kind, details = DETAILS[of]
    event = Event(f"event {of}", "subject", {**details, **changed}, kind)
    return Message(3, "watch", rule, language, event, FIRED_AT)
