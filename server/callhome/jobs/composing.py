"""Composes the reports that are due: each by one replica, once, and then there is a mail for each recipient."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Self

import asyncpg

from ..errors import CallhomeError
from ..persistent import Persistent, cut_after
from ..reports import compose
from ..reports.mailing import Mailing
from ..reports.message import Prepared, pack
from ..reports.model import Composed, Order
from ..store import figures, report_runs
from ..store.connection import Connection, connect
from ..store.deliveries import TRIES, pause_s
from ..store.report_runs import Run

logger = logging.getLogger(__name__)

# How soon after it is due a report is found: nobody waits for a mail to the second.
_LOOK_S: Final = 2.0
# Reading the figures of five million installs takes a second or two; a busy database may take much longer.
_COMPOSE_S: Final = 300.0
# Taking what is due, and 100,000 deliveries for one report.
_STEP_S: Final = 60.0
# Contents are kept for 90 days, give or take an hour.
_FORGET_S: Final = 3_600.0

# Reads the figures of an order and composes it.
Composer = Callable[[Connection, Order, str | None], Awaitable[Composed]]


async def composed(connection: Connection, order: Order, console_url: str | None) -> Composed:
    """Read the figures of a report and compose it, off the event loop. Cancelled, a thread of it may still end."""
    found = await figures.read(connection, order)
    return await asyncio.to_thread(compose.compose, order, found, console_url)


class Composing:
    """An async context manager: entered, it composes what falls due, on a connection of its own."""

    def __init__(self, dsn: str, mailing: Mailing, composer: Composer = composed) -> None:
        self._mailing = mailing
        self._composer = composer
        self._forget_due_s = 0.0
        self.session = Persistent("reports", partial(connect, dsn, "reports"), self._work)

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; what was not composed is so by another replica, or later. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _work(self, connection: Connection) -> None:
        while True:
            with cut_after(connection, _STEP_S):
                taken = await report_runs.take_due(connection)
                run = await report_runs.take_run(connection, _COMPOSE_S + _STEP_S)
                await self._forget(connection)
            self.session.went_well()
            if run is not None:
                await self._make(connection, run)
            elif not taken:
                await asyncio.sleep(_LOOK_S)

    async def _make(self, connection: Connection, run: Run) -> None:
        mailing = self._mailing
        begun_s = time.monotonic()
        try:
            with cut_after(connection, _COMPOSE_S):
                report = await self._composer(connection, run.order, mailing.console_url)
            # What can't become a mail is found here, before there is anything to send.
            await asyncio.to_thread(Prepared, report)
            content = pack(report)
        except CallhomeError as error:
            await self._fail(connection, run, str(error))
            return
        except (OSError, asyncpg.InterfaceError):  # the connection: another one is made
            raise
        except Exception as error:  # task root: a report that can't be composed must not stop the others
            if connection.is_closed():
                raise
            logger.exception("report %r can't be composed", run.order.name)
            await self._fail(connection, run, f"{type(error).__name__}: {error}")
            return
        with cut_after(connection, _STEP_S):
            count = await report_runs.keep_composed(
                connection, run, report.subject, content, report.composed_at,
                message_id=partial(mailing.message_id, run.report, run.due),
            )  # fmt: skip
        if count is not None:
            name, took_s = run.order.name, time.monotonic() - begun_s
            logger.info("report %r is composed for %d recipients in %.1f s", name, count, took_s)

    async def _fail(self, connection: Connection, run: Run, failure: str) -> None:
        after_s = pause_s(run.tries)
        what = "is given up" if run.tries >= TRIES else f"is tried again in {after_s:.0f} s"
        logger.error("report %r of %s %s: %s", run.order.name, run.due.isoformat(), what, failure)
        with cut_after(connection, _STEP_S):
            await report_runs.keep_failure(connection, run, failure, after_s)

    async def _forget(self, connection: Connection) -> None:
        if time.monotonic() >= self._forget_due_s:
            await report_runs.forget_contents(connection)
            self._forget_due_s = time.monotonic() + _FORGET_S
