"""The pages that the build puts beside this module (``pages/``), held in memory; without them, what to do instead."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

from aiohttp import web

from ..access.model import Access
from .routes import Route, get

FOLDER: Final = Path(__file__).with_name("pages")
# Everything of the page itself, the websocket and the snapshot; nothing inline, nothing of any other host, no frame.
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)
# A name under /assets carries a hash of its content, so what it names never changes.
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_NOT_BUILT: Final = """\
The pages are not built. In a checkout, build them and start again:

    make page

An installed callhome has them. In a terminal there is: callhome watch
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file, as it is and packed by gzip, with its headers."""

    body: bytes
    packed: bytes
    kind: str
    etag: str


def read(folder: Path) -> Mapping[str, File]:
    """Return the files of a build by their paths, such as ``assets/map-3f9c.js``; none where it was not built.

    Memory: what the build's own limit lets through (350 kB packed), some 1 MB in all. Raises ``OSError``.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = _TYPES.get(path.suffix)
        if kind is not None and path.is_file():
            body = path.read_bytes()
            etag = sha256(body).hexdigest()[:20]
            found[path.relative_to(folder).as_posix()] = File(
                body, gzip.compress(body, 6, mtime=0), kind, etag
            )
    return found


class PageRoutes:
    """Handlers of pages and their assets. Only names that were read at the start exist."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = read(folder)

    def table(self) -> list[Route]:
        """The routes; what is in assets and notice is in every package of callhome."""
        return [
            get("/", self.overview, Access.VIEWER),
            get("/products/{key}", self.product, Access.VIEWER),
            get("/definitions", self.definitions, Access.VIEWER),
            get("/map", self.map, Access.GUEST),
            get("/assets/{name}", self.asset, Access.OPEN),
            get("/NOTICE.txt", self.notice, Access.OPEN),
        ]

    async def overview(self, request: web.Request) -> web.Response:
        """All products at a glance. Cancelling it changes nothing."""
        return self._page(request, "index.html")

    async def product(self, request: web.Request) -> web.Response:
        """The statistics of a product; the page asks the API whether there is one. Cancelling it changes nothing."""
        return self._page(request, "product.html")

    async def definitions(self, request: web.Request) -> web.Response:
        """What each number is. Cancelling it changes nothing."""
        return self._page(request, "definitions.html")

    async def map(self, request: web.Request) -> web.Response:
        """The map on the wall. Cancelling it changes nothing."""
        return self._page(request, "map.html")

    async def notice(self, request: web.Request) -> web.Response:
        """What the pages contain of others, and on which terms. Cancelling it changes nothing."""
        return self._page(request, "NOTICE.txt")

    async def asset(self, request: web.Request) -> web.Response:
        """A script, style or data file. Cancelling it changes nothing."""
        file = self._files.get(f"assets/{request.match_info['name']}")
        if file is None:
            raise web.HTTPNotFound
        return _answer(request, file, _FOREVER)

    def _page(self, request: web.Request, name: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            return web.Response(status=503, text=_NOT_BUILT, headers={"Cache-Control": "no-store"})
        return _answer(request, file, _ASK_AGAIN)


def _answer(request: web.Request, file: File, cache: str) -> web.Response:
    headers = {"Cache-Control": cache, "Content-Type": file.kind, "Vary": "Accept-Encoding"}
    if file.kind.startswith("text/html"):
        headers["Content-Security-Policy"] = PAGE_POLICY
    if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
        del headers["Content-Type"]
        response = web.Response(status=304, headers=headers)
    elif "gzip" in request.headers.get("Accept-Encoding", ""):
        response = web.Response(body=file.packed, headers={**headers, "Content-Encoding": "gzip"})
    else:
        response = web.Response(body=file.body, headers=headers)
    response.etag = file.etag
    return response
