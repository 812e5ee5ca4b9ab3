"""The console's listener, for people and monitoring; apart from ingest, so that a firewall can tell them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from .answers import add_headers, api_errors
from .hosts import only_hosts
from .live import LiveRoutes, Push
from .pages import PageRoutes
from .unsubscribe import UnsubscribeRoutes
from .visitor import Visitors, VisitorSite, heard

# Requests here have no body that anybody reads.
BODY_BYTES: Final = 1024
_INDEX: Final = """\
callhome console

/map             the map on the wall
/live            websocket: the live counters, a snapshot and then every change
/api/v1/live     the same snapshot as JSON
/metrics         for Prometheus
/unsubscribe     where links in summary mails lead
/livez           200 while this process answers
/readyz          200 while it wants pings, else 503 and why not

In a terminal: callhome watch
"""


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


class ConsoleServer:
    """Async context manager that listens while entered; `port` tells where.

    ``metrics`` returns the text that ``/metrics`` answers; ``unsubscribe`` is where recipients of mails unsubscribe,
    ``routes`` are those of whoever runs it, such as the demo.
    """

    def __init__(
        self,
        config: ConsoleConfig,
        hub: Push,
        metrics: Callable[[], Awaitable[bytes]],
        unsubscribe: UnsubscribeRoutes | None = None,
        routes: Sequence[web.RouteDef] = (),
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._live = LiveRoutes(hub)
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
        """Start listening; raises ``OSError``. Cancelling it leaves nothing behind."""
        config = self._config
        middlewares = [heard, only_hosts((*config.hosts, config.host)), api_errors]
        app = web.Application(middlewares=middlewares, client_max_size=BODY_BYTES)
        app.add_routes([*self._live.table(), *self._pages.table()])
        if self._unsubscribe is not None:
            app.add_routes(self._unsubscribe.table())
        app.add_routes(self._routes)
        app.add_routes([web.get("/", _index), web.get("/livez", _livez)])
        app.add_routes([web.get("/metrics", self._get_metrics)])
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._part)
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
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, part from the viewers, within 2 x ``config.close_s``. Cancelling it cuts them short."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _part(self, _app: web.Application) -> None:
        await self._live.close(self._config.close_s)

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
        return web.Response(body=await self._metrics(), headers=headers)


async def _index(_request: web.Request) -> web.Response:
    return web.Response(text=_INDEX)


async def _livez(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})
