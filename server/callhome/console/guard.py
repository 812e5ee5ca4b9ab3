"""Stands before every route: who asks, and whether they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from ..access.gate import Gate, Unsure
from ..access.keys import token_digest
from ..access.model import Access, Principal, Verdict, judge
from .answers import refusal
from .cookies import Cookies, is_own_page
from .routes import PRINCIPAL, Accesses

SIGN_IN: Final = "/sign-in"
_SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


@dataclass(frozen=True, slots=True)
class Rules:
    """What the guard goes by."""

    gate: Gate
    cookies: Cookies
    map_guests: bool


def guard(accesses: Accesses, rules: Rules) -> Middleware:
    """A middleware that lets through who may use a route, and puts into the request who that is.

    What is nowhere is for those who are signed in: strangers are told of nothing.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        access = _access(request, accesses)
        if access is Access.OPEN:
            return await handler(request)
        try:
            principal = await _principal(request, rules)
        except Unsure as error:
            if not (access is Access.GUEST and rules.map_guests and _token(request) is None):
                return refusal(503, "not_now", f"{error}: try again", retry_after_s=error.retry_after_s)
            principal = None
        if principal is None and _token(request) is not None:
            return _unauthorized("the token is none, or was revoked, or is over")
        match judge(access, principal, map_guests=rules.map_guests):
            case Verdict.SIGN_IN:
                return _ask_to_sign_in(request)
            case Verdict.FORBIDDEN:
                assert principal is not None, "who is nobody may sign in"
                return _forbidden(request, access, principal)
            case Verdict.YES:
                if foreign := _foreign(request):
                    return foreign
        if principal is not None:
            request[PRINCIPAL] = principal
        return await handler(request)

    return check


def _access(request: web.Request, accesses: Accesses) -> Access:
    error = request.match_info.http_exception
    if error is not None:
        # That a path takes another method is said to everybody, as by every other path.
        return Access.OPEN if error.status == 405 else Access.VIEWER
    return accesses[request.match_info.route]


def _token(request: web.Request) -> str | None:
    """What is shown as a token. Another scheme is for a proxy in front, which may hand on a name and password."""
    scheme, _, shown = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else None


async def _principal(request: web.Request, rules: Rules) -> Principal | None:
    """Who asks; a token counts before a cookie. Raises `Unsure`. Cancelling it changes nothing."""
    token = _token(request)
    digest = rules.cookies.digest(request) if token is None else token_digest(token)
    return None if digest is None else await rules.gate.who(digest)


def _foreign(request: web.Request) -> web.Response | None:
    """Refuse what another website has a browser send in the name of its user.

    A token is put into a request by its program alone, so it needs none of this.
    """
    if request.method in _SAFE or _token(request) is not None:
        return None
    if not is_own_page(request):
        return refusal(403, "foreign_origin", "only pages of this very host may do that")
    if (
        request.path.startswith("/api/")
        and request.body_exists
        and request.content_type != "application/json"
    ):
        return refusal(415, "unsupported_media_type", "the body must be application/json")
    return None


def _ask_to_sign_in(request: web.Request) -> web.Response:
    if _wants_data(request):
        return _unauthorized("sign in, or send a token of `callhome token add` as Authorization: Bearer")
    place = quote(request.rel_url.raw_path_qs, safe="")
    return web.Response(
        status=303, headers={"Location": f"{SIGN_IN}?next={place}", "Cache-Control": "no-store"}
    )


def _unauthorized(message: str) -> web.Response:
    response = refusal(401, "unauthorized", message)
    response.headers["WWW-Authenticate"] = 'Bearer realm="callhome"'
    return response


def _forbidden(request: web.Request, access: Access, principal: Principal) -> web.Response:
    message = (
        f"this is for the role {access.role.value}; {principal.name} has the role {principal.role.value}"
    )
    if _wants_data(request):
        return refusal(403, "forbidden", message)
    return web.Response(status=403, text=f"{message}\n", headers={"Cache-Control": "no-store"})


def _wants_data(request: web.Request) -> bool:
    """Whether a program or a page's script asks: a page to sign in would be no answer to them."""
    is_websocket = request.path == "/live" or hdrs.UPGRADE in request.headers
    return is_websocket or request.path.startswith("/api/") or request.method not in _SAFE
