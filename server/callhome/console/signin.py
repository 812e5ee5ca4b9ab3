"""Signing in and out on the console: two pages with a form each, and the requests that they send."""

from __future__ import annotations

import re
from typing import Final, Protocol

from aiohttp import web

from ..access.desk import Begun, Reason, Refusal
from ..access.model import Access
from ..errors import CallhomeError
from . import signin_page
from .cookies import Cookies, is_own_page
from .guard import SIGN_IN
from .routes import PRINCIPAL, Route, get, post
from .signin_page import HEADERS, TEXTS, Form, Texts

# A name, a password of 256 characters that each take twelve in a form, and where to go.
BODY_BYTES: Final = 8_192
FIRST_PAGE: Final = "/"
# A path of this host, printable ASCII. A browser takes // and a backslash for the begin of another host, and drops
# line breaks and tabs before it looks.
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1023}", re.ASCII)


class Desk(Protocol):
    """Whoever signs people in and out; see `callhome.access.desk.Desk`."""

    async def sign_in(self, name: str, password: str, network: int, old: bytes | None) -> Begun | Refusal:
        """Begin a session, or say why not. Cancelling it: signed in or not."""

    async def enter(self, name: str) -> Begun:
        """Begin a session without a password. Cancelling it: begun or not."""

    async def sign_out(self, digest: bytes) -> None:
        """End a session. Cancelling it: ended or not."""


class SignIn:
    """Handlers of the pages. Other rooms find it at ``request.app[ENTRANCE]``."""

    def __init__(self, desk: Desk, cookies: Cookies) -> None:
        self._desk = desk
        self._cookies = cookies

    def table(self) -> list[Route]:
        """The routes."""
        return [
            get(SIGN_IN, self.page, Access.OPEN),
            post(SIGN_IN, self.sign_in, Access.OPEN),
            # Open, so that a second click is no error; it does nothing but end the session that it shows.
            post("/sign-out", self.sign_out, Access.OPEN),
            get("/account", self.account, Access.VIEWER),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The form. Cancelling it changes nothing."""
        return _form(request, Form(local(request.query.get("next", ""))))

    async def sign_in(self, request: web.Request) -> web.Response:
        """What the form sends. Cancelling it: signed in or not."""
        texts = TEXTS[_language(request)]
        try:
            sent = await request.post()
        except (ValueError, LookupError):  # no text, or in an encoding that nobody knows
            raise web.HTTPBadRequest from None
        name, password, place = (str(sent.get(key, "")) for key in ("name", "password", "next"))
        form = Form(local(place), name)
        if not is_own_page(request):
            return _form(request, Form(form.next, "", texts.foreign), 403)
        old = self._cookies.digest(request)
        outcome = await self._desk.sign_in(name, password, self._cookies.network(request), old)
        if isinstance(outcome, Refusal):
            return _refused(request, form, outcome)
        return self.begun(request, outcome, form.next)

    def begun(self, request: web.Request, begun: Begun, place: str) -> web.Response:
        """Return the answer that gives a browser its session and leads it to ``place``."""
        response = _see(local(place))
        self._cookies.write(request, response, begun.cookie, begun.lasts_s)
        return response

    async def enter(self, request: web.Request, name: str, place: str) -> web.Response:
        """Sign in as an account without its password, for a route that has recognised its visitor otherwise.

        Cancelling it: signed in or not.
        """
        try:
            return self.begun(request, await self._desk.enter(name), place)
        except CallhomeError as error:
            return web.Response(status=503, text=f"{error}\n", headers={"Cache-Control": "no-store"})

    async def sign_out(self, request: web.Request) -> web.Response:
        """What the button sends. Cancelling it: signed out or not."""
        digest = self._cookies.digest(request)
        if not is_own_page(request):
            return _form(request, Form(FIRST_PAGE, "", TEXTS[_language(request)].foreign), 403)
        if digest is not None:
            try:
                await self._desk.sign_out(digest)
            except CallhomeError:
                texts = TEXTS[_language(request)]
                headers = {"Retry-After": "10", "Cache-Control": "no-store"}
                return web.Response(status=503, text=f"{texts.later}\n", headers=headers)
        response = _see(SIGN_IN)
        self._cookies.clear(request, response)
        return response

    async def account(self, request: web.Request) -> web.Response:
        """Who is signed in. Cancelling it changes nothing."""
        who = request[PRINCIPAL]
        text = signin_page.account(_language(request), who.name, who.role.value)
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=HEADERS)


ENTRANCE: Final = web.AppKey("entrance", SignIn)


def local(place: str) -> str:
    """Return a path of this console, the first page where ``place`` is anything else: nobody is led elsewhere."""
    path = place.partition("?")[0].partition("#")[0]
    is_plain = _LOCAL.fullmatch(place) and "//" not in path and "/." not in path
    return place if is_plain and path != SIGN_IN else FIRST_PAGE


def _refused(request: web.Request, form: Form, refusal: Refusal) -> web.Response:
    texts: Texts = TEXTS[_language(request)]
    match refusal.reason:
        case Reason.WRONG:
            status, said = 403, texts.wrong
        case Reason.SLOW_DOWN:
            status, said = 429, texts.slow_down.format(seconds=refusal.retry_after_s)
        case Reason.LATER:
            status, said = 503, texts.later
    response = _form(request, Form(form.next, form.name, said), status)
    if refusal.retry_after_s:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response


def _form(request: web.Request, form: Form, status: int = 200) -> web.Response:
    text = signin_page.sign_in(_language(request), form)
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=HEADERS)


def _see(place: str) -> web.Response:
    # No `HTTPSeeOther`: it would write the address in a form of its own, and here each character was looked at.
    return web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})


def _language(request: web.Request) -> str:
    """That which a browser asks for first."""
    return "fr" if request.headers.get("Accept-Language", "").lower().startswith("fr") else "en"
