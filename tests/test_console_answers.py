"""The console's answers: their headers, and errors in one form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
from aiohttp import web

from callhome.console.answers import SECURITY_HEADERS, add_headers, api_errors, refusal


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """A server with one route that works, one that fails and one that redirects, below /api and not."""

    async def works(_request: web.Request) -> web.Response:
        return web.Response(text="fine", headers={"Content-Security-Policy": "default-src 'self'"})

    async def fails(_request: web.Request) -> web.Response:
        raise ValueError("the reason")

    async def redirects(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/api/works")

    app = web.Application(middlewares=[api_errors])
    app.on_response_prepare.append(add_headers)
    app.add_routes([web.get("/works", works), web.get("/api/works", works), web.get("/api/fails", fails)])
    app.add_routes([web.get("/api/redirects", redirects)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/api/missing", 404, "not_found"),
        ("POST", "/api/works", 405, "method_not_allowed"),
        ("GET", "/api/fails", 500, "internal_error"),
        ("GET", "/api/redirects", 302, None),
        ("GET", "/missing", 404, None),
        ("GET", "/api/works", 200, None),
    ],
)
async def test_error_below_api_is_json(method: str, path: str, status: int, reason: str | None) -> None:
    """Below /api whoever fails says why as JSON; elsewhere, and where nothing failed, nothing is changed."""
    async with (
        serving() as url,
        aiohttp.ClientSession() as session,
        session.request(method, url + path, allow_redirects=False) as response,
    ):
        assert response.status == status
        if reason is None:
            assert response.content_type != "application/json"
        else:
            said = await response.json()
            assert (said["reason"], set(said)) == (reason, {"reason", "message"})
            assert response.headers["Cache-Control"] == "no-store"
            assert "the reason" not in said["message"]
        assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/missing", "/api/missing", "/api/fails"])
async def test_every_answer_has_security_headers(path: str) -> None:
    """Errors carry the headers as well, and none tells which software answers."""
    async with serving() as url, aiohttp.ClientSession() as session, session.get(url + path) as response:
        assert SECURITY_HEADERS.items() <= dict(response.headers).items()
        assert response.headers["Server"] == "callhome"


async def test_a_handler_may_have_its_own_policy() -> None:
    """A header that a handler set stays: a page needs a policy of its own."""
    async with serving() as url, aiohttp.ClientSession() as session, session.get(url + "/works") as response:
        assert response.headers["Content-Security-Policy"] == "default-src 'self'"


def test_refusal_says_when_to_come_back() -> None:
    """A refusal has reason, message and, where that helps, Retry-After."""
    response = refusal(503, "too_many_viewers", "no viewer can join now", retry_after_s=30)
    assert isinstance(response.body, bytes)
    assert orjson.loads(response.body) == {"reason": "too_many_viewers", "message": "no viewer can join now"}
    assert (response.status, response.headers["Retry-After"]) == (503, "30")
    assert "Retry-After" not in refusal(404, "not_found", "").headers
