"""When a report is due: a cron expression in a time zone, and the days that each report covers. Pure.

Times of day follow the clock on the wall. One that a change to summer time skips is due at once after it; one that
comes twice when summer time ends is due the first time only (as in Debian's cron).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import UsageError
from .model import Period

_DAY: Final = timedelta(days=1)
# How far to look back for the last due, shortest first: that of each minute is found in 1,440 steps, and a yearly
# one in a few.
_LOOK_BACK_DAYS: Final = (1, 8, 32, 400, 366 * 9)
_EXPECTED: Final = (
    "expected five fields (minute, hour, day of the month, month, day of the week), such as '0 7 * * MON'"
)


class InvalidSchedule(UsageError):
    """A cron expression or a time zone is wrong; the message says which and what was expected."""


def check(schedule: str, zone: str) -> None:
    """Raise `InvalidSchedule` unless this is a cron expression of five fields that comes true, and a time zone."""
    next_due(schedule, zone, datetime.now(UTC))


def next_due(schedule: str, zone: str, after: datetime) -> datetime:
    """Return the first due after a moment, in UTC. Raises `InvalidSchedule`."""
    for due in _dues(schedule, zone, after):
        return due
    raise InvalidSchedule(f"the schedule {schedule!r} never comes true: {_EXPECTED}")


def last_due(schedule: str, zone: str, until: datetime) -> datetime:
    """Return the last due at or before a moment, in UTC; of a schedule that had none, that moment a day before.

    Raises `InvalidSchedule`.
    """
    for days in _LOOK_BACK_DAYS:
        found = None
        for due in _dues(schedule, zone, until - days * _DAY):
            if due > until:
                break
            found = due
        if found is not None:
            return found
    return until.astimezone(UTC) - _DAY


def period(due: datetime, before: datetime, days: int = 0) -> Period:
    """Return what a report covers: whole UTC days, from the day of the due before to the day before this due.

    So consecutive reports neither overlap nor leave a day out. At least one day: several reports of one day all
    cover the day before. With ``days`` it is so many, whenever the due before was.
    """
    last_day = due.astimezone(UTC).date() - _DAY
    if days:
        return Period(last_day - (days - 1) * _DAY, last_day)
    return Period(min(before.astimezone(UTC).date(), last_day), last_day)


def _dues(schedule: str, zone: str, after: datetime) -> Iterator[datetime]:
    """The dues after a moment, in UTC, strictly one after the other."""
    if len(schedule.split()) != 5:
        raise InvalidSchedule(f"{schedule!r} is no schedule: {_EXPECTED}")
    previous = after.astimezone(UTC)
    try:
        for due in CronSim(schedule, after.astimezone(_zone(zone))):
            # Cronsim counts on the wall's clock: in the hour that comes twice it may go back.
            if (moment := due.astimezone(UTC)) > previous:
                yield moment
                previous = moment
    except CronSimError as error:
        raise InvalidSchedule(f"{schedule!r} is no schedule ({str(error).lower()}): {_EXPECTED}") from error


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # no such zone; a folder; a path that leads out
        pass
    raise InvalidSchedule(
        f"{name!r} is no time zone: expected an IANA name such as Europe/Paris, America/New_York or UTC"
    )
