"""``/readyz`` of the console's listener."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from ..access.model import Access
from .routes import Route, get


def readiness(problems: Callable[[], Sequence[str]]) -> Route:
    """Return the route: 200 and ``ready``, or 503 and the problems, one a line."""

    async def answer(_request: web.Request) -> web.Response:
        found = problems()
        text = "".join(f"{problem}\n" for problem in found) or "ready\n"
        return web.Response(text=text, status=503 if found else 200, headers={"Cache-Control": "no-store"})

    return get("/readyz", answer, Access.OPEN)
