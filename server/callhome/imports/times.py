"""The times of an older service's rows, in whatever form it kept them, to milliseconds. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# No program that calls home is older: a time before it is a wrong clock, and each month of it costs a partition.
EARLIEST: Final = "2000-01-01"
# What a format may be, beside a pattern of strptime.
ISO, UNIX, UNIX_MS = "iso", "unix", "unix_ms"
# Rows of one second follow one another: looking a text up takes a tenth of the time of reading it.
# Bound: so many × some 250 bytes = 1 MB.
_REPEATED: Final = 4_096
# Python reads more spellings of ISO 8601 than an export has; the length keeps what is none from being looked at long.
_ISO_CHARACTERS: Final = 40
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")

TimeReader = Callable[[Any], int]


def reader(format: str = ISO, zone: str = "UTC", earliest: str = EARLIEST) -> TimeReader:
    """Return what reads a time: Unix time in milliseconds of a cell or a JSON value.

    ``format`` is ``iso`` (ISO 8601), ``unix`` (seconds), ``unix_ms``, or a pattern of strptime; ``zone`` the IANA name
    of the zone of times that name none. Of a time that comes twice, when clocks are set back, the first is taken.
    What it returns raises ``ValueError`` with what was expected; so does this itself, naming the key at fault.
    """
    try:
        tz = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"zone: expected the IANA name of a time zone, such as Europe/Paris, got {zone!r}"
        ) from None
    try:
        least_ms = _ms(datetime.fromisoformat(earliest), UTC)
    except ValueError:
        raise ValueError(f"earliest: expected a day such as {EARLIEST}, got {earliest!r}") from None
    if format not in (ISO, UNIX, UNIX_MS) and "%" not in format:
        raise ValueError(
            f"format: expected {ISO}, {UNIX}, {UNIX_MS} or a pattern such as %d.%m.%Y, got {format!r}"
        )
    read = lru_cache(_REPEATED, typed=True)(_reading(format, tz))

    def bounded(value: Any) -> int:
        try:
            ms = read(value)
        except (ValueError, TypeError, OverflowError):
            raise ValueError(f"expected a time ({format})") from None
        if ms < least_ms:
            raise ValueError(f"expected a time from {earliest} on")
        return ms

    return bounded


def moment(text: str) -> int:
    """Return the Unix time in milliseconds of a time in ISO 8601, UTC unless it names a zone; raise ``ValueError``."""
    return _ms(datetime.fromisoformat(text), UTC)


def _reading(format: str, tz: ZoneInfo) -> Callable[[Any], int]:
    if format == UNIX:
        return lambda value: _number(value, 1000)
    if format == UNIX_MS:
        return lambda value: _number(value, 1)
    if format == ISO:
        return lambda value: _ms(_iso(value), tz)
    return lambda value: _ms(datetime.strptime(value, format), tz)  # noqa: DTZ007 - the zone is put in behind it


def _iso(text: str) -> datetime:
    if len(text) > _ISO_CHARACTERS:
        raise ValueError
    return datetime.fromisoformat(text)


def _ms(time: datetime, tz: Any) -> int:
    if time.tzinfo is None:
        time = time.replace(tzinfo=tz)
    # As integers: a float of seconds is a microsecond off now and then, which would be another millisecond.
    return (time - _EPOCH) // _MS


def _number(value: Any, unit_ms: int) -> int:
    """Return the milliseconds of a number of units, cut; of a text digit by digit, since a float would round."""
    text = repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise ValueError
    whole, _, part = text.partition(".")
    digits = (part + "000")[:3]
    return (
        int(whole) if unit_ms == 1 else int(whole) * 1000 + (int(digits) if not whole.startswith("-") else 0)
    )
