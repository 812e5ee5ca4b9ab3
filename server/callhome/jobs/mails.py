"""Summary mails: composed when they are due, and sent to each recipient once, whatever replica is killed meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, Self

from ..persistent import Persistent, cut_after
from ..reports.mailing import Mailing
from ..reports.message import Prepared, unpack
from ..reports.outcomes import Outcome, Refused
from ..reports.smtp import Sender
from ..store import report_runs
from ..store.connection import Connection, connect
from ..store.deliveries import Claim, Queue
from .composing import Composer, Composing, composed
from .courier import Bounds, Courier
from .desk import Desk

logger = logging.getLogger(__name__)

# Reports that are due at the same moment are sent one after the other, but for those at the seams. Each may have some
# MB of pictures and tables.
_PREPARED: Final = 4
# Without a mail server: how often to look whether somebody would have got a mail.
_UNSENT_LOOK_S: Final = 60.0
_QUERY_S: Final = 10.0


class _Contents:
    """The reports that are being sent, ready for a recipient's name: ``_PREPARED`` of them at most."""

    def __init__(self) -> None:
        self._prepared: OrderedDict[int, Prepared] = OrderedDict()
        self._turn = asyncio.Lock()

    async def of(self, desk: Desk, run: int) -> Prepared | None:
        """A run's content; None where it is kept no longer. Raises what the desk does, and `InvalidMessage`."""
        async with self._turn:
            if run in self._prepared:
                self._prepared.move_to_end(run)
                return self._prepared[run]
            packed = await desk.use(partial(report_runs.content, run=run))
            if packed is None:
                return None
            self._prepared[run] = prepared = await asyncio.to_thread(lambda: Prepared(unpack(packed)))
            while len(self._prepared) > _PREPARED:
                self._prepared.popitem(last=False)
            return prepared


class MailJob:
    """One replica's part in sending summary mails. An async context manager.

    ``sender`` is None where no mail server is configured: then nothing is claimed, and it is told once that a report
    was due. ``composer`` reads the figures of an order and composes it. Once entered, it works with ``couriers`` and
    over ``sessions``.
    """

    def __init__(
        self,
        dsn: str,
        sender: Sender | None,
        mailing: Mailing,
        *,
        composer: Composer = composed,
        stop_s: Callable[[], float] = lambda: 3.0,
    ) -> None:
        self._dsn = dsn
        self._sender = sender
        self._mailing = mailing
        self._composer = composer
        self._stop_s = stop_s
        self._contents = _Contents()
        self._stack = AsyncExitStack()
        self.sessions: list[Persistent] = []
        self.couriers: list[Courier] = []

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        async with AsyncExitStack() as stack:
            if self._sender is None:
                await stack.enter_async_context(_Unsent(self._dsn))
            else:
                courier = await stack.enter_async_context(self._courier(self._sender))
                composing = await stack.enter_async_context(
                    Composing(self._dsn, self._mailing, self._composer)
                )
                self.couriers, self.sessions = [courier], [composing.session, courier.session]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what waits for the answer to its last line, within ``stop_s()`` seconds; leave the rest to others.

        Cancelling it leaves more to be uncertain.
        """
        await self._stack.aclose()

    def _courier(self, sender: Sender) -> Courier:
        bounds = Bounds(sender.connections, 2 * sender.dialogue_s, sender.last_answer_s, self._stop_s)
        deliver = partial(self._deliver, sender)
        return Courier("mails", self._dsn, Queue("delivery"), deliver, bounds, lambda: sender.rest_s)

    async def _deliver(
        self, sender: Sender, desk: Desk, claim: Claim, on_last_line: Callable[[], Awaitable[None]]
    ) -> Outcome:
        found = await desk.use(partial(report_runs.mails, ids=[claim.id]))
        if not found:
            return Refused("the report was removed")
        (mail,) = found
        if mail.is_unsubscribed:  # since it was claimed, or tried
            return Refused("the recipient has unsubscribed")
        prepared = await self._contents.of(desk, mail.run)
        if prepared is None:
            return Refused("its content is not kept any longer")
        envelope = self._mailing.envelope(mail.report, mail.address, mail.message_id)
        message = await asyncio.to_thread(prepared.message, envelope)
        return await sender.send(message, self._mailing.sender, mail.address, on_last_line)


class _Unsent:
    """Warns once that a report is due and there is no mail server."""

    def __init__(self, dsn: str) -> None:
        self._session = Persistent("mails", partial(connect, dsn, "mails"), self._work)

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once. Cancelling it stops all the same."""
        await self._session.__aexit__()

    async def _work(self, connection: Connection) -> None:
        is_told = False
        while True:
            if not is_told:
                with cut_after(connection, _QUERY_S):
                    is_told = await report_runs.any_due(connection)
                self._session.went_well()
                if is_told:
                    logger.warning("reports are due, and no mail is sent: CALLHOME_SMTP_URL is not set")
            await asyncio.sleep(_UNSENT_LOOK_S)
