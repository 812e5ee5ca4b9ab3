"""The console's listener, for people and monitoring; apart from ingest, so that a firewall can tell them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from ..access.gate import Gate
from ..access.model import Access
from .answers import add_headers, api_errors
from .cookies import Cookies
from .guard import Rules, guard
from .hosts import only_hosts
from .live import LiveRoutes, Push
from .pages import PageRoutes
from .recheck import Recheck
from .routes import Route, add, get
from .signin import BODY_BYTES, ENTRANCE, Desk, SignIn
from .unsubscribe import UnsubscribeRoutes
from .visitor import Visitors, VisitorSite, heard


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """Where the console listens (port 0: any), by which names it is called, and its bounds."""

    host: str
    port: int
    # Beside IP addresses, localhost and ``host``.
    hosts: tuple[str, ...]
    # Open connections, viewers and others.
    connections: int
    # What parting from viewers may take.
    close_s: float
    # As the ingest listener's: a silent socket must be gone within 15 s.
    header_s: float = 10.0
    # For several processes on one port, the kernel spreading new connections over them.
    reuse_port: bool = False
    # Whether the map and its numbers are for those as well who have no account.
    map_guests: bool = False


@dataclass(frozen=True, slots=True)
class Reception:
    """Who tells who somebody is, who signs people in, and how cookies are read and written."""

    gate: Gate
    desk: Desk
    cookies: Cookies


class ConsoleServer:
    """Async context manager that listens while entered; `port` tells where.

    ``metrics`` returns the text that ``/metrics`` answers; ``unsubscribe`` is where recipients of mails unsubscribe,
    ``routes`` are those of whoever runs it, such as the demo. Its ``reception`` is closed by whoever made it.
    """

    def __init__(
        self,
        config: ConsoleConfig,
        hub: Push,
        metrics: Callable[[], Awaitable[bytes]],
        reception: Reception,
        unsubscribe: UnsubscribeRoutes | None = None,
        routes: Sequence[Route] = (),
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._reception = reception
        self._live = LiveRoutes(hub)
        self._recheck = Recheck(reception.gate, self._live)
        self._sign_in = SignIn(reception.desk, reception.cookies)
        self._pages = PageRoutes()
        self._unsubscribe = unsubscribe
        self._routes = routes
        # All viewers of a full house come back within a moment of a restart; 128 is aiohttp's default.
        self._backlog = max(128, hub.viewers_max)
        self._runner: web.AppRunner | None = None
        self._visitors: Visitors | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._runner is not None, "not entered"
        return int(self._runner.addresses[0][1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._visitors.count if self._visitors else 0

    @property
    def connections_max(self) -> int:
        """How many may be."""
        return self._config.connections

    async def __aenter__(self) -> Self:
        """Start listening; raises ``OSError``, and ``ValueError`` where it isn't said who may use a route.

        Cancelling it leaves nothing behind.
        """
        config, app = self._config, self._application()
        runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=config.close_s)
        try:
            await runner.setup()
            assert runner.server is not None
            self._visitors = visitors = Visitors(runner.server, config.connections, config.header_s)
            await VisitorSite(
                runner,
                (config.host, config.port),
                visitors,
                backlog=self._backlog,
                reuse_port=config.reuse_port,
            ).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        await self._recheck.__aenter__()
        return self

    def table(self) -> list[Route]:
        """Every route, with who may use it."""
        return [
            *(*self._live.table(), *self._pages.table(), *self._sign_in.table()),
            *(self._unsubscribe.table() if self._unsubscribe is not None else ()),
            *self._routes,
            get("/livez", _livez, Access.OPEN),
            # Prometheus has no account here, and a network that keeps it from others is asked for anyway.
            get("/metrics", self._get_metrics, Access.OPEN),
        ]

    def _application(self) -> web.Application:
        config, reception = self._config, self._reception
        app = web.Application(client_max_size=BODY_BYTES)
        accesses = add(app, self.table())
        rules = Rules(reception.gate, reception.cookies, config.map_guests)
        app.middlewares.extend(
            [heard, only_hosts((*config.hosts, config.host)), api_errors, guard(accesses, rules)]
        )
        app[ENTRANCE] = self._sign_in
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._part)
        return app

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, part from the viewers, within 2 x ``config.close_s``. Cancelling it cuts them short."""
        await self._recheck.__aexit__()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _part(self, _app: web.Application) -> None:
        await self._live.close(self._config.close_s)

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
        return web.Response(body=await self._metrics(), headers=headers)


async def _livez(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})
