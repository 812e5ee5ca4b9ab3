"""How licenses are used, day by day: counted by PostgreSQL, and only where something has changed.

The rollup puts the licenses whose activity changed into ``license_touched``; `take` takes some out and `count` counts
them, in one transaction, so that whoever ends halfway leaves them for the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from . import scratch
from .connection import Connection
from .statements import sql

USAGE_LOCK: Final = 0x63616C6C_00000007
# Flips are evidence of the last weeks, looked at within 30 days; a season is for people who look back.
FLIP_DAYS: Final = 90
# How late a ping may be, and how far ahead of its time: what it touches must still have its hours.
_LATE_DAYS: Final = 92

# All activity of the licenses at hand is sorted: 200 licenses of 50 installs and 60 days are 64 MB of it.
_PLANNER: Final = "SET LOCAL work_mem = '128MB'; SET LOCAL enable_seqscan = off"


@dataclass(frozen=True, slots=True)
class Touched:
    """A license to count anew from a UTC day on; ``window_days`` and ``by_hour`` (concurrent) say how."""

    license: int
    day: date
    window_days: int
    by_hour: bool


async def is_alone(connection: Connection) -> bool:
    """Return whether no other replica counts licenses: then none will until the caller's transaction ends.

    Cancelling it: roll back.
    """
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", USAGE_LOCK))


async def utc_day(connection: Connection) -> date:
    """Return the UTC day by PostgreSQL's clock. Cancelling it changes nothing."""
    day: date = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    return day


async def touch_due(connection: Connection, today: date) -> None:
    """Have licenses counted whose last count is of an earlier day: windows move on though nothing is used.

    Those are licenses with seats in use, or with a finding that isn't closed. Cancelling it: done or not.
    """
    await connection.execute(sql("license_due"), today)


async def take(connection: Connection, today: date, most: int) -> list[Touched]:
    """Take at most so many licenses out of the queue, within the caller's transaction; return them.

    What lies ahead of ``today`` waits for its day. Cancelling it: roll back.
    """
    rows = await connection.fetch(sql("license_take"), today, most)
    if rows and await scratch.is_distributed(connection):
        await scratch.settle(connection)  # what these were touched for may be under way on a worker
    return [Touched(**row) for row in rows]


async def count(connection: Connection, touched: Sequence[Touched], today: date) -> None:
    """Count the usage of these licenses up to the UTC day ``today``, within the caller's transaction.

    Cancelling it: roll back.
    """
    await connection.execute(_PLANNER)
    named = [one for one in touched if not one.by_hour]
    if named:
        oldest = min(one.day - timedelta(days=2 * one.window_days) for one in named)
        await connection.execute(sql("license_usage_named"), *_columns(named), today, oldest)
    concurrent = defaultdict[int, list[Touched]](list)
    for one in touched:
        if one.by_hour:
            concurrent[one.window_days].append(one)
    for window_days, some in concurrent.items():  # a frame's width is one for a whole statement
        before = timedelta(days=window_days - 1)
        oldest = min(one.day for one in some) - before
        await connection.execute(sql("license_usage_concurrent"), *_columns(some), today, oldest, before)
    await connection.execute(sql("license_state"), *_columns(touched), today)


def _columns(touched: Sequence[Touched]) -> tuple[list[int], list[date]]:
    return [one.license for one in touched], [one.day for one in touched]


async def prune(connection: Connection, today: date, retention_days: int) -> None:
    """Delete hours that no window needs any more, and old flips. Cancelling it leaves the rest for the next time."""
    await connection.execute(sql("license_hour_prune"), today, retention_days, _LATE_DAYS)
    await connection.execute(
        "DELETE FROM flip WHERE at < ($1::date - $2::integer)::timestamp AT TIME ZONE 'UTC'", today, FLIP_DAYS
    )
