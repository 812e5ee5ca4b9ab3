"""`callhome.console.health`: what a load balancer and an operator read."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from callhome.console import routes
from callhome.console.health import readiness


@pytest.mark.parametrize(
    ("problems", "status", "text"), [([], 200, "ready\n"), (["stopping", "full"], 503, "stopping\nfull\n")]
)
async def test_readiness_says_why_not(problems: list[str], status: int, text: str) -> None:
    """200 and ready, or 503 and each reason on a line."""
    app = web.Application()
    routes.add(app, [readiness(lambda: problems)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert (answer.status, await answer.text()) == (status, text)
            assert answer.headers["Cache-Control"] == "no-store"
    finally:
        await runner.cleanup()
