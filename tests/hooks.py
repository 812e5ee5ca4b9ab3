"""A receiver of webhooks for tests. It checks signatures as the specification says, by code that isn't ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Receivers refuse what is older or newer than this: who has caught a message can't send it again for ever.
TOLERANCE_S: Final = 300


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """By which a receiver knows a message that it has had before."""
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        """The body."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_signed(self, secret: str, now_s: float) -> bool:
        """Whether one of its signatures is of this secret, and its time is about now."""
        key = base64.b64decode(secret[len("whsec_") :])
        sent = self.headers["webhook-timestamp"]
        if abs(now_s - int(sent)) > TOLERANCE_S:
            return False
        content = b".".join((self.id.encode(), sent.encode(), self.body))
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        versions = (each.split(",", 1) for each in self.headers["webhook-signature"].split(" "))
        return any(version == "v1" and hmac.compare_digest(given, expected) for version, given in versions)


@dataclass
class Hook:
    """A receiver: ``answers`` are given one after the other, the last again and again; a number is a status."""

    answers: list[int | Handler] = field(default_factory=lambda: [204])
    received: list[Received] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
        """It listens while this is entered."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            port = runner.addresses[0][1]
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)
