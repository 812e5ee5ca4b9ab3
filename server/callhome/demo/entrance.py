"""How the demo signs its visitor in: the address that it prints has a key of this run, which becomes a session."""

from __future__ import annotations

import secrets
from contextlib import suppress
from hmac import compare_digest
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from ..access.checks import InvalidAccess
from ..access.model import Access, Actor, Kind, Role
from ..access.passwords import hashed
from ..console.routes import Route, get
from ..console.signin import ENTRANCE
from ..store import accounts
from ..store.connection import Connection

PATH: Final = "/demo/open"
ACCOUNT: Final = "demo"
_NO: Final = "This is no address of this run of the demo: open the one that it has printed.\n"


class Entrance:
    """Has a key; whoever shows it is signed in as the account `ACCOUNT`, and led on to an address without it."""

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(32)

    def table(self) -> list[Route]:
        """The route."""
        return [get(PATH, self.open, Access.OPEN)]

    def url(self, console: str, place: str) -> str:
        """Return the address that leads to ``place`` on the console."""
        return f"{console}{PATH}?{urlencode({'key': self._key, 'next': place}, safe='/')}"

    async def open(self, request: web.Request) -> web.Response:
        """Sign in who has the key. Cancelling it: signed in or not."""
        if not compare_digest(request.query.get("key", "").encode(), self._key.encode()):
            return web.Response(status=403, text=_NO, headers={"Cache-Control": "no-store"})
        return await request.app[ENTRANCE].enter(request, ACCOUNT, request.query.get("next", "/map"))


async def register(connection: Connection) -> None:
    """Make the account, with a password that nobody knows, unless it is there. Cancelling it: done or not."""
    password = hashed(secrets.token_urlsafe(32))
    with suppress(InvalidAccess):
        await accounts.add(connection, ACCOUNT, Role.ADMIN, password, Actor(Kind.COMMAND, "callhome demo"))
