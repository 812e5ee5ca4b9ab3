"""The cookie of a session, and which requests a page of this very console has sent."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ..access.keys import session_digest
from ..access.origins import Origins

_NAME: Final = "callhome"
# A browser takes it over https only, from this host only, for all paths (RFC 6265bis, 4.1.3.2): neither a page of
# another host below the same domain nor one who sits on the line can put one in its place.
_SECURE_NAME: Final = "__Host-callhome"


class Cookies:
    """Reads and writes the cookie; how depends on whether a request came by https, which ``origins`` tells."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def digest(self, request: web.Request) -> bytes | None:
        """Return what is kept of a request's cookie; None where it has none that can be ours."""
        shown = request.cookies.get(self._name(request))
        return None if shown is None else session_digest(shown)

    def write(self, request: web.Request, response: web.Response, cookie: str, lasts_s: int) -> None:
        """Have the browser keep a session."""
        self._set(request, response, cookie, lasts_s)

    def clear(self, request: web.Request, response: web.Response) -> None:
        """Have the browser forget it."""
        self._set(request, response, "", 0)

    def network(self, request: web.Request) -> int:
        """Return the number of the network from which a request comes."""
        return self._origins.network(request.remote or "", _joined(request, "X-Forwarded-For"))

    def _set(self, request: web.Request, response: web.Response, value: str, lasts_s: int) -> None:
        name = self._name(request)
        response.set_cookie(
            name, value, max_age=lasts_s, path="/", httponly=True, samesite="Lax", secure=name == _SECURE_NAME
        )

    def _name(self, request: web.Request) -> str:
        is_https = self._origins.is_https(
            request.remote or "", _joined(request, "X-Forwarded-Proto"), request.headers.get("Host", "")
        )
        return _SECURE_NAME if is_https else _NAME


def is_own_page(request: web.Request) -> bool:
    """Whether a browser says that a page of this host sent the request (OWASP, "CSRF Prevention": Fetch Metadata).

    Browsers send Sec-Fetch-Site to https and to this machine only, and Origin with each request that may change
    something. Without either, it is no page of ours.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is None:
        return False
    is_origin_ours = origin is None or origin.partition("://")[2].lower() == request.host.lower()
    return is_origin_ours and site in (None, "same-origin")


def _joined(request: web.Request, name: str) -> str:
    return ",".join(request.headers.getall(name, []))
