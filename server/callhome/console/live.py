"""The live counters for pages and programs: ``GET /api/v1/live`` (a snapshot) and ``/live`` (websocket)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from ..access.model import Access
from .answers import refusal
from .routes import PRINCIPAL, Route, get, is_guest

# The one thing a viewer may say takes 19 bytes; the rest is for white space and fields of a later version.
MESSAGE_BYTES: Final = 1024
# A ping after 6 s without a sign of life and 3 s for the pong: who has gone is found within 10 s.
PING_S: Final = 6.0
# What a close handshake may take, before the connection is simply cut.
CLOSE_S: Final = 2.0
# Spreads the return of viewers who found no seat; their page tries again by itself.
RETRY_AFTER_S: Final = 30


class Push(Protocol):
    """Whoever writes to the viewers; see `callhome.live.push.Hub`. Nothing here waits."""

    @property
    def viewers_max(self) -> int:
        """How many viewers there may be."""

    @property
    def ready(self) -> bool:
        """Whether there are numbers at all."""

    @property
    def stale_s(self) -> float:
        """For how long the numbers haven't followed the database."""

    def version(self, *, is_guest: bool) -> str:
        """A name of what `snapshot` would return."""

    def snapshot(self, *, is_guest: bool) -> bytes:
        """All numbers as JSON, as a guest may see them or as those who are signed in do."""

    def join(self, transport: asyncio.Transport, *, is_guest: bool) -> None:
        """Begin to write to a viewer."""

    def leave(self, transport: asyncio.Transport) -> None:
        """Never write to it again."""

    def heard(self, transport: asyncio.Transport, text: str) -> int | None:
        """Do what a viewer says, or return the code to close with."""


class LiveRoutes:
    """Handlers over a `Push`; each websocket connection is a task that only reads, the hub writes."""

    def __init__(self, hub: Push) -> None:
        self._hub = hub
        self._sockets: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        # What those have shown who are signed in; a guest has shown nothing.
        self._shown: dict[web.WebSocketResponse, bytes] = {}
        self._parting: set[asyncio.Task[bool]] = set()
        self._closed = False

    def table(self) -> list[Route]:
        """The routes."""
        return [get("/api/v1/live", self.snapshot, Access.GUEST), get("/live", self.follow, Access.GUEST)]

    async def snapshot(self, request: web.Request) -> web.Response:
        """The snapshot message as JSON, 304 where the client has it. Cancelling it changes nothing."""
        hub = self._hub
        if not hub.ready:
            return refusal(503, "not_ready", "nothing was read from the database yet", retry_after_s=1)
        etag = hub.version(is_guest=is_guest(request))
        headers = {"Cache-Control": "no-cache", "Callhome-Stale-S": f"{hub.stale_s:.1f}"}
        if any(tag.value in (etag, "*") for tag in request.if_none_match or ()):
            response = web.Response(status=304, headers=headers)
        else:
            body = hub.snapshot(is_guest=is_guest(request))
            response = web.Response(body=body, content_type="application/json", headers=headers)
        response.etag = etag
        return response

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Serve one viewer until it leaves, is cut or the server stops. Cancelling it cuts it."""
        ws = web.WebSocketResponse(
            compress=False, heartbeat=PING_S, max_msg_size=MESSAGE_BYTES, timeout=CLOSE_S
        )
        if refused := self._refused(request, ws):
            return refused
        self._sockets[ws] = transport = None
        if who := request.get(PRINCIPAL):
            self._shown[ws] = who.digest
        try:
            await ws.prepare(request)
            transport = request.transport
            if transport is not None and not self._closed:
                self._sockets[ws] = transport
                self._hub.join(transport, is_guest=is_guest(request))
                await self._listen(ws, transport)
        finally:
            del self._sockets[ws]
            self._shown.pop(ws, None)
            if transport is not None:
                self._hub.leave(transport)
                if ws.close_code in (None, WSCloseCode.ABNORMAL_CLOSURE):
                    # A mere close() would keep what is unsent until a dead peer takes it.
                    transport.abort()
        return ws

    def _refused(self, request: web.Request, ws: web.WebSocketResponse) -> web.Response | None:
        if not _same_origin(request):
            return refusal(403, "foreign_origin", "only pages of this very host may follow the counters")
        if not ws.can_prepare(request):
            answer = refusal(426, "upgrade_required", "this is a websocket; GET /api/v1/live is a snapshot")
            answer.headers["Upgrade"] = "websocket"
            return answer
        if self._closed or len(self._sockets) >= self._hub.viewers_max:
            reason = "stopping" if self._closed else "too_many_viewers"
            return refusal(503, reason, "no viewer can join now", retry_after_s=RETRY_AFTER_S)
        return None

    def shown(self) -> set[bytes]:
        """Return what those have shown who are signed in and follow."""
        return set(self._shown.values())

    def part_from(self, ended: Collection[bytes]) -> None:
        """Part with 1008 from those who have shown that; who doesn't answer is cut after `CLOSE_S`."""
        for ws in [ws for ws, shown in self._shown.items() if shown in ended]:
            del self._shown[ws]
            if transport := self._sockets[ws]:
                self._hub.leave(transport)
            task = asyncio.create_task(ws.close(code=WSCloseCode.POLICY_VIOLATION))
            self._parting.add(task)
            task.add_done_callback(self._parting.discard)

    async def close(self, deadline_s: float) -> None:
        """Part from all viewers with 1001, and cut who hasn't answered in ``deadline_s``; again is harmless.

        Cancelling it leaves the rest connected.
        """
        self._closed = True
        closing = {}
        for ws, transport in self._sockets.items():
            if transport is not None:
                self._hub.leave(transport)
                closing[asyncio.create_task(ws.close(code=WSCloseCode.GOING_AWAY))] = transport
        if closing:
            _, late = await asyncio.wait(closing, timeout=deadline_s)
            for task in late:
                closing[task].abort()

    async def _listen(self, ws: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        async for message in ws:
            code: int | None = WSCloseCode.UNSUPPORTED_DATA
            if message.type is WSMsgType.TEXT:
                code = self._hub.heard(transport, message.data)
            if code is not None:
                self._hub.leave(transport)
                await ws.close(code=code)


def _same_origin(request: web.Request) -> bool:
    """Whether a browser sent this from a page of this host (other programs send no Origin).

    Websockets are exempt from the same-origin policy, so any page on the internet could else have its
    visitors' browsers read these counters from inside the company (RFC 6455 §10.2).
    """
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2].lower() == request.host.lower()
