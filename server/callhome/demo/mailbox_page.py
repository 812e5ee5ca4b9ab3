"""``/demo/mailbox``: the mails that the demo has sent, as their recipients see them."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..access.model import Access
from ..console.routes import Route, get
from .mailbox import Mail, Mailbox

PATH: Final = "/demo/mailbox"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# A mail has styles in its elements and pictures in its text, no script, and loads nothing.
_MAIL_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class MailboxPage:
    """Handlers of the page, for ``add_routes``."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        loader = PackageLoader("callhome.demo", "pages")
        self._pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)

    def table(self) -> list[Route]:
        """The routes; there are customers' names in the mails."""
        number = f"{PATH}/{{number:\\d{{1,9}}}}"
        return [
            get(PATH, self.newest, Access.ANALYST),
            get(f"{PATH}/style.css", self.style, Access.ANALYST),
            get(number, self.one, Access.ANALYST),
            get(f"{number}/html", self.html, Access.ANALYST),
            get(f"{number}/files/{{place:\\d{{1,4}}}}", self.file, Access.ANALYST),
        ]

    async def newest(self, request: web.Request) -> web.Response:
        """The list, with the newest mail open. Cancelling it changes nothing."""
        mails = self._mailbox.mails
        return self._show(request, mails[0] if mails else None)

    async def one(self, request: web.Request) -> web.Response:
        """The list, with one mail open. Cancelling it changes nothing."""
        return self._show(request, self._mail(request))

    async def html(self, request: web.Request) -> web.Response:
        """The HTML of a mail, in a frame. Cancelling it changes nothing."""
        headers = {**_NO_STORE, "Content-Security-Policy": _MAIL_POLICY}
        # Links of a mail open beside it, as mail programs have it: what they lead to lets nobody frame it.
        html = self._mail(request).html.replace("<head>", '<head><base target="_blank">', 1)
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def file(self, request: web.Request) -> web.Response:
        """A file attached to a mail, to save. Cancelling it changes nothing."""
        files, place = self._mail(request).files, int(request.match_info["place"])
        if place >= len(files):
            raise web.HTTPNotFound
        found = files[place]
        response = web.Response(
            body=found.content, content_type="application/octet-stream", headers=_NO_STORE
        )
        name = "".join(char for char in found.name if char.isalnum() or char in "-_.")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    async def style(self, _request: web.Request) -> web.Response:
        """The page's style. Cancelling it changes nothing."""
        return web.Response(
            text=self._pages.get_template("mailbox.css").render(), content_type="text/css", headers=_NO_STORE
        )

    def _mail(self, request: web.Request) -> Mail:
        found = self._mailbox.get(int(request.match_info["number"]))
        if found is None:
            raise web.HTTPNotFound(text="There is no such mail any more: the newest sixty are kept.\n")
        return found

    def _show(self, request: web.Request, mail: Mail | None) -> web.Response:
        as_text = request.query.get("as") in ("text", "headers")
        page = self._pages.get_template("mailbox.html").render(
            path=PATH,
            mails=self._mailbox.mails,
            mail=mail,
            shown=request.query["as"] if as_text else "html",
        )
        headers = {**_NO_STORE, "Content-Security-Policy": _PAGE_POLICY}
        return web.Response(text=page, content_type="text/html", headers=headers)
