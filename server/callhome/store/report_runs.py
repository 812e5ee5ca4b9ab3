"""Reports that are due: taken by one replica, composed once, one delivery for each recipient; and their history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from ..errors import UsageError
from ..reports import schedule
from ..reports.model import Order, Period
from .connection import Connection
from .deliveries import TRIES
from .reports import one

logger = logging.getLogger(__name__)

# Taken in one transaction; some hundred reports are due at seven on Mondays.
_TAKEN_AT_ONCE: Final = 50
# A schedule that can't be read any more (its time zone is gone, say) is looked at again after this.
_BROKEN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Run:
    """A report to be composed, claimed by us; ``tries`` counts this try too."""

    id: int
    tries: int
    report: int
    due: datetime
    order: Order


@dataclass(frozen=True, slots=True)
class Mail:
    """A delivery to be sent: to whom, and of which run and report (their ids).

    ``is_unsubscribed``: the recipient wants none of it any more.
    """

    id: int
    run: int
    report: int
    address: str
    message_id: str
    is_unsubscribed: bool


async def any_due(connection: Connection) -> bool:
    """Whether a report is due, or was and is not composed. Cancelling it changes nothing."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM report WHERE NOT is_paused AND next_due <= now()) "
            "OR EXISTS (SELECT FROM report_run WHERE composed_at IS NULL AND next_try_at <= now() AND tries < $1)",
            TRIES,
        )
    )


async def take_due(connection: Connection) -> int:
    """Take reports that are due: each becomes a run, and is due again when its schedule says so next. Return how many.

    Dues that nobody took in their time are made up by one run: the latest, whose period goes back to the last that
    was taken. Another replica takes others meanwhile. Cancelling it: done or not.
    """
    async with connection.transaction():
        rows = await connection.fetch(
            "SELECT id, name, schedule, time_zone, days, next_due, last_due, now() AS now FROM report "
            "WHERE NOT is_paused AND next_due <= now() ORDER BY next_due LIMIT $1 FOR UPDATE SKIP LOCKED",
            _TAKEN_AT_ONCE,
        )
        for row in rows:
            try:
                due, period, next_due = _planned(row)
            except schedule.InvalidSchedule as error:
                logger.error("report %r can't be planned: %s", row["name"], error)
                await connection.execute(
                    "UPDATE report SET next_due = $2 WHERE id = $1", row["id"], row["now"] + _BROKEN
                )
                continue
            await connection.execute(
                "INSERT INTO report_run (report, due, first_day, last_day) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (report, due) DO NOTHING",
                *(row["id"], due, period.first_day, period.last_day),
            )
            await connection.execute(
                "UPDATE report SET last_due = $2, next_due = $3 WHERE id = $1", row["id"], due, next_due
            )
    return len(rows)


async def order_now(connection: Connection, name: str, recipients: Sequence[str] | None) -> datetime:
    """Have a report sent now, for the time since its schedule's last due; return the due that it goes by.

    ``recipients`` are the only ones who get it; None for all. Its schedule goes on as if nothing were. Raises
    `UsageError` if one of them has unsubscribed, `UnknownReport`. Cancelling it: done or not.
    """
    async with connection.transaction():
        report = await one(connection, name)
        gone = {each.address for each in report.recipients if each.unsubscribed_at}
        if unsubscribed := sorted(gone.intersection(recipients or ())):
            raise UsageError(f"{unsubscribed[0]} has unsubscribed from {name!r} and gets nothing of it")
        now: datetime = await connection.fetchval("SELECT now()")
        period = schedule.period(now, schedule.last_due(report.schedule, report.time_zone, now), report.days)
        await connection.execute(
            "INSERT INTO report_run (report, due, first_day, last_day, recipients) VALUES ($1, $2, $3, $4, $5)",
            *(report.id, now, period.first_day, period.last_day, recipients),
        )
    return now.astimezone(UTC)


async def take_run(connection: Connection, lease_s: float) -> Run | None:
    """Claim a run that is to be composed, for so many seconds. Cancelled, it may be claimed until those are over."""
    row = await connection.fetchrow(
        """
        WITH one AS (
            SELECT id FROM report_run WHERE composed_at IS NULL AND next_try_at <= now() AND tries < $1
            ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED
        )
        UPDATE report_run r
        SET tries = r.tries + 1, next_try_at = now() + $2::float8 * interval '1 second'
        FROM one, report p WHERE r.id = one.id AND p.id = r.report
        RETURNING r.id, r.tries, r.report, r.due, r.first_day, r.last_day, p.name, p.products, p.sections, p.language
        """,
        TRIES,
        lease_s,
    )
    if row is None:
        return None
    period = Period(row["first_day"], row["last_day"])
    order = Order(row["name"], tuple(row["products"]), tuple(row["sections"]), row["language"], period)
    return Run(row["id"], row["tries"], row["report"], row["due"], order)


async def keep_composed(
    connection: Connection, run: Run, subject: str, content: bytes, composed_at: datetime, *,
    message_id: Callable[[str], str],
) -> int | None:  # fmt: skip
    """Keep what was composed, with a delivery for each recipient who is subscribed now; return how many.

    ``message_id`` gives that of an address. None if another replica was faster. Cancelling it: done or not.
    """
    async with connection.transaction():
        kept = await connection.fetchrow(
            "UPDATE report_run SET subject = $3, content = $4, composed_at = $5, failure = NULL "
            "WHERE id = $1 AND tries = $2 AND composed_at IS NULL RETURNING recipients",
            *(run.id, run.tries, subject, content, composed_at),
        )
        if kept is None:
            return None
        rows = await connection.fetch(
            "SELECT address, unsubscribed_at FROM report_recipient WHERE report = $1", run.report
        )
        gone = {row["address"] for row in rows if row["unsubscribed_at"]}
        wanted = [row["address"] for row in rows] if kept["recipients"] is None else kept["recipients"]
        found = [address for address in wanted if address not in gone]
        await connection.execute(
            "INSERT INTO delivery (run, address, message_id) SELECT $1, * FROM unnest($2::text[], $3::text[])",
            *(run.id, found, [message_id(address) for address in found]),
        )
    return len(found)


async def keep_failure(connection: Connection, run: Run, failure: str, pause_s: float) -> None:
    """Keep why a run could not be composed; it is tried again after so many seconds. Cancelling it: done or not."""
    await connection.execute(
        "UPDATE report_run SET failure = $3, next_try_at = now() + $4::float8 * interval '1 second' "
        "WHERE id = $1 AND tries = $2 AND composed_at IS NULL",
        *(run.id, run.tries, failure, pause_s),
    )


async def mails(connection: Connection, ids: Sequence[int]) -> list[Mail]:
    """Return the deliveries of these ids that there are still. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT d.id, d.run, r.report, d.address, d.message_id, "
        "p.unsubscribed_at IS NOT NULL AS is_unsubscribed FROM delivery d JOIN report_run r ON r.id = d.run "
        "LEFT JOIN report_recipient p ON p.report = r.report AND p.address = d.address "
        "WHERE d.id = ANY ($1::bigint[])",
        ids,
    )
    return [Mail(**row) for row in rows]


async def content(connection: Connection, run: int) -> bytes | None:
    """Return what was composed; None where it is kept no longer. Cancelling it changes nothing."""
    found: bytes | None = await connection.fetchval("SELECT content FROM report_run WHERE id = $1", run)
    return found


async def forget_contents(connection: Connection) -> None:
    """Empty the content of reports composed 90 days ago; their history stays. Cancelling it: done or not."""
    await connection.execute(
        "UPDATE report_run SET content = NULL "
        "WHERE content IS NOT NULL AND composed_at < now() - interval '90 days'"
    )


def _planned(row: asyncpg.Record) -> tuple[datetime, Period, datetime]:
    """The due to make, its period, and the next one."""
    cron, zone, now = row["schedule"], row["time_zone"], row["now"]
    due = max(row["next_due"], schedule.last_due(cron, zone, now))
    before = row["last_due"] or schedule.last_due(cron, zone, due - timedelta(seconds=1))
    return due, schedule.period(due, before, row["days"]), schedule.next_due(cron, zone, now)
