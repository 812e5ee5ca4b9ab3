"""The console's connections: how many, how long without a request, and what strangers get into the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect

from callhome.console import visitor
from consoles import console

GET = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
PATIENCE_S = 5.0


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def end(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is gone."""
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while part := await reader.read(4096):
                said += part
        except ConnectionResetError:
            pass
    return said


async def end_or(reader: asyncio.StreamReader, text: bytes) -> bytes:
    """What comes until ``text``, or until the connection is gone."""
    try:
        return await reader.readuntil(text)
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""


@pytest.mark.parametrize("said", [b"", b"G", GET[:-2]])
async def test_a_connection_without_a_request_is_cut(said: bytes) -> None:
    """Silence and half a header end at the deadline."""
    async with console(header_s=0.2) as running, raw(running.port) as (reader, writer):
        writer.write(said)
        assert await end(reader) == b""


async def test_after_a_request_a_connection_may_idle() -> None:
    """The deadline is for the first request: keep-alive connections and viewers stay beyond it."""
    async with (
        console(header_s=1.0) as running,
        raw(running.port) as (reader, writer),
        connect(f"ws://127.0.0.1:{running.port}/live") as viewer,
        asyncio.timeout(PATIENCE_S),
    ):
        for _ in range(2):
            writer.write(GET)
            assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(1.2)
        await (await viewer.ping())


async def test_who_takes_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for much and reads none of it loses its place; the answer was not sent to its end."""
    monkeypatch.setattr(visitor, "WRITE_S", 0.3)
    much = b"x" * 32_000_000
    async with console(metrics=lambda: much, connections=1) as running, raw(running.port) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET.replace(b"/livez", b"/metrics").replace(b" h\r\n", b" 127.0.0.1\r\n"))
        async with asyncio.timeout(PATIENCE_S):
            while True:  # until its place is free
                async with raw(running.port) as (other, asks):
                    asks.write(GET)
                    if (await end_or(other, b"ok\n")).endswith(b"ok\n"):
                        break
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await end(reader)) < len(much)


async def test_connections_beyond_the_bound_are_cut_until_one_goes() -> None:
    """One too many is closed at once, and a place that is free again is given."""
    async with console(connections=2) as running:
        async with raw(running.port) as (reader, writer), raw(running.port):
            writer.write(GET)
            await reader.readuntil(b"ok\n")
            async with raw(running.port) as (late, _):
                assert await end(late) == b""
        await asyncio.sleep(0.1)
        async with raw(running.port) as (reader, writer):
            writer.write(GET)
            assert b"200" in await reader.readline()


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nevil: \x1b[2J\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nevil\r\n\r\n",
        b"GET http://[evil HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /" + b"evil" * 10_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        GET + b"evil\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: evil\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: evil\r\n\r\n",
        b'GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: evil\r\nIf-None-Match: "evil, W/\r\n\r\n',
    ],
)
async def test_strangers_leave_nothing_in_the_log(said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP, or not ours, is answered without a line at INFO or above."""
    with caplog.at_level(logging.INFO):
        async with console() as running, raw(running.port) as (reader, writer):
            writer.write(said)
            async with asyncio.timeout(PATIENCE_S):
                assert (await reader.readline()).startswith(b"HTTP/1.")
            await asyncio.sleep(0.05)
    assert caplog.text == ""
