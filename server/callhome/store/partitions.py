"""Partitions: ``ping`` by the day within the id, ``activity`` by the month; made ahead, dropped by retention."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from .connection import Connection
from .ids import DAYS_BACK
from .scratch import is_distributed
from .statements import sql

DAYS_AHEAD: Final = 30
_NAME: Final = "%Y%m%d"


def first_id(day: date) -> UUID:
    """Return the smallest UUIDv7 of a UTC day."""
    ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    return UUID(int=ms << 80)


def _day(partition: str) -> date:
    return date.fromisoformat(partition[-8:])


def _month(day: date) -> date:
    return day.replace(day=1)


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


async def _existing(connection: Connection, table: str) -> set[str]:
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass",
        table,
    )
    return {row["relname"] for row in rows}


async def ensure(connection: Connection, today: date) -> list[str]:
    """Make the partitions of 90 days back to 30 days ahead that are missing; return their names.

    Older ids lie in ``ping_default``.

    It runs in the caller's transaction, who holds the schema lock. Cancelling it leaves that to roll back.
    """
    days = [today + timedelta(days=offset) for offset in range(-DAYS_BACK, DAYS_AHEAD + 1)]
    return await ensure_ping(connection, days) + await ensure_activity(connection, days)


async def ensure_ping(connection: Connection, days: Iterable[date]) -> list[str]:
    """Make the partitions of ``ping`` that these days need; return their names. As `ensure`, cancelling it too."""
    there = await _existing(connection, "ping")
    made = []
    for day in days:
        name = f"ping_{day:{_NAME}}"
        if name not in there:
            await _make_ping_day(connection, name, day)
            made.append(name)
    return made


async def ensure_activity(connection: Connection, days: Iterable[date]) -> list[str]:
    """Make the partitions of ``activity`` that these days need; return their names. Cancelling it: as `ensure`."""
    there = await _existing(connection, "activity")
    made = []
    for month in sorted({_month(day) for day in days}):
        name = f"activity_{month:{_NAME}}"
        if name not in there:
            await connection.execute(
                f"CREATE TABLE {name} PARTITION OF activity "
                f"FOR VALUES FROM ('{month}') TO ('{_next_month(month)}') WITH (fillfactor = 70)"
            )
            made.append(name)
    return made


async def _make_ping_day(connection: Connection, name: str, day: date) -> None:
    low, high = first_id(day), first_id(day + timedelta(days=1))
    if await is_distributed(connection):
        await _make_distributed_day(connection, name, low, high)
        return
    # Attached rather than created in place: ATTACH lets writers of the other partitions go on.
    await connection.execute(f"CREATE TABLE {name} (LIKE ping INCLUDING DEFAULTS INCLUDING INDEXES)")
    # The lock that ATTACH takes anyway: taken only after the DELETE, it could meet a writer in a deadlock.
    await connection.execute("LOCK TABLE ping_default IN ACCESS EXCLUSIVE MODE")
    await connection.execute(
        "WITH moved AS (DELETE FROM ping_default WHERE id >= $1 AND id < $2 RETURNING *) "  # noqa: S608 - our name
        f"INSERT INTO {name} SELECT * FROM moved",
        low,
        high,
    )
    await connection.execute(
        f"ALTER TABLE ping ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')"
    )


async def _make_distributed_day(connection: Connection, name: str, low: UUID, high: UUID) -> None:
    """The same where `ping` is distributed: the rows that move are taken out and put back, each to its worker."""
    await connection.execute("LOCK TABLE ping_default IN ACCESS EXCLUSIVE MODE")
    moved = f"moved_{name}"
    await connection.execute(
        f"CREATE TEMP TABLE {moved} ON COMMIT DROP AS SELECT * FROM ping_default WHERE id >= '{low}' AND id < '{high}'"  # noqa: S608
    )
    some = await connection.fetchval(f"SELECT EXISTS (SELECT FROM {moved})")  # noqa: S608 - our name
    if some:
        await connection.execute("DELETE FROM ping_default WHERE id >= $1 AND id < $2", low, high)
    await connection.execute(f"CREATE TABLE {name} PARTITION OF ping FOR VALUES FROM ('{low}') TO ('{high}')")
    if some:
        await connection.execute(f"INSERT INTO {name} SELECT * FROM {moved}")  # noqa: S608 - our name


def keep_from(today: date, retention_days: int) -> date:
    """Return the first UTC day whose pings are kept singly."""
    return today - timedelta(days=retention_days)


async def drop_old(connection: Connection, today: date, retention_days: int) -> list[str]:
    """Drop what is older than the retention; return the dropped partitions' names.

    Whole partitions go, each in a transaction of its own, since dropping one locks all of ``ping`` for a moment. Of
    ``ping_default``, whose ids say nothing of the day, the rows go. What waits to be folded stays until it is, and
    ``activity`` as long as an import needs it: the next time is soon enough. Raises ``LockNotAvailableError`` where
    somebody reads them. Cancelling it leaves the rest for the next time.
    """
    keep = keep_from(today, retention_days)
    days = await _existing(connection, "ping") - {"ping_default"}
    months = await _existing(connection, "activity")
    old = [name for name in sorted(days) if _day(name) < keep and await _drop_ping_day(connection, name)]
    for name in sorted(months):
        if _next_month(_day(name)) <= keep and await _drop_month(connection, name):
            old.append(name)
    await connection.execute(
        "DELETE FROM ping_default WHERE day < $1 AND batch NOT IN (SELECT id FROM batch)",
        keep,
    )
    return old


async def _drop_ping_day(connection: Connection, name: str) -> bool:
    """Drop a day of ``ping`` unless pings of it wait to be folded."""
    async with connection.transaction():
        # As DROP does, the table before its partition: then nobody is about to write, and what was written is seen.
        await connection.execute("LOCK TABLE ONLY ping IN ACCESS EXCLUSIVE MODE")
        if await connection.fetchval("SELECT to_regclass($1) IS NULL", name):  # another replica was first
            return False
        waits = f"SELECT EXISTS (SELECT 1 FROM {name} WHERE batch IN (SELECT id FROM batch))"  # noqa: S608 - our name
        if await connection.fetchval(waits):
            return False
        await connection.execute(f"DROP TABLE {name}")
    return True


async def _drop_month(connection: Connection, name: str) -> bool:
    """Drop a month of ``activity`` unless an import needs it."""
    async with connection.transaction():
        # No import can begin before this is done: a row is its first word.
        await connection.execute("LOCK TABLE import_run IN SHARE MODE")
        if await connection.fetchval(sql("import_is_needed")):
            return False
        await connection.execute(f"DROP TABLE IF EXISTS {name}")
    return True
