"""The sentences of the alerts in one language: `texts_en` and `texts_fr` hold them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .model import Kind, Rule


@dataclass(frozen=True, slots=True)
class Said:
    """``head`` stands in the subject, ``sentence`` has the numbers. ``hint`` says what to look at, then `command` does.

    A text with ``|`` has two forms, for one and for several of the number ``n``.
    """

    head: str
    sentence: str
    hint: str


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts of a language."""

    rules: Mapping[Rule, Said]
    any_silence: Said  # no ping of any product
    more: Said
    test: Said
    at: str  # a day and a time of it, in UTC
    license: str
    license_without_end: str
    install: str
    offered: str  # of a release that not all are offered
    dropped: str
    jumped: str
    from_nothing: str
    console: str
    why: str  # this message


# What to look at next, as a command that shows it; a name in braces is one of the event's details.
COMMANDS: Final[Mapping[Rule | Kind, str]] = MappingProxyType(
    {
        Rule.LICENSE_OVER: "callhome license list",
        Rule.FINDING_CONFIRMED: "callhome findings show {finding}",
        Rule.RELEASE_ADOPTED: "callhome release list {product}",
        Rule.RELEASE_SLOW: "callhome release list {product}",
        Rule.INSTALLS_CHANGED: "callhome watch --once",
        Rule.SILENCE: "callhome watch --once",
        Kind.MORE: "callhome alert history",
        Kind.TEST: "callhome alert list",
    }
)
