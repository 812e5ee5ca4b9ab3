"""All endpoints of the API, and its description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from aiohttp import web

from ..access.model import Access
from ..console.routes import Route, get
from ..store.line import Lines
from .endpoint import Asked, Endpoint
from .openapi import describe
from .statistics import StatisticsApi

# Each is a connection to the database; a page asks for some things at once.
LINES: Final = 2


class Me(msgspec.Struct):
    """Who asks."""

    name: str
    role: str
    kind: str


async def _me(asked: Asked[Any, Any]) -> Me:
    who = asked.principal
    return Me(who.name, who.role.value, who.kind.value)


def endpoints(lines: Lines) -> list[Endpoint]:
    """Return all of them."""
    return [
        Endpoint("/me", Access.VIEWER, "Who asks.", _me, Me),
        *StatisticsApi(lines).endpoints(),
    ]


@asynccontextmanager
async def api(dsn: str) -> AsyncIterator[list[Route]]:
    """The routes of the API while it is entered: its connections are opened when they are needed, then cut.

    Cancelling it cuts them, too.
    """
    lines = Lines(dsn, "statistics", LINES)
    try:
        every = endpoints(lines)
        yield [*(route for each in every for route in each.routes()), _description(every)]
    finally:
        lines.close()


def _description(every: Sequence[Endpoint]) -> Route:
    body = msgspec.json.encode(describe(every))

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-cache"})

    return get("/api/v1/openapi.json", answer, Access.VIEWER)
