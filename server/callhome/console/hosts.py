"""By which names the console may be called: a page of another name must not read it in somebody's browser.

A website can have its own name resolve to the console's address (DNS rebinding). To its visitors' browsers
the console is then that website, whose scripts may read every answer; only the header Host tells.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .answers import refusal

# Probes come by whatever name their tool gives, and learn nothing here.
OPEN_PATHS: Final = frozenset({"/livez", "/readyz"})
_HOST: Final = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+))(?::\d*)?")


def only_hosts(names: Iterable[str]) -> Middleware:
    """A middleware that answers 421 where Host is no IP address, ``localhost`` nor one of ``names``."""
    known = frozenset({"localhost", *(name.lower() for name in names)})

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        said = request.headers.get("Host", "")
        if request.path in OPEN_PATHS or is_known(said, known):
            return await handler(request)
        message = (
            f"{said[:100]!r} is no name of this console: an address is, and each of CALLHOME_CONSOLE_HOSTS"
        )
        return refusal(421, "misdirected_request", message)

    return check


def is_known(said: str, known: frozenset[str]) -> bool:
    """Whether a Host header is an IP address or a name in ``known``, with a port or without."""
    matched = _HOST.fullmatch(said)
    if matched is None:
        return False
    try:
        ipaddress.ip_address(matched[1] or matched[2])
    except ValueError:
        return matched[2] is not None and matched[2].lower() in known
    return True
