"""What aiohttp leaves open about a connection: how many there are, and how long the first may ask nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler

# Longer than the 60 s of proxies (nginx), so that it's never us who closes just as a request comes.
KEEPALIVE_S: Final = 75.0
# Who takes nothing for so long holds a place for nothing; the same as at the ingest listener.
WRITE_S: Final = 10.0


class Visitors:
    """Counts connections, at most ``most``, and makes their protocols for ``server``.

    Whoever hasn't made a whole first request ``header_s`` after it connected is cut.
    """

    def __init__(self, server: web.Server, most: int, header_s: float) -> None:
        self.most = most
        self.header_s = header_s
        self.count = 0
        self._server = server

    def __call__(self) -> Visitor:
        """A protocol for a new connection."""
        return Visitor(self, self._server)


class Visitor(web.RequestHandler):
    """One connection."""

    __slots__ = ("_deadline", "_visitors", "_write_deadline")

    def __init__(self, visitors: Visitors, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is none: see its code
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
        )
        self._visitors = visitors
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, and set the deadline; one too many is cut."""
        super().connection_made(transport)
        self._visitors.count += 1
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self._visitors.count > self._visitors.most:
            transport.abort()
        else:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._visitors.header_s, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it no more."""
        super().connection_lost(exc)
        self._visitors.count -= 1
        self.heard()
        self._forget_write_deadline()

    def pause_writing(self) -> None:
        """It does not read: cut it if that lasts."""
        super().pause_writing()
        if self.transport is not None:
            loop = asyncio.get_running_loop()
            self._write_deadline = loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._forget_write_deadline()

    def _forget_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()

    def heard(self) -> None:
        """It made a request."""
        if self._deadline is not None:
            self._deadline.cancel()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What is no HTTP is no fault of ours, and strangers must not fill the log with it."""
        is_theirs = isinstance(kw.get("exc_info"), HttpProcessingError | ConnectionError)
        (self.logger.debug if is_theirs else self.logger.exception)(*args, **kw)


@web.middleware
async def heard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection that it made a request. Cancelling it cancels the handler."""
    if isinstance(request.protocol, Visitor):
        request.protocol.heard()
    return await handler(request)


class VisitorSite(web.BaseSite):
    """Listens for connections of a factory's protocols, where aiohttp's own sites take the server's."""

    def __init__(
        self,
        runner: web.AppRunner,
        place: tuple[str, int],
        factory: Callable[[], Visitor],
        *,
        backlog: int,
        reuse_port: bool = False,
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._reuse_port = reuse_port or None
        self._where = place
        self._factory = factory

    @property
    def name(self) -> str:
        """Its URL."""
        return "http://{}:{}".format(*self._where)

    async def start(self) -> None:
        """Start listening; raises ``OSError``. Cancelling it leaves nothing behind."""
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._factory, *self._where, backlog=self._backlog, reuse_port=self._reuse_port
        )
