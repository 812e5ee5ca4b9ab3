"""What became of reports: each run with its deliveries counted, and each delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from .connection import Connection

STATES: Final = ("waiting", "claimed", "sending", "sent", "failed", "uncertain")


@dataclass(frozen=True, slots=True)
class PastRun:
    """A report for one period; ``states`` counts its deliveries by state, without those that are 0.

    ``failure`` is why it could not be composed at the last of ``tries``, None where it was.
    """

    id: int
    report: str
    due: datetime
    first_day: date
    last_day: date
    subject: str | None
    composed_at: datetime | None
    tries: int
    failure: str | None
    states: dict[str, int]


@dataclass(frozen=True, slots=True)
class PastDelivery:
    """One mail to one recipient; ``outcome`` is what the mail server said last."""

    id: int
    report: str
    due: datetime
    address: str
    state: str
    tries: int
    next_try_at: datetime
    outcome: str | None
    sent_at: datetime | None
    message_id: str


async def runs(connection: Connection, report: str | None, limit: int) -> list[PastRun]:
    """Return the latest runs of a report, or of all, the latest first. Cancelling it changes nothing."""
    rows = await connection.fetch(
        """
        SELECT r.id, p.name AS report, r.due, r.first_day, r.last_day, r.subject, r.composed_at, r.tries, r.failure,
            ARRAY (
                SELECT (state, count(*)) FROM delivery d WHERE d.run = r.id GROUP BY state ORDER BY state
            ) AS states
        FROM report_run r JOIN report p ON p.id = r.report
        WHERE $1::text IS NULL OR p.name = $1
        ORDER BY r.due DESC, r.id DESC LIMIT $2
        """,
        report,
        limit,
    )
    return [PastRun(**{**row, "states": dict(tuple(each) for each in row["states"])}) for row in rows]


async def deliveries(
    connection: Connection, report: str | None, state: str | None, limit: int
) -> list[PastDelivery]:
    """Return the latest deliveries of a report, or of all, in a state, or in any. Cancelling it changes nothing."""
    rows = await connection.fetch(
        """
        SELECT d.id, p.name AS report, r.due, d.address, d.state, d.tries, d.next_try_at, d.outcome, d.sent_at,
            d.message_id
        FROM delivery d JOIN report_run r ON r.id = d.run JOIN report p ON p.id = r.report
        WHERE ($1::text IS NULL OR p.name = $1) AND ($2::text IS NULL OR d.state = $2)
        ORDER BY r.due DESC, d.id LIMIT $3
        """,
        report,
        state,
        limit,
    )
    return [PastDelivery(**row) for row in rows]
