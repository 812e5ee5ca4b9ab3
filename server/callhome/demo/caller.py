"""HTTP as a simple client speaks it: a connection that is kept, a request at a time, and tries until it is answered."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Final, Self

# A commit may take ten seconds before the server says that it can't (COMMIT_S).
_ANSWER_S: Final = 30.0
# Where the server is not there, or says no more than that it is too much.
_PAUSE_S: Final = 1.0
_LIMIT_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes
    retry_after_s: float = _PAUSE_S


class Caller:
    """One connection to the ingest listener. An async context manager; a request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        """Nothing yet: it connects with the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection at once."""
        self._drop()

    async def post(self, path: str, body: bytes, content_type: str, address: str) -> Answer:
        """Send a POST from an address; see `send`. Cancelling it cuts the connection."""
        head = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        return await self._send(f"POST {path} HTTP/1.1\r\n{head}", body, address)

    async def get(self, path: str, address: str) -> Answer:
        """Send a GET from an address; see `send`. Cancelling it cuts the connection."""
        return await self._send(f"GET {path} HTTP/1.1\r\n", b"", address)

    async def _send(self, head: str, body: bytes, address: str) -> Answer:
        """Send until it is answered with anything but 429 or 503: the same bytes, so the same ids."""
        host, port = self._place
        request = f"{head}Host: {host}:{port}\r\nX-Forwarded-For: {address}\r\n\r\n".encode() + body
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    answer = await self._try(request)
            except (OSError, EOFError, TimeoutError, ValueError):
                self._drop()
                await asyncio.sleep(random.uniform(0, _PAUSE_S))
                continue
            except asyncio.CancelledError:
                self._drop()
                raise
            if answer.status not in (429, 503):
                return answer
            await asyncio.sleep(answer.retry_after_s * random.uniform(0.5, 1))

    async def _try(self, request: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place, limit=_LIMIT_BYTES)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection", "").lower() == "close":
            self._drop()
        return Answer(int(status_line.split()[1]), body, float(fields.get("retry-after", _PAUSE_S)))

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()
