"""What people give for a release or a notice, checked field by field. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlsplit

from ..errors import UsageError

# As the fields of a ping, with which they are compared.
VERSION_CHARACTERS: Final = 64
# It travels in answers to pings, and people may have to type it.
URL_CHARACTERS: Final = 500
# Two or three sentences. schema.sql says the same.
TEXT_CHARACTERS: Final = 500
# What was given is quoted up to this length: enough to recognise it.
_QUOTED_CHARACTERS: Final = 80
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class InvalidField(UsageError):
    """The ``field`` of a release or a notice is not as ``expected``."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field = field
        self.expected = expected
        shown = value[:_QUOTED_CHARACTERS] if isinstance(value, str) else value
        super().__init__(f"{field}: {shown!r} can't be: expected {expected}")


def check_version(field: str, value: str) -> None:
    """Raise `InvalidField` unless it is a version, or another word such as a channel's name."""
    if not 0 < len(value) <= VERSION_CHARACTERS or not value.isprintable() or " " in value:
        raise InvalidField(field, value, f"1 to {VERSION_CHARACTERS} printable characters without blanks")


def check_url(field: str, value: str) -> None:
    """Raise `InvalidField` unless it is an absolute address of the web that every program can take as it is."""
    is_plain = len(value) <= URL_CHARACTERS and all("!" <= char <= "~" for char in value)
    if not is_plain or not _has_host(value):
        raise InvalidField(
            field,
            value,
            f"an address such as https://example.com/download: http or https, at most {URL_CHARACTERS} characters of "
            "ASCII, no blanks (other characters percent-encoded)",
        )


def _has_host(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that don't match, a port that is none
        return False


def check_text(field: str, value: str) -> None:
    """Raise `InvalidField` unless it is one line of text with something to read in it."""
    if not 0 < len(value) <= TEXT_CHARACTERS or not value.isprintable() or not value.strip():
        raise InvalidField(field, value, f"one line of 1 to {TEXT_CHARACTERS} printable characters")


def check_share(field: str, value: int) -> None:
    """Raise `InvalidField` unless it is a percentage."""
    if not 0 <= value <= 100:
        raise InvalidField(field, value, "a percentage from 0 (nobody) to 100 (all)")


def read_day(field: str, value: str) -> date:
    """Return the day that a text such as 2026-11-25 names. Raises `InvalidField`."""
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:  # the 30th of February
        pass
    raise InvalidField(field, value, "a day such as 2026-11-25")


def read_moment(field: str, value: str, is_end: bool = False) -> datetime:
    """Return the moment that a text names, in UTC: a day, or a day with a time of day and maybe a time zone.

    A day alone is its first moment, or with ``is_end`` the first after it; a time without a zone is UTC.
    Raises `InvalidField`.
    """
    try:
        if _DAY.fullmatch(value):
            midnight = datetime.combine(date.fromisoformat(value), time.min, UTC)
            return midnight + timedelta(days=1) if is_end else midnight
        if _DAY.match(value):  # other forms of ISO 8601 are read, but week dates and such surprise people
            moment = datetime.fromisoformat(value)
            return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidField(
        field, value, "a day such as 2026-11-25 or a moment such as 2026-11-25T18:00+01:00 (without: UTC)"
    )
