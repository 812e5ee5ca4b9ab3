"""The console's listener: its plain routes, and how it starts and stops."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from websockets.asyncio.client import connect

from consoles import console
from signed import SIGNED


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/livez", "text/plain", "ok\n"),
        ("/metrics", "text/plain", "callhome_viewers 0.0\n"),
    ],
)
async def test_plain_routes_answer(path: str, content_type: str, text: str) -> None:
    """The liveness probe and the metrics are plain text."""

    def metrics() -> bytes:
        return b"callhome_viewers 0.0\n"

    async with (
        console(metrics=metrics) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as session,
    ):
        async with session.get(path, headers=SIGNED) as response:
            assert (response.status, response.content_type) == (200, content_type)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert text in await response.text()
        async with session.post(path, data=b"x") as response:
            assert response.status == 405


async def test_taken_port_is_an_error() -> None:
    """A port that is in use raises, and what had started is stopped."""
    async with console() as running:
        with pytest.raises(OSError, match="in use"):
            await console(port=running.port).__aenter__()


async def test_stop_parts_from_viewers_with_1001() -> None:
    """Viewers are told that the server goes away, and the port is free afterwards."""
    async with console() as running:
        port = running.port
        viewers = [await connect(f"ws://127.0.0.1:{port}/live") for _ in range(3)]
    for viewer in viewers:
        await viewer.wait_closed()
        assert viewer.close_code == 1001
    async with console(port=port):
        pass


async def test_stop_does_not_wait_for_a_silent_viewer() -> None:
    """A viewer that doesn't answer the close is cut after the deadline."""
    handshake = (
        b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    async with console(close_s=0.2) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(handshake)
        assert b"101 Switching" in await reader.readline()
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 5
    async with asyncio.timeout(5):
        assert (await reader.read()).endswith(b"\x88\x02\x03\xe9")  # a close frame that says 1001
    writer.close()
