"""The ingest listener: counts connections, keeps the clock, enforces deadlines, drains."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, Self

from .admission import Admission, Budget
from .answers import Answers
from .ceiling import Ceiling
from .config import IngestConfig
from .connection import PingProtocol
from .door import Door
from .exchange import Commit, PingExchange
from .heads import KnownHeads
from .proxies import TrustedProxies
from .reasons import Reason, Refused
from .routes import Routes
from .turns import Turns

if TYPE_CHECKING:
    from ..metrics import Tally
    from ..releases.advice import Advisor
    from .enrich import Enricher
    from .exchange import BatchExchange

# Connections beyond the bound that are told 503 at the same time; any more are cut without a word.
TURNED_AWAY: Final = 256
# A fault that every request meets must not fill the disk with tracebacks.
LOG_EVERY_S: Final = 60.0

_log: Final = logging.getLogger(__name__)


class CountryLookup(Protocol):
    """Knows the country of an address."""

    def country_of(self, address: str) -> str:
        """Return the alpha-2 code, ``ZZ`` if unknown."""


class IngestServer:
    """Takes pings in over HTTP; an async context manager that listens while it is entered.

    Entering raises ``OSError`` if the address cannot be bound; cancelling that leaves nothing behind. Leaving
    stops accepting, answers what was asked and closes everything within ``config.drain_s``; cancelling the
    leaving cuts what is left. Leaving twice is the same as once.

    ``port`` is the one that is listened on; asked for 0, the one the system gave. ``ready`` returns why the server as a
    whole is not ready, for ``/readyz``; whoever has reasons sets it.

    What connections use: ``clock_s`` (the loop's time at the last sweep), ``idle_deadline_s`` (until when a connection
    that is idle now may be), ``answers``, ``routes``, the steps
    ``country_of``, ``enrich``, ``advise`` and ``submit_one``, ``budget``, None where there is none, ``tally``,
    ``call_soon``, ``turns`` for batches, ``batch_bytes``, what these have set aside, and ``arriving``, those whose
    bodies are on their way, in the order in which they began, and
    ``is_leaving``, whether an answer is its connection's last.
    """

    # Each ping asks for a dozen of them, and a dict of more than thirty attributes is slow.
    __slots__ = (
        "_all_gone", "_door", "_logged_s", "_loop", "_soon", "_timer", "_unlogged",
        "admission", "advise", "advisor", "answers", "arriving", "batch_bytes", "budget", "call_soon", "clock_s",
        "commit", "config", "connections", "country_of", "enrich", "heads", "idle_deadline_s", "is_leaving",
        "is_stopping", "pipeline", "port", "ready", "routes", "submit_one", "tally", "trusted", "turns",
    )  # fmt: skip

    def __init__(
        self,
        config: IngestConfig,
        enricher: Enricher,
        countries: CountryLookup,
        commit: Commit,
        tally: Tally,
        advisor: Advisor,
    ) -> None:
        self.config = config
        self.tally = tally
        self.commit = commit
        self.pipeline = config.pipeline
        self.country_of: Callable[[str], str] = countries.country_of
        self.admission = _admission(config, advisor)
        self.enrich = enricher.admitting(self.admission).enrich
        self.budget = Budget(config.pings_per_s) if config.pings_per_s else None
        self.ready: Callable[[], Sequence[str]] = lambda: ()
        self.advisor = advisor
        self.advise = advisor.advise
        self.submit_one = commit.submit_one
        self.routes = Routes(config)
        self.answers = Answers(time.time())
        self.trusted = TrustedProxies(config.trusted_proxies)
        self.connections: set[PingProtocol] = set()
        self.heads = KnownHeads()
        self._soon: list[tuple[PingExchange, bytes]] = []
        self.batch_bytes = 0
        self.arriving: dict[BatchExchange, None] = {}
        self.port = config.port
        self.clock_s = 0.0
        self.idle_deadline_s = inf
        self.is_leaving = False
        self.is_stopping = False
        self._door = Door(lambda: PingProtocol(self), config)
        self._timer: asyncio.TimerHandle | None = None
        self._all_gone: asyncio.Event = asyncio.Event()
        self._logged_s = -inf
        self._unlogged = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.call_soon = loop.call_soon
        self.turns = Turns(loop.call_soon)
        self._loop = loop
        self._sweep()
        try:
            await self._door.open()
        except BaseException:
            self._stop_sweeping()
            raise
        self.port = self._door.port
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if not await self.drain(self.config.drain_s):
                _log.warning(
                    "Cut %d ingest connections after %g s.", len(self.connections), self.config.drain_s
                )
        finally:
            for connection in tuple(self.connections):
                connection.abort()
            self._stop_sweeping()
        # The transports' own end comes with the next turn of the loop.
        await asyncio.sleep(0)

    async def drain(self, within_s: float) -> bool:
        """Stop accepting; return whether all that was asked is answered and every connection gone in time.

        Cancelling it leaves the rest connected.
        """
        self.stop_accepting()
        try:
            async with asyncio.timeout(within_s):
                while self.connections:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        except TimeoutError:
            return False
        return True

    def take_leave(self) -> None:
        """Let each connection's next answer be its last; new ones are still taken."""
        self.is_leaving = True

    def stop_accepting(self) -> None:
        """Stop listening, close idle connections; further answers are each connection's last. Idempotent."""
        self.is_leaving = self.is_stopping = True
        self._door.close()
        for connection in tuple(self.connections):
            connection.stop()

    # What connections call.

    def admit(self, connection: PingProtocol) -> Refused | None:
        """Count a new connection; return why it is turned away, if it is."""
        if self.is_stopping:
            refused = Refused(Reason.STOPPING, "shutting down, try again")
        elif len(self.connections) >= self.config.connections:
            refused = Refused(Reason.OVERLOADED, "too many connections, try again later")
            self._door.turn_away()
        else:
            refused = None
        if len(self.connections) >= self.config.connections + TURNED_AWAY:
            connection.abort()
        self.connections.add(connection)
        return refused

    def problems(self) -> Sequence[str]:
        """Return why no pings should be sent here, for ``/readyz``; nothing where they should."""
        problems = list(self.ready())
        if self.is_stopping and "stopping" not in problems:
            problems.insert(0, "stopping")
        return problems

    def dismiss(self, connection: PingProtocol) -> None:
        """Forget a connection that is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_gone.set()

    def take_soon(self, exchange: PingExchange, body: bytes) -> None:
        """Run the steps of a ping once all sockets that are ready have been read.

        One ping's steps after another's run twice as fast as between two system calls, from warm caches: measured
        at 10 µs against 20. Bound: one a connection, and what its pipeline allows.
        """
        if not self._soon:
            self._loop.call_soon(self._take_all)
        self._soon.append((exchange, body))

    def _take_all(self) -> None:
        soon, self._soon = self._soon, []
        for exchange, body in soon:
            try:
                exchange.take_body(body)
            except Exception as error:  # task root
                exchange.refuse(self.trouble(error))

    def trouble(self, error: Exception) -> Refused:
        """Return what to tell the client; log what is no refusal, at most once a minute."""
        if isinstance(error, Refused):
            return error
        self._unlogged += 1
        now_s = time.monotonic()
        if now_s - self._logged_s >= LOG_EVERY_S:
            _log.error("A request failed in callhome itself, %d so far.", self._unlogged, exc_info=error)
            self._logged_s, self._unlogged = now_s, 0
        return Refused(Reason.INTERNAL_ERROR, "callhome failed on this request")

    # The clock.

    def _sweep(self) -> None:
        """Advance the clock and the Date; close what is past its deadline: one timer for all connections."""
        self._timer = self._loop.call_later(self.config.sweep_s, self._sweep)
        now_s = self.clock_s = self._loop.time()
        self.idle_deadline_s = now_s + self.config.sweep_s + self.config.keepalive_s
        now_unix_s = time.time()
        self.answers.refresh(now_unix_s)
        self.advisor.refresh(now_unix_s)
        self.admission.refresh(now_unix_s)
        for connection in tuple(self.connections):
            if connection.deadline_s <= now_s or connection.write_deadline_s <= now_s:
                connection.expire()

    def _stop_sweeping(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _admission(config: IngestConfig, advisor: Advisor) -> Admission:
    ceiling = Ceiling(config.prefix_installs, config.tracked_installs)
    return Admission(config.install_pings_s, config.install_burst, ceiling, lambda: advisor.licenses)
