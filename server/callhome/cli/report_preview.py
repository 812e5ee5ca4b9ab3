"""The mail of a report as it would be sent now, and writing it and its parts to files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import UsageError

if TYPE_CHECKING:
    from ..reports.mailing import Mailing
    from ..reports.model import Composed
    from ..store.connection import Connection

# Where no sender is configured yet, a preview shows this one.
_SENDER: Final = "callhome@localhost"


@dataclass(frozen=True, slots=True)
class Preview:
    """A mail to one recipient: all of it, its text and HTML for that recipient, and what they were made of."""

    message: bytes
    text: str
    html: str
    composed: Composed


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command line says."""

    name: str
    due: str | None
    recipient: str | None


def preview_of(
    name: str, due: str | None, recipient: str | None, config: Path | None, database_url: str | None
) -> Preview:
    """Return the mail of a report; ``due`` is ISO 8601. Raises `UsageError` and what the database's errors are."""
    from ..reports.mailing import Mailing
    from ..settings import Settings, load

    settings = load(Settings, {"database_url": database_url}, config=config)
    secret = settings.secret.get_secret_value().encode()
    mailing = Mailing(settings.mail_from or _SENDER, settings.console_url, secret)
    return asyncio.run(_previewed(_Wanted(name, due, recipient), mailing, settings.database_url.dsn))


def write(preview: Preview, place: Path) -> Iterator[Path]:
    """Write the mail to a file ending in .eml, or with all its parts into a folder; yield each file's path.

    That folder is made, those above it are not: who mistyped one of them shall know. Raises `UsageError` where that
    can't be done.
    """
    if not place.parent.is_dir():
        raise UsageError(
            f"{place} can't be written: {place.parent} is no folder; make it, or name one that is there"
        )
    parts: dict[Path, bytes] = {}
    if place.suffix.lower() == ".eml":
        parts[place] = preview.message
    else:
        parts[place / "mail.eml"] = preview.message
        parts[place / "mail.txt"] = preview.text.encode()
        parts[place / "mail.html"] = _with_files(preview).encode()
        parts.update({place / f"{_stem(each.cid)}.png": each.content for each in preview.composed.images})
        parts.update({place / each.name: each.content for each in preview.composed.attachments})
    try:
        if place not in parts:
            place.mkdir(exist_ok=True)
        for path, content in parts.items():
            path.write_bytes(content)
            yield path
    except OSError as error:
        raise UsageError(f"{error.filename or place} can't be written: {error.strerror}") from error


async def _previewed(wanted: _Wanted, mailing: Mailing, dsn: str) -> Preview:
    """On a connection of its own. Cancelling it closes that."""
    from ..store.connection import connect

    connection = await connect(dsn, "report")
    try:
        return await _on(connection, wanted, mailing)
    finally:
        await connection.close()


async def _on(connection: Connection, wanted: _Wanted, mailing: Mailing) -> Preview:
    """As `jobs.composing` and `jobs.mails` do it for a run. Cancelling it leaves nothing behind."""
    from ..addresses import checked
    from ..jobs.composing import composed
    from ..reports import schedule
    from ..reports.message import Prepared
    from ..reports.model import UNSUBSCRIBE, Order
    from ..store import reports

    report = await reports.one(connection, wanted.name)
    due = _moment(wanted.due) or await reports.now(connection)
    last = schedule.last_due(report.schedule, report.time_zone, due)
    if last == due:
        last = schedule.last_due(report.schedule, report.time_zone, due - timedelta(seconds=1))
    period = schedule.period(due, last, report.days)
    order = Order(report.name, report.products, report.sections, report.language, period)
    made = await composed(connection, order, mailing.console_url)
    subscribed = [each.address for each in report.recipients if each.unsubscribed_at is None]
    address = checked(wanted.recipient) if wanted.recipient else (subscribed or [mailing.sender])[0]
    envelope = mailing.envelope(report.id, address, mailing.message_id(report.id, due, address))
    own = envelope.unsubscribe_url or ""
    return Preview(
        Prepared(made).message(envelope),
        made.text.replace(UNSUBSCRIBE, own),
        made.html.replace(UNSUBSCRIBE, own),
        made,
    )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--due {text!r} is no time: expected one such as 2026-11-30T07:00+01:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _with_files(preview: Preview) -> str:
    """The HTML with its pictures where they are written, in place of within the mail."""
    html = preview.html
    for image in preview.composed.images:
        html = html.replace(f"cid:{image.cid}", f"{_stem(image.cid)}.png")
    return html


def _stem(cid: str) -> str:
    return cid.partition("@")[0]
