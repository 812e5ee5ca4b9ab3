"""The rollup: folds committed batches into activity, installs, daily summaries and live counters, each ping once.

One transaction takes batches off the queue and changes every summary by the difference their pings make, so a
summary is at any moment what a recount of the folded pings would give. One rollup runs at a time, over
all replicas: an advisory lock says whose turn it is, and the one that ends with a crash leaves nothing half done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Final
from uuid import UUID

import asyncpg

from . import partitions, scratch
from .connection import Connection
from .live import BUILDS_SHOWN, LIVE_CHANNEL, Row, change_messages, recount_message
from .statements import sql

ROLLUP_LOCK: Final = 0x63616C6C_00000002
# One fold's share: large enough that the statements' fixed cost is small, small enough to take well under a second.
FOLD_PINGS: Final = 20_000
FOLD_BATCHES: Final = 1_000

_DAY_STEPS: Final = (
    "fold_change", "fold_flip", "fold_late", "fold_again", "fold_activity_new", "fold_activity_again",
    "fold_next", "fold_next_apply", "fold_install_new", "fold_install_again",
)  # fmt: skip
_SUMMARIES: Final = (
    "fold_usage", "fold_usage_empty", "fold_upgrade", "fold_upgrade_empty", "fold_again_sum", "fold_again_empty",
    "fold_seen",
)  # fmt: skip

# A fold looks up some thousands of rows by key in tables of any size. The scratch tables have no statistics, and a plan
# made from a wrong guess, or kept from when a table was empty, reads a whole table for each row: index look-ups are
# never far from the best.
PLANNER: Final = (
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off; "
    "SET LOCAL enable_material = off; SET LOCAL work_mem = '64MB'"
)


@dataclass(frozen=True, slots=True)
class Folded:
    """What one fold did. ``more`` says that batches were left for the next."""

    pings: int
    batches: int
    more: bool


async def prepare(connection: Connection) -> None:
    """Make the scratch tables of a connection that is to fold. Cancelling it: close the connection."""
    for file in (
        files(__package__).joinpath("sql").iterdir()
    ):  # now: later there may be no file descriptor left
        sql(file.name.removesuffix(".sql"))
    # The scratch tables of a full fold take 10 MB, more than the default: a third of the time went into spilling.
    await connection.execute("SET temp_buffers = '32MB'")
    await connection.execute(sql("fold_tables"))


async def fold(connection: Connection) -> Folded | None:
    """Fold the oldest batches, in one transaction; None where another replica is at it.

    Raises what asyncpg raises. Cancelling it rolls it back: the batches stay in the queue.
    """
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", ROLLUP_LOCK):
            return None
        await connection.execute(PLANNER)
        queue = await connection.fetch(
            "SELECT id, first_id, last_id, received - duplicates AS stored FROM batch ORDER BY id LIMIT $1",
            FOLD_BATCHES,
        )
        claimed = _share(queue)
        distributed = bool(claimed) and await scratch.is_distributed(connection)
        if distributed:
            # All of the queue is looked at only where what stands first has not arrived: it must not hold up the rest.
            claimed = await _arrived(connection, claimed) or _share(await _arrived(connection, queue))
        pings = sum(row["stored"] for row in claimed)
        if pings:
            await _fold_pings(connection, claimed, distributed)
        if claimed:
            await connection.execute(
                "DELETE FROM batch WHERE id = ANY ($1::uuid[])", [row["id"] for row in claimed]
            )
    return Folded(pings, len(claimed), more=len(claimed) < len(queue) or len(queue) == FOLD_BATCHES)


def _share(batches: list[asyncpg.Record]) -> list[asyncpg.Record]:
    """The first of the batches, as many as one fold takes."""
    pings, share = 0, list[asyncpg.Record]()
    for row in batches:
        if share and pings + row["stored"] > FOLD_PINGS:
            break
        pings += row["stored"]
        share.append(row)
    return share


async def _arrived(connection: Connection, batches: list[asyncpg.Record]) -> list[asyncpg.Record]:
    """Leave out the batches of which not all pings are to be seen yet: the next fold is soon enough."""
    await connection.execute(scratch.PLANNER)
    first_id, last_id = min(row["first_id"] for row in batches), max(row["last_id"] for row in batches)
    rows = await connection.fetch(sql("fold_arrived"), [row["id"] for row in batches], first_id, last_id)
    seen = {row["batch"]: row["pings"] for row in rows}
    return [row for row in batches if seen.get(row["id"], 0) == row["stored"]]


async def _fold_pings(connection: Connection, batches: list[asyncpg.Record], distributed: bool) -> None:
    ids, first_ids, last_ids = ([row[name] for row in batches] for name in ("id", "first_id", "last_id"))
    bounds = min(first_ids), max(last_ids)
    if distributed:
        await fold_fresh(connection, "fold_fresh_distributed", ids, *bounds)
    else:
        await fold_fresh(connection, "fold_fresh", ids, first_ids, last_ids, *bounds)


async def fold_fresh(connection: Connection, fresh: str, *given: object) -> None:
    """Fold the pings that the statement ``fresh`` takes, on a prepared connection, in the caller's transaction.

    It holds `ROLLUP_LOCK` and has `PLANNER` set. ``given`` are parameters of the statement; the last, whether there are
    concurrent licenses, comes behind them.
    Cancelling it: roll back.
    """
    today = await connection.fetchval("SELECT today FROM live_seq")
    licensed, by_hour = await connection.fetchrow(sql("fold_licenses")) or (False, False)
    if await scratch.is_distributed(connection):
        await connection.execute(scratch.PLANNER)
        async with scratch.at_workers(connection, by_hour):
            await _fold_days(connection, fresh, *given, by_hour)
    else:
        await _fold_days(connection, fresh, *given, by_hour)
    for name in _SUMMARIES:
        await connection.execute(sql(name))
    if licensed:
        await connection.execute(sql("fold_touched"))
    if by_hour:
        await connection.execute(sql("fold_hour"))
    await connection.execute(sql("fold_series"), today)
    countries = [tuple(row) for row in await connection.fetch(sql("fold_live_count"), today)]
    await connection.execute(sql("fold_top_before"), BUILDS_SHOWN)
    await connection.execute(sql("fold_live_build"), today)
    builds = [tuple(row) for row in await connection.fetch(sql("fold_top_changed"), BUILDS_SHOWN)]
    if countries or builds:
        await _announce(connection, today, countries, builds)


async def _fold_days(connection: Connection, fresh: str, *given: object) -> None:
    await connection.execute(sql(fresh), *given)
    days = await connection.fetch(
        "SELECT day, bool_or(several) AS several FROM fold_fresh GROUP BY day ORDER BY day"
    )
    await partitions.ensure_activity(connection, [row["day"] for row in days])
    for row in days:  # in order, so that each day finds the day before it in place
        if row["several"]:
            await connection.execute(sql("fold_flip_several"), row["day"])
        await _fold_day(connection, row["day"])


async def _fold_day(connection: Connection, day: date) -> None:
    for name in _DAY_STEPS:
        await connection.execute(sql(name), day)


async def _announce(connection: Connection, today: date, countries: list[Row], builds: list[Row]) -> None:
    seq = await connection.fetchval("UPDATE live_seq SET seq = seq + 1 RETURNING seq")
    for message in change_messages(seq, today, countries, builds):
        await connection.execute("SELECT pg_notify($1, $2)", LIVE_CHANNEL, message)


async def recount(connection: Connection, today: date) -> bool:
    """Recount the live counters if a new UTC day has begun, in one transaction; return whether they stand for it now.

    False says that another replica is folding: try again. Cancelling it rolls it back.
    """
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", ROLLUP_LOCK):
            return False
        if await connection.fetchval("SELECT today >= $1 FROM live_seq", today):
            return True
        if await scratch.is_distributed(connection):
            await scratch.settle(connection)
        await connection.execute("DELETE FROM live_count")
        await connection.execute("DELETE FROM live_build")
        await connection.execute(sql("recount_live_count"), today)
        await connection.execute(sql("recount_live_build"), today)
        seq = await connection.fetchval("UPDATE live_seq SET seq = seq + 1, today = $1 RETURNING seq", today)
        await connection.execute("SELECT pg_notify($1, $2)", LIVE_CHANNEL, recount_message(seq))
    return True


async def oldest_batch(connection: Connection) -> UUID | None:
    """Return the id of the oldest batch that waits to be folded: its time tells the rollup's lag.

    Cancelling it changes nothing.
    """
    found: UUID | None = await connection.fetchval("SELECT id FROM batch ORDER BY id LIMIT 1")
    return found


async def waiting(connection: Connection) -> tuple[int, int]:
    """Return how many batches, and pings in them, wait to be folded. Cancelling it changes nothing."""
    row = await connection.fetchrow(
        "SELECT count(*) AS batches, coalesce(sum(received - duplicates), 0)::bigint AS pings FROM batch"
    )
    assert row is not None
    return row["batches"], row["pings"]
