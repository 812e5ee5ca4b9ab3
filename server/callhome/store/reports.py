"""Subscriptions to summary mails: who gets which report, of which products, when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from ..errors import UsageError
from ..persistent import cut_after
from ..reports import schedule
from ..reports.subscription import Draft, checked
from .connection import Connection, StoreUnavailable, connect

# To write one row takes milliseconds, and a mail program waits for the answer.
_UNSUBSCRIBE_S = 10.0


class UnknownReport(UsageError):
    """There is no report of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no report {name!r}: `callhome report list` shows those that there are")


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets a report, or unsubscribed from it and gets nothing since."""

    address: str
    unsubscribed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """A report that is sent regularly; ``products`` are keys, none for all of them."""

    id: int
    name: str
    products: tuple[str, ...]
    sections: tuple[str, ...]
    language: str
    schedule: str
    time_zone: str
    days: int
    is_paused: bool
    next_due: datetime
    last_due: datetime | None
    created_at: datetime
    recipients: tuple[Recipient, ...]


async def add(connection: Connection, draft: Draft) -> Subscription:
    """Make a subscription; it is due for the first time when its schedule says so next.

    Raises `UsageError` naming what is wrong, also where there is one of that name. Cancelling it: done or not.
    """
    draft = checked(draft)
    async with connection.transaction():
        await _check_products(connection, draft.products)
        try:
            id = await connection.fetchval(
                "INSERT INTO report (name, products, sections, language, schedule, time_zone, days, next_due) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
                *(
                    draft.name,
                    draft.products,
                    draft.sections,
                    draft.language,
                    draft.schedule,
                    draft.time_zone,
                    draft.days,
                ),
                schedule.next_due(draft.schedule, draft.time_zone, await now(connection)),
            )
        except asyncpg.UniqueViolationError:
            raise UsageError(
                f"there is a report {draft.name!r} already: `callhome report change` changes it"
            ) from None
        await _add_recipients(connection, id, draft.recipients)
        return await one(connection, draft.name)


async def change(
    connection: Connection, name: str, changed: Callable[[Draft], Draft], *, dropped: Sequence[str] = ()
) -> Subscription:
    """Change what ``changed`` makes another of (but the name), then take ``dropped`` off the recipients.

    Recipients are added; who has unsubscribed stays so unless dropped and added again. What is due next follows the
    schedule. Raises `UsageError`. Cancelling it: done or not.
    """
    async with connection.transaction():
        await connection.execute("SELECT FROM report WHERE name = $1 FOR UPDATE", name)
        before = await one(connection, name)
        draft = checked(changed(_draft(before)))
        await _check_products(connection, draft.products)
        next_due = before.next_due
        if (draft.schedule, draft.time_zone) != (before.schedule, before.time_zone):
            next_due = schedule.next_due(draft.schedule, draft.time_zone, await now(connection))
        await connection.execute(
            "UPDATE report SET products = $2, sections = $3, language = $4, schedule = $5, time_zone = $6, "
            "next_due = $7, days = $8 WHERE id = $1",
            *(before.id, draft.products, draft.sections, draft.language, draft.schedule, draft.time_zone),
            *(next_due, draft.days),
        )
        await _add_recipients(connection, before.id, draft.recipients)
        await connection.execute(
            "DELETE FROM report_recipient WHERE report = $1 AND address = ANY ($2::text[])",
            before.id,
            dropped,
        )
        after = await one(connection, name)
        if not after.recipients:
            raise UsageError(f"{name!r} would have no recipient: `callhome report remove` removes it")
        return after


async def list_all(connection: Connection) -> list[Subscription]:
    """Return the subscriptions in the order of their names. Cancelling it changes nothing."""
    rows = await connection.fetch(f"{_READ} ORDER BY name")
    return [_subscription(row) for row in rows]


async def one(connection: Connection, name: str) -> Subscription:
    """Return a subscription. Raises `UnknownReport`. Cancelling it changes nothing."""
    row = await connection.fetchrow(f"{_READ} WHERE name = $1", name)
    if row is None:
        raise UnknownReport(name)
    return _subscription(row)


async def now(connection: Connection) -> datetime:
    """Return the database's time, by which reports are due. Cancelling it changes nothing."""
    moment: datetime = await connection.fetchval("SELECT now()")
    return moment


async def remove(connection: Connection, name: str) -> None:
    """Remove a subscription with its history; what waits is not sent.

    Raises `UnknownReport`. Cancelling it: done or not.
    """
    if await connection.fetchval("DELETE FROM report WHERE name = $1 RETURNING id", name) is None:
        raise UnknownReport(name)


async def pause(connection: Connection, name: str) -> None:
    """Let it fall due no more; what was due is still sent. Raises `UnknownReport`. Cancelling it: done or not."""
    if (
        await connection.fetchval("UPDATE report SET is_paused = true WHERE name = $1 RETURNING id", name)
        is None
    ):
        raise UnknownReport(name)


async def resume(connection: Connection, name: str) -> Subscription:
    """Let it fall due again, next time for a usual period; the pause is left out.

    Raises `UnknownReport`. Cancelling it: done or not.
    """
    async with connection.transaction():
        report = await one(connection, name)
        if report.is_paused:
            await connection.execute(
                "UPDATE report SET is_paused = false, last_due = NULL, next_due = $2 WHERE id = $1",
                report.id,
                schedule.next_due(report.schedule, report.time_zone, await now(connection)),
            )
        return await one(connection, name)


async def unsubscribe(connection: Connection, report: int, address: str) -> bool:
    """Send this report (its id) to this address no more, nor what waits; False if there is no such report any more.

    It may be repeated. Cancelling it: done or not.
    """
    async with connection.transaction():
        known = await connection.fetchval(
            "INSERT INTO report_recipient (report, address, unsubscribed_at) "
            "SELECT id, $2, now() FROM report WHERE id = $1 "
            "ON CONFLICT (report, address) DO UPDATE "
            "SET unsubscribed_at = coalesce(report_recipient.unsubscribed_at, now()) RETURNING report",
            report,
            address,
        )
        await connection.execute(
            "UPDATE delivery d SET state = 'failed', outcome = 'the recipient has unsubscribed', changed_at = now() "
            "FROM report_run r WHERE r.id = d.run AND r.report = $1 AND d.address = $2 AND d.state = 'waiting'",
            report,
            address,
        )
    return known is not None


def unsubscriber(dsn: str) -> Callable[[int, str], Awaitable[bool]]:
    """Return `unsubscribe` on a connection of its own each time: it is called seldom.

    The callable raises `StoreUnavailable`.
    """

    async def on_own_connection(report: int, address: str) -> bool:
        connection = await connect(dsn, "unsubscribe")
        try:
            with cut_after(connection, _UNSUBSCRIBE_S):
                return await unsubscribe(connection, report, address)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StoreUnavailable(f"the database failed while {address} unsubscribed: {error}") from error
        finally:
            connection.terminate()

    return on_own_connection


_READ = """
SELECT id, name, products, sections, language, schedule, time_zone, days, is_paused, next_due, last_due, created_at,
    (
        SELECT coalesce(array_agg((address, unsubscribed_at) ORDER BY address), '{}')
        FROM report_recipient WHERE report = report.id
    ) AS recipients
FROM report
"""


def _subscription(row: asyncpg.Record) -> Subscription:
    values = dict(row)
    for name in ("products", "sections"):
        values[name] = tuple(values[name])
    values["recipients"] = tuple(Recipient(*each) for each in values["recipients"])
    return Subscription(**values)


def _draft(report: Subscription) -> Draft:
    names = (each.address for each in report.recipients)
    return Draft(
        *(report.name, report.products, report.sections, report.language, report.schedule, report.time_zone),
        recipients=tuple(names),
        days=report.days,
    )


async def _check_products(connection: Connection, keys: Sequence[str]) -> None:
    rows = await connection.fetch("SELECT key FROM product WHERE key = ANY ($1::text[])", keys)
    if unknown := sorted(set(keys) - {row["key"] for row in rows}):
        raise UsageError(f"{unknown[0]!r} is no registered product: `callhome product list` shows them")


async def _add_recipients(connection: Connection, report: int, addresses: Sequence[str]) -> None:
    await connection.execute(
        "INSERT INTO report_recipient (report, address) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING",
        report,
        addresses,
    )
