"""Where the recipients of summary mails unsubscribe: a page with one button, and what mail programs do by themselves.

Reading the page changes nothing, since programs that look for viruses follow every link. RFC 8058 has mail programs
send the POST that the button sends. Both may come again and again.
"""

from __future__ import annotations

import hashlib
import html
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from aiohttp import web

from ..access.model import Access
from ..errors import CallhomeError
from .routes import Route, get, post

PATH: Final = "/unsubscribe"
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;"
    "padding:0 1rem}button{font:inherit;padding:.5rem 1rem}"
)
# One form that leads here, one style whose hash is named; nothing else.
_POLICY: Final = (
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
_HEADERS: Final = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
# In seconds: an outage of the database is seldom longer, and the button is there still.
_RETRY_AFTER: Final = "60"


class _Texts(NamedTuple):
    title: str
    question: str
    button: str
    done: str
    unknown: str
    later: str


_TEXTS: Final[Mapping[str, _Texts]] = {
    "en": _Texts(
        title="Unsubscribe",
        question="No more summary mails of this kind to {address}?",
        button="Unsubscribe",
        done="You are unsubscribed: {address} gets these summary mails no more.",
        unknown="This is no address to unsubscribe at. Copy all of it from the mail, or ask who sends it.",
        later="This can't be done now. Try again in a minute.",
    ),
    "fr": _Texts(
        title="Se désabonner",
        question="Ne plus envoyer ces rapports à {address} ?",
        button="Se désabonner",
        done="Vous êtes désabonné : {address} ne reçoit plus ces rapports.",
        unknown="Cette adresse ne permet pas de se désabonner. Copiez-la en entier, ou demandez à l’expéditeur.",
        later="C’est impossible pour le moment. Réessayez dans une minute.",
    ),
}

# What a token names: the id of a report, and an address; None where it was not signed by us.
Read = Callable[[str], tuple[int, str] | None]
# Ends the mails of a report to an address. Raises `CallhomeError` where it can't now.
Unsubscribe = Callable[[int, str], Awaitable[bool]]


class UnsubscribeRoutes:
    """Handlers of the page and its button. ``read`` takes the token of an address apart, ``unsubscribe`` does it."""

    def __init__(self, read: Read, unsubscribe: Unsubscribe) -> None:
        self._read = read
        self._unsubscribe = unsubscribe

    def table(self) -> list[Route]:
        """The routes; recipients of mails have no account."""
        return [get(PATH, self.page, Access.OPEN), post(PATH, self.post, Access.OPEN)]

    async def page(self, request: web.Request) -> web.Response:
        """The page with the button. Cancelling it changes nothing."""
        texts = _texts(request)
        found = self._read(request.query.get("t", ""))
        if found is None:
            return _unknown(texts)
        # An action without a path leads here also behind a proxy that serves us below one.
        action = html.escape(f"?t={request.query['t']}")
        question = html.escape(texts.question.format(address=found[1]))
        form = f'<form method="post" action="{action}"><button>{html.escape(texts.button)}</button></form>'
        return _page(request, f"<p>{question}</p>{form}")

    async def post(self, request: web.Request) -> web.Response:
        """Unsubscribe; by the button or by a mail program, and as often as they like. Cancelling it: done or not."""
        texts = _texts(request)
        found = self._read(request.query.get("t", ""))
        if found is None:
            return _unknown(texts)
        try:
            await self._unsubscribe(*found)
        except CallhomeError:
            headers = {"Retry-After": _RETRY_AFTER, "Cache-Control": "no-store"}
            return web.Response(status=503, text=f"{texts.later}\n", headers=headers)
        return _page(request, f"<p>{html.escape(texts.done.format(address=found[1]))}</p>")


def _texts(request: web.Request) -> _Texts:
    return _TEXTS[_language(request)]


def _language(request: web.Request) -> str:
    """That which a browser asks for first."""
    return "fr" if request.headers.get("Accept-Language", "").lower().startswith("fr") else "en"


def _page(request: web.Request, body: str) -> web.Response:
    texts = _texts(request)
    text = (
        f'<!doctype html><html lang="{_language(request)}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(texts.title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(texts.title)}</h1>{body}</html>"
    )
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=_HEADERS)


def _unknown(texts: _Texts) -> web.Response:
    return web.Response(status=404, text=f"{texts.unknown}\n", headers={"Cache-Control": "no-store"})
