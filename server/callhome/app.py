"""The whole server: what runs, in which order it starts, and how it stops. The only place that wires the stages."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final

from . import descriptors
from .access.desk import Desk
from .access.gate import Gate
from .access.origins import Origins
from .api.everything import api
from .console.cookies import Cookies
from .console.health import readiness
from .console.routes import Route
from .console.server import ConsoleServer, Reception
from .console.unsubscribe import UnsubscribeRoutes
from .durability import Durability
from .health import Health
from .ingest.batch import GroupCommit
from .ingest.enrich import Enricher
from .ingest.geo import Countries
from .ingest.server import TURNED_AWAY, IngestServer
from .jobs.all import jobs
from .listeners import console_config, ingest_config, lifetimes
from .live.audiences import Audiences
from .live.counters import Counters
from .live.feed import Feed, Source
from .looplag import LoopLag
from .measuring import Measuring
from .metrics import Tally
from .releases.advice import Advisor
from .reports import unsubscribe
from .settings import Listen, Settings
from .store import live as store_live
from .store import sessions
from .store.catalog import Catalog
from .store.connection import connect
from .store.keeper import Keeper
from .store.line import Line
from .store.products import CATALOG_CHANNEL
from .store.reports import unsubscriber
from .workers.exposition import Exposition
from .workers.orders import Place

logger = logging.getLogger(__name__)

# How stop_s is spent where nothing goes well; the last twentieth is for all that closes at once.
# First what was asked is read, committed and answered.
_DRAIN_SHARE: Final = 0.45
# Then nothing more is taken; what waits may still be committed, and who waits beyond that is told so,
_COMMIT_SHARE: Final = 0.1
# and may read it.
_ANSWER_SHARE: Final = 0.1
# Viewers hear 1001 and answer it, then their handlers end: this twice.
_FAREWELL_SHARE: Final = 0.1
# Mails whose last line is sent are answered in a moment, or after minutes: this, for summary mails and for alerts, and
# what the others have left.
_MAIL_SHARE: Final = 0.05
_CLOSE_SHARE: Final = 0.05

# Objects created minus freed before the collector looks: a request makes no cycles, so looking at each
# 700th (CPython's default) finds nothing and costs a twelfth of the time; what does leak is still found.
_GC_THRESHOLD: Final = (50_000, 20, 100)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running server listens; port 0 of the settings is the port it was given."""

    ingest: Listen
    console: Listen


class App:
    """One replica. An async context manager: entered, it serves; `addresses` tells where.

    ``routes`` are more of what the console answers; ``place`` is the replica's among workers, where it is one.
    """

    def __init__(self, settings: Settings, routes: Sequence[Route] = (), place: Place | None = None) -> None:
        self.settings = settings
        self._place = place
        self._routes = routes
        self._stop_by_s = inf
        self._stop_bound: asyncio.Timeout | None = None
        self.tally = Tally()
        self._health = Health(None, 0)
        self._stack = AsyncExitStack()
        self._ingest: IngestServer | None = None
        self._addresses: Addresses | None = None

    @property
    def addresses(self) -> Addresses:
        """Where it listens."""
        assert self._addresses is not None, "the app is not entered"
        return self._addresses

    async def __aenter__(self) -> App:
        """Start everything, the listener for pings last.

        Raises `CallhomeError`, ``OSError``. Cancelling it undoes it.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in the opposite order: refuse, drain, commit, answer, close, within ``settings.stop_s``.

        ``stop_delay_s`` comes before that, and the wait for the spool, ``stop_drain_s``, is not counted in it.
        Cancelling it cuts what is left.
        """
        if not self._health.is_stopping:
            self._health.is_stopping = True
            try:
                await self._take_leave()
            except asyncio.CancelledError:
                await self._stack.aclose()
                raise
        self._stop_by_s = time.monotonic() + self.settings.stop_s
        try:
            async with asyncio.timeout(self.settings.stop_s) as self._stop_bound:
                await self._stack.aclose()
        except TimeoutError:
            logger.warning("stopping took longer than %g s: the rest was cut", self.settings.stop_s)

    async def _take_leave(self) -> None:
        """Go on for ``stop_delay_s``, so that whoever sends pings here goes elsewhere. Cancelling it ends that."""
        if self._ingest is not None and self.settings.stop_delay_s:
            self._ingest.take_leave()
            logger.info("stopping: pings are still taken for %g s", self.settings.stop_delay_s)
            await asyncio.sleep(self.settings.stop_delay_s)

    async def _drain(self, ingest: IngestServer, commit: GroupCommit, durability: Durability) -> None:
        """Refuse what is new, answer what was asked, then wait for the spool. Cancelling it leaves the rest."""
        stop_s = self.settings.stop_s
        await ingest.drain(stop_s * _DRAIN_SHARE)
        await commit.stop(stop_s * _COMMIT_SHARE)
        if self.settings.stop_drain_s and self._stop_bound is not None:
            began_s = time.monotonic()
            self._stop_bound.reschedule(None)
            await durability.emptied(self.settings.stop_drain_s)
            self._stop_by_s += time.monotonic() - began_s
            left_s = self._stop_by_s - time.monotonic()
            self._stop_bound.reschedule(asyncio.get_running_loop().time() + left_s)

    def _mail_s(self) -> float:
        """How long mails may be waited for, now that all before them has stopped."""
        stop_s = self.settings.stop_s
        left_s = self._stop_by_s - time.monotonic()
        return min(stop_s, max(stop_s * _MAIL_SHARE, left_s - stop_s * (_MAIL_SHARE + _CLOSE_SHARE)))

    async def _start(self, stack: AsyncExitStack) -> None:
        settings, tally = self.settings, self.tally
        dsn = settings.database_url.dsn
        shares = descriptors.take(settings.connections, settings.viewers, TURNED_AWAY)
        durability = await stack.enter_async_context(Durability(settings, tally))
        self._health = Health(durability.spool, settings.spool_bytes, settings.spool_disk_percent)
        await durability.prepare()
        counters = Counters()
        hub = Audiences(counters, viewers_max=settings.viewers, floor=settings.map_floor)
        stack.callback(hub.close)
        catalog = Catalog(dsn, durability.cache)
        advisor = Advisor(catalog.product_ids, settings.next_s, time.time())
        catalog.advise(advisor)
        await stack.enter_async_context(catalog)
        keeper = await stack.enter_async_context(Keeper(dsn, tally, retention_days=settings.retention_days))
        feed = await stack.enter_async_context(Feed(_source(dsn), counters, hub))
        measuring = await stack.enter_async_context(self._tasks(durability, hub, catalog, keeper, feed))
        console = await stack.enter_async_context(self._console(hub, shares.console, measuring.text))
        countries = await stack.enter_async_context(Countries(settings.geo_database))
        enricher = Enricher(settings.secret.get_secret_value().encode(), catalog.product_ids)
        commit = await stack.enter_async_context(durability.committing(keeper.wake, keeper.database_is_back))
        ingest = await stack.enter_async_context(
            IngestServer(
                ingest_config(
                    settings, shares.ingest, settings.stop_s * _ANSWER_SHARE, self._place is not None
                ),
                enricher,
                countries,
                commit,
                tally,
                advisor,
            )
        )
        ingest.ready, self._ingest = self._health.problems, ingest
        measuring.ingest, measuring.console = ingest, console
        stack.push_async_callback(self._drain, ingest, commit, durability)
        self._addresses = Addresses(
            Listen(settings.ingest_listen.host, ingest.port),
            Listen(settings.console_listen.host, console.port),
        )

    @asynccontextmanager
    async def _tasks(
        self, durability: Durability, hub: Audiences, catalog: Catalog, keeper: Keeper, feed: Feed
    ) -> AsyncIterator[Measuring]:
        async with (
            jobs(self.settings, stop_s=self._mail_s, is_crowded=lambda: keeper.is_crowded) as running,
            LoopLag(self.tally.loop_lag),
        ):
            sessions = [catalog.session, keeper.session, feed.session, *running.sessions]
            yield Measuring(
                self.tally, self._health, durability, hub, catalog.product_ids, sessions, running.couriers
            )

    @asynccontextmanager
    async def _console(
        self, hub: Audiences, connections: int, own_metrics: Callable[[], bytes]
    ) -> AsyncIterator[ConsoleServer]:
        settings = self.settings
        async with (
            Exposition(self._place, own_metrics) as exposition,
            _reception(settings) as reception,
            api(settings.database_url.dsn) as routes,
            ConsoleServer(
                console_config(
                    settings, connections, settings.stop_s * _FAREWELL_SHARE, self._place is not None
                ),
                hub,
                exposition.text,
                reception,
                _unsubscribe_routes(settings),
                (readiness(self._health.problems), *routes, *self._routes),
            ) as console,
        ):
            yield console


@asynccontextmanager
async def _reception(settings: Settings) -> AsyncIterator[Reception]:
    """Who is who on the console. Recognising has a connection of its own: signing in must not hold it up."""
    dsn, lasting = settings.database_url.dsn, lifetimes(settings)
    asking, signing = Line(dsn, "gate"), Line(dsn, "sign-in")
    gate = Gate(lambda digests: asking.do(partial(sessions.find, lifetimes=lasting, digests=digests)))
    cookies = Cookies(Origins(settings.trusted_proxies, settings.console_url))
    try:
        yield Reception(gate, Desk(signing, gate, lasting), cookies)
    finally:
        await gate.close()
        asking.close()
        signing.close()


def _source(dsn: str) -> Source:
    return Source(
        connect=lambda: connect(dsn, "live"),
        snapshot=store_live.live_snapshot,
        seq=store_live.live_seq,
        live_channel=store_live.LIVE_CHANNEL, catalog_channel=CATALOG_CHANNEL,
    )  # fmt: skip


def _unsubscribe_routes(settings: Settings) -> UnsubscribeRoutes:
    secret = settings.secret.get_secret_value().encode()
    return UnsubscribeRoutes(partial(unsubscribe.read, secret), unsubscriber(settings.database_url.dsn))


async def serve(
    settings: Settings, *, on_ready: Callable[[Addresses], None], place: Place | None = None
) -> None:
    """Serve until SIGTERM, SIGINT or cancellation, then stop in order within ``settings.whole_stop_s``.

    Until it is ready the signals are its caller's, who may cancel it: nothing has to be drained then.
    Raises `CallhomeError` where the start fails.
    """
    async with App(settings, place=place) as app:
        stop = stop_signal()
        settle()
        on_ready(app.addresses)
        await stop.wait()
        logger.info("stopping")


def stop_signal() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set from now on, in place of ending this process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, stop.set)
    return stop


def settle() -> None:
    """Tell the garbage collector that what is there now stays, and to look seldom from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)
