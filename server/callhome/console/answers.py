"""What every answer of the console has in common: headers that browsers heed, and the form of an error."""

from __future__ import annotations

import logging
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

# For what is no page (those have a policy of their own): let nothing load, frame or guess anything
# (OWASP, "HTTP Headers").
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

logger = logging.getLogger(__name__)


def refusal(
    status: int, reason: str, message: str, *, retry_after_s: int | None = None, field: str | None = None
) -> web.Response:
    """An error as JSON: ``reason`` for programs, ``message`` for people, ``field`` what is at fault."""
    headers = {"Cache-Control": "no-store"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    told = {"reason": reason, "message": message, **({} if field is None else {"field": field})}
    body = orjson.dumps(told)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """A signal handler for ``on_response_prepare``. It awaits nothing, so it can't be cancelled."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "callhome"


@web.middleware
async def api_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors below ``/api`` as JSON, also those that aiohttp raises. Cancelling it cancels the handler."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        reason = error.reason.lower().replace(" ", "_")
        response = refusal(error.status, reason, f"{request.method} {request.path}: {error.reason}")
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:  # task root
        logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
        return refusal(500, "internal_error", "the server's log says more")
