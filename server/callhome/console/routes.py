"""The routes of the console, each with who may use it: without that, none can be added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ..access.model import Access, Principal

# Who asks; not there where nobody is signed in, and on open routes.
PRINCIPAL: Final = web.RequestKey("principal", Principal)

Accesses = Mapping[web.AbstractRoute, Access]


@dataclass(frozen=True, slots=True)
class Route:
    """What is answered at a path, and for whom."""

    access: Access
    definition: web.RouteDef


def get(path: str, handler: Handler, access: Access) -> Route:
    """Return a route for GET and HEAD."""
    return Route(access, web.get(path, handler))


def post(path: str, handler: Handler, access: Access) -> Route:
    """Return a route for POST."""
    return Route(access, web.post(path, handler))


def add(app: web.Application, routes: Iterable[Route]) -> Accesses:
    """Add the routes, and return who may use each. Raises ``ValueError`` where the application has others too."""
    if others := list(app.router.routes()):
        raise ValueError(f"nobody has said who may use {', '.join(map(str, others))}")
    accesses: dict[web.AbstractRoute, Access] = {}
    for route in routes:
        route.definition.register(app.router)
        # One for GET makes one for HEAD, too.
        accesses |= {each: route.access for each in app.router.routes() if each not in accesses}
    return accesses


def is_guest(request: web.Request) -> bool:
    """Whether nobody is signed in who asks, on a route that isn't open to all."""
    return PRINCIPAL not in request
