"""Alerts: the rules are looked at by one replica at a time, and what they fire for is told by any.

What fires is recorded with all its messages in one transaction, under names that never come again: so it fires once,
whichever replicas look and wherever one is killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, Self

from ..alerts import rules
from ..alerts.facts import Adoption, OverLicense, Watch
from ..alerts.messenger import Messenger
from ..alerts.model import Event, Rule
from ..alerts.rules import Gate, Judged
from ..alerts.webhook import Webhook
from ..persistent import Persistent, cut_after
from ..reports.outcomes import Outcome, Refused, TryLater
from ..reports.smtp import Sender
from ..store import alert_events, alert_facts
from ..store.alert_events import Watched
from ..store.connection import Connection, connect
from ..store.deliveries import Claim, Queue
from .courier import Bounds, Courier
from .desk import Desk

logger = logging.getLogger(__name__)

# How old what an alert tells of may be, besides the rollup's lag.
_LOOK_S: Final = 5.0
# How far a release has come changes in hours, and is read from all builds in use.
_SELDOM_S: Final = 60.0
_SELDOM: Final = frozenset({Rule.RELEASE_ADOPTED, Rule.RELEASE_SLOW, Rule.INSTALLS_CHANGED})
# The longest of what is done between two looks is the sum of five days, once a day.
_STEP_S: Final = 60.0
# Webhooks that are called at a time: one that is slow has the others wait no longer than its deadline.
_WEBHOOKS: Final = 10


class AlertJob:
    """One replica's part in alerts. An async context manager.

    ``secret`` is that of the installation. ``sender`` is None where no mail server is configured: then a mail fails,
    and says so in the history; with one, share it with the summary mails, since it bounds the connections.
    """

    def __init__(
        self,
        dsn: str,
        *,
        secret: bytes,
        sender: Sender | None,
        mail_from: str | None,
        console_url: str | None,
        stop_s: Callable[[], float] = lambda: 3.0,
    ) -> None:
        self._dsn = dsn
        self._stop_s = stop_s
        self._secret = secret
        self._sender = sender
        self._mail_from = mail_from
        self._console_url = console_url
        self.session = Persistent("alerts", partial(connect, dsn, "alerts"), self._watch)
        self._stack = AsyncExitStack()
        self.couriers: list[Courier] = []

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        async with AsyncExitStack() as stack:
            webhook = await stack.enter_async_context(Webhook())
            messenger = Messenger(
                webhook,
                self._secret,
                sender=self._sender,
                mail_from=self._mail_from,
                console_url=self._console_url,
            )
            messages = await stack.enter_async_context(
                courier(self._dsn, messenger, webhook.deadline_s, stop_s=self._stop_s)
            )
            self.couriers = [messages]
            await stack.enter_async_context(self.session)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop to look, finish mails that wait for the answer to their last line; others do the rest.

        Cancelling it leaves more to them.
        """
        await self._stack.aclose()

    async def _watch(self, connection: Connection) -> None:
        """Look every few seconds, as long as the connection lasts; silences are told from here on."""
        watched_since = await alert_facts.now(connection)
        seldom_due_s = 0.0
        while True:
            is_seldom = time.monotonic() >= seldom_due_s
            with cut_after(connection, _STEP_S):
                await look(connection, watched_since=watched_since, seldom=is_seldom)
            if is_seldom:
                seldom_due_s = time.monotonic() + _SELDOM_S
            self.session.went_well()
            await asyncio.sleep(_LOOK_S)


async def look(
    connection: Connection,
    now: datetime | None = None,
    *,
    watched_since: datetime | None = None,
    seldom: bool = True,
) -> list[Event]:
    """Look at the alerts once, in one transaction, and return what is told now; nothing where another replica is at it.

    ``now`` is the time it is (None: by the database's clock). ``watched_since`` is since when pings could not have gone
    unnoticed (None: always). ``seldom``: also at the rules that change slowly. Raises what asyncpg raises. Cancelling
    it rolls it back.
    """
    async with connection.transaction():
        if not await alert_events.try_lock(connection):
            return []
        moment = now or await alert_facts.now(connection)
        found, measured = list[Event](), _Measured(connection, moment)
        chosen = frozenset(Rule) if seldom else frozenset(Rule) - _SELDOM
        for one in await alert_events.watched(connection, chosen, moment):
            judged = await _judge(measured, one, watched_since)
            told, recorded = rules.shortened(one.alert, judged.events, moment)
            found += await alert_events.fire(connection, one.alert, told, recorded, moment)
            if judged.state != one.state:
                await alert_events.keep_state(connection, one.alert, judged.state)
    for event in found:
        logger.info("alert: %s", event.name)
    return found


class _Measured:
    """What is measured at one look, of each product (None: all) once, however many alerts want to know it."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self._over: dict[str | None, list[OverLicense]] = {}
        self._adoptions: dict[str | None, list[Adoption]] = {}
        self._until: datetime | None = None

    async def over(self, product: str | None) -> list[OverLicense]:
        """The licenses that are over their seats. Cancelling it changes nothing."""
        if product not in self._over:
            self._over[product] = await alert_facts.over_licenses(self.connection, product)
        return self._over[product]

    async def adoptions(self, product: str | None) -> list[Adoption]:
        """How far each release is adopted. Cancelling it changes nothing."""
        if product not in self._adoptions:
            today = self.now.date()
            self._adoptions[product] = await alert_facts.release_adoptions(self.connection, product, today)
        return self._adoptions[product]

    async def until(self) -> datetime:
        """Up to when all is counted. Cancelling it changes nothing."""
        if self._until is None:
            self._until = await alert_facts.folded_until(self.connection, self.now)
        return self._until


async def _judge(measured: _Measured, one: Watched, watched_since: datetime | None) -> Judged:
    """Measure what the rule of an alert looks at, and judge it."""
    alert, numbers, state = one.alert, one.alert.numbers, one.state
    connection, now, product = measured.connection, measured.now, alert.product
    gate = Gate(one.cooling, alert.cooldown_s)
    match alert.rule:
        case Rule.LICENSE_OVER:
            return rules.license_over(await measured.over(product), state, gate, now)
        case Rule.FINDING_CONFIRMED:
            confirmed = await alert_facts.confirmed_findings(connection, alert.id, product, alert.created_at)
            return Judged(rules.finding_confirmed(confirmed, gate), state)
        case Rule.RELEASE_ADOPTED:
            return rules.release_adopted(await measured.adoptions(product), numbers, state, gate)
        case Rule.RELEASE_SLOW:
            return rules.release_slow(await measured.adoptions(product), numbers, state, gate, now.date())
        case Rule.INSTALLS_CHANGED:
            day = rules.day_to_judge(state, now, await measured.until())
            counts = [] if day is None else await alert_facts.day_counts(connection, product, day)
            return rules.installs_changed(counts, day, numbers, state, gate, now)
        case Rule.SILENCE:
            seen = await alert_facts.seen(connection, product)
            watch = Watch(max(alert.created_at, watched_since or alert.created_at), await measured.until())
            return rules.silence([] if seen is None else [seen], numbers, state, gate, watch)


def courier(
    dsn: str, messenger: Messenger, webhook_s: float, *, stop_s: Callable[[], float] = lambda: 3.0
) -> Courier:
    """Return what takes the messages of alerts to their targets.

    ``webhook_s`` is the deadline of a webhook; ``stop_s`` tells for how long, at the end, answers to the last lines of
    mails are waited for.
    """
    sender = messenger.sender
    mails, mail_s, last_answer_s = (
        (sender.connections, 2 * sender.dialogue_s, sender.last_answer_s) if sender else (0, 0.0, 0.0)
    )
    # Twice: others' mails may be before ours in the line for a connection.
    bounds = Bounds(_WEBHOOKS + mails, max(2 * mail_s, webhook_s), last_answer_s, stop_s)
    return Courier("alert messages", dsn, Queue("alert_delivery"), partial(_deliver, messenger), bounds)


async def _deliver(
    messenger: Messenger,
    desk: Desk,
    claim: Claim,
    on_last_line: Callable[[], Awaitable[None]],
) -> Outcome:
    found = await desk.use(partial(alert_events.delivery, id=claim.id))
    if found is None:
        return Refused("the alert was removed")
    answer = await messenger.send(*found, on_last_line)
    if isinstance(answer.outcome, TryLater):
        return replace(answer.outcome, after_s=answer.after_s)
    return answer.outcome
