"""Subscriptions and mail jobs for tests: reports that are due, composed of one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from callhome.jobs.mails import MailJob
from callhome.reports.mailing import Mailing
from callhome.reports.model import UNSUBSCRIBE, Composed, Order
from callhome.reports.smtp import Sender
from callhome.reports.subscription import Draft
from callhome.settings import SmtpUrl
from callhome.store import reports
from callhome.store.reports import Subscription
from mailpeers import Peer

SECRET: Final = b"s" * 32
MAILING: Final = Mailing("callhome@example.com", "https://callhome.example.com", SECRET)
Connection = Any


def draft(name: str = "weekly", recipients: tuple[str, ...] = ("a@example.com",), **changed: Any) -> Draft:
    """A subscription to everything, each Monday at seven in Paris."""
    values: dict[str, Any] = {
        "products": (),
        "sections": ("usage",),
        "language": "en",
        "schedule": "0 7 * * MON",
        "time_zone": "Europe/Paris",
        **changed,
    }
    return Draft(name=name, recipients=recipients, **values)


async def due(
    connection: Connection, name: str = "weekly", recipients: tuple[str, ...] = ("a@example.com",)
) -> Subscription:
    """Make a subscription that is due now."""
    made = await reports.add(connection, draft(name, recipients))
    await connection.execute("UPDATE report SET next_due = now() WHERE id = $1", made.id)
    return made


async def one_line(_connection: Any, order: Order, _console_url: str | None) -> Composed:
    """A composer of one line, which reads nothing."""
    text = (
        f"{order.name}: {order.period.first_day} to {order.period.last_day}\n\nUnsubscribe: {UNSUBSCRIBE}\n"
    )
    html = f"<p>{order.name}</p><a href='{UNSUBSCRIBE}'>Unsubscribe</a>"
    return Composed(order.name, datetime.now(UTC), text, html, (), ())


@asynccontextmanager
async def mailing(
    dsn: str,
    url: SmtpUrl,
    *,
    composer: Any = one_line,
    command_s: float = 5.0,
    connections: int = 3,
    stop_s: float = 3.0,
) -> AsyncIterator[MailJob]:
    """A replica's mail job, with a sender of its own."""
    async with (
        Sender(url, ca=None, connections=connections, command_s=command_s) as sender,
        MailJob(dsn, sender, MAILING, composer=composer, stop_s=lambda: stop_s) as job,
    ):
        yield job


async def states(connection: Connection) -> dict[str, int]:
    """How many deliveries are in which state."""
    rows = await connection.fetch("SELECT state, count(*) AS count FROM delivery GROUP BY state")
    return {row["state"]: row["count"] for row in rows}


async def all_are(connection: Connection, state: str, count: int) -> bool:
    """Whether there are so many deliveries, all in this state."""
    return await states(connection) == {state: count}


async def hurry(connection: Connection) -> None:
    """Let no delivery wait any longer for its next try."""
    await connection.execute("UPDATE delivery SET next_try_at = now() WHERE state = 'waiting'")


def received(peer: Peer) -> Counter[str]:
    """How often each Message-ID arrived."""
    return Counter(mail.message_id for mail in peer.mails)
