"""All jobs of a replica, as its settings say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ..listeners import lifetimes
from ..persistent import Persistent
from ..reports.mailing import Mailing
from ..reports.smtp import Sender
from ..settings import Settings
from .access import AccessJob
from .alerts import AlertJob
from .courier import Courier
from .licenses import LicenseJob
from .mails import MailJob
from .series import SeriesJob


@dataclass(frozen=True, slots=True)
class Running:
    """What the jobs work with: their connections to the database, and what delivers their mails and messages."""

    sessions: list[Persistent]
    couriers: list[Courier]


@asynccontextmanager
async def jobs(
    settings: Settings, *, stop_s: Callable[[], float], is_crowded: Callable[[], bool]
) -> AsyncIterator[Running]:
    """Do a replica's part of all jobs while entered; nothing on the way of a ping waits for them.

    ``stop_s`` tells how many seconds may be spent at the end on mails whose last line is sent; ``is_crowded``
    whether clients stand in line, so that what can wait does. Cancelling the entering begins nothing, cancelling the
    leaving cuts what is left.
    """
    dsn, secret = settings.database_url.dsn, settings.secret.get_secret_value().encode()
    async with AsyncExitStack() as stack:
        sender = _sender(settings)
        if sender is not None:
            await stack.enter_async_context(sender)
        mails = await stack.enter_async_context(MailJob(dsn, sender, _mailing(settings), stop_s=stop_s))
        alerts = await stack.enter_async_context(
            AlertJob(
                dsn,
                secret=secret,
                sender=sender,
                mail_from=settings.mail_from,
                console_url=settings.console_url,
                stop_s=stop_s,
            )
        )
        licenses = await stack.enter_async_context(
            LicenseJob(dsn, retention_days=settings.retention_days, is_crowded=is_crowded)
        )
        series = await stack.enter_async_context(SeriesJob(dsn, is_crowded=is_crowded))
        access = await stack.enter_async_context(
            AccessJob(dsn, audit_days=settings.audit_days, lifetimes=lifetimes(settings))
        )
        couriers = [*mails.couriers, *alerts.couriers]
        messages = [courier.session for courier in alerts.couriers]
        yield Running(
            [*mails.sessions, alerts.session, *messages, licenses.session, series.session, access.session],
            couriers,
        )


def _sender(settings: Settings) -> Sender | None:
    """What takes mails to the mail server, for all that send some; None where there is no server."""
    if settings.smtp_url is None:
        return None
    return Sender(
        settings.smtp_url,
        ca=settings.smtp_ca,
        connections=settings.smtp_connections,
        command_s=settings.smtp_s,
    )


def _mailing(settings: Settings) -> Mailing:
    secret = settings.secret.get_secret_value().encode()
    return Mailing(settings.mail_from or "", settings.console_url, secret)
