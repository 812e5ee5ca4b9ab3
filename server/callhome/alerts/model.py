"""An alert, what it watches for, and an event it tells of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

# What JSON has: it is kept in the database and sent to webhooks.
Details = Mapping[str, Any]
Channel = Literal["mail", "webhook"]


class Rule(StrEnum):
    """What an alert watches for; docs/alerts.md has each."""

    LICENSE_OVER = "license_over"
    FINDING_CONFIRMED = "finding_confirmed"
    RELEASE_ADOPTED = "release_adopted"
    RELEASE_SLOW = "release_slow"
    INSTALLS_CHANGED = "installs_changed"
    SILENCE = "silence"


class Kind(StrEnum):
    """What a message tells: an event of the rule, that there are more of them than anyone reads, or a test."""

    EVENT = "event"
    MORE = "more"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a rule; those that it doesn't have are 0 or empty."""

    percent: tuple[int, ...] = ()
    days: int = 0
    minutes: int = 0
    drop_percent: int = 0
    jump_percent: int = 0
    least: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """What is watched, and who is told. ``product`` is a key; None is each product, or all of them together."""

    id: int
    name: str
    rule: Rule
    product: str | None
    numbers: Numbers
    recipients: tuple[str, ...]
    webhook: str | None
    language: str
    cooldown_s: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell once: an alert never tells of the same ``name`` again. The cool-down goes by ``subject``."""

    name: str
    subject: str
    details: Details = field(default_factory=dict)
    kind: Kind = Kind.EVENT


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it is told: the same by mail and by webhook, and at each try."""

    alert: int
    alert_name: str
    rule: Rule
    language: str
    event: Event
    fired_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes; ``message_id`` is the same at each try, and different for each target."""

    channel: Channel
    address: str  # an e-mail address, or a URL
    message_id: str
