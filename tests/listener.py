"""A real ingest listener on a free port, with a commit that tests hold and let go, and a raw client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from callhome.ingest.config import IngestConfig
from callhome.ingest.enrich import Enricher
from callhome.ingest.pending import Waiter
from callhome.ingest.reasons import Reason, Refused
from callhome.ingest.server import IngestServer
from callhome.metrics import Tally
from callhome.releases.advice import Advisor

# No test waits so long unless it fails.
PATIENCE_S = 5.0
PING = b'{"product":"es","version":"1.2","install":"0123456789"}'
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"


def post(
    body: bytes = PING,
    headers: str = "",
    path: str = "/v1/ping",
    *,
    length: int | None = None,
    version: str = "1.1",
) -> bytes:
    """Return a POST; ``headers`` are joined by ``|``."""
    lines = [
        f"POST {path} HTTP/{version}",
        "Host: h",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*lines, *filter(None, headers.split("|")), "", ""]).encode("latin-1") + body


def get(url: str, headers: str = "", version: str = "1.1") -> bytes:
    """Return a GET; ``headers`` are joined by ``|``."""
    lines = [f"GET {url} HTTP/{version}", "Host: h", *filter(None, headers.split("|")), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@dataclass
class HeldCommit:
    """Settles what was submitted on the loop's next turn, or when told to; ``full`` is raised instead.

    The real one needs a database to be slow; here a test decides when.
    """

    held: bool = False
    full: Refused | None = None
    refused: Mapping[int, Refused] = field(default_factory=dict)
    rows: list[bytes] = field(default_factory=list)
    waiting: list[Waiter] = field(default_factory=list)

    def submit_one(self, row: bytes, waiter: Waiter) -> None:
        """Take a row."""
        self.submit([row], waiter)

    def submit(self, rows: Sequence[bytes], waiter: Waiter) -> None:
        """Take rows."""
        if self.full:
            raise self.full
        self.rows += rows
        self.waiting.append(waiter)
        if not self.held:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self) -> None:
        """Make all that wait durable, but for what is refused."""
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.settled(self.refused)

    def fail(self) -> None:
        """Lose the store."""
        waiting, self.waiting = self.waiting, []
        for waiter in waiting:
            waiter.failed(Refused(Reason.UNAVAILABLE, "away"))

    async def has(self, waiting: int) -> None:
        """Wait until so many requests wait."""
        await until(lambda: len(self.waiting) >= waiting)


@dataclass
class Atlas:
    """Knows one country, and remembers who was looked up."""

    seen: list[str] = field(default_factory=list)

    def country_of(self, address: str) -> str:
        """Return ``DE``."""
        self.seen.append(address)
        return "DE"


@dataclass(frozen=True)
class Answer:
    """One answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that it is the last."""
        return self.headers.get("connection") == "close"


class Client:
    """One raw connection; everything it waits for has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> Self:
        """Write without waiting."""
        self.writer.write(data)
        return self

    async def answer(self, *, to_head: bool = False) -> Answer:
        """Read one answer."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            size = 0 if to_head else int(headers.get("content-length", 0))
            return Answer(int(first.split()[1]), headers, await self.reader.readexactly(size))

    async def answers(self, count: int) -> list[Answer]:
        """Read so many answers."""
        return [await self.answer() for _ in range(count)]

    async def end(self) -> bytes:
        """Read to the end of the connection; a reset is none."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()


@dataclass
class Listener:
    """A listening server and what it was given."""

    server: IngestServer
    commit: HeldCommit
    tally: Tally
    atlas: Atlas

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, data: bytes) -> Answer:
        """Return the first answer to what is sent on a connection of its own."""
        async with self.client() as client:
            return await client.send(data).answer()

    async def ask_last(self, data: bytes) -> Answer:
        """Return the one answer to what is sent, behind which the server must close by itself."""
        async with self.client() as client:
            answer = await client.send(data).answer()
            assert answer.closes
            assert await client.end() == b""
            return answer

    async def gone(self, left: int = 0) -> None:
        """Wait until the server has only so many connections."""
        await until(lambda: len(self.server.connections) <= left)


def config_of(**limits: Any) -> IngestConfig:
    """Return the config of a listener on a free port of this machine, patient but for what ``limits`` say."""
    patient: dict[str, Any] = {"header_s": 10.0, "body_s": 5.0, "batch_body_s": 15.0, "keepalive_s": 75.0}
    quick: dict[str, Any] = {"sweep_s": 0.02, "linger_s": 0.3, "drain_s": 1.0}
    legacy: dict[str, Any] = {"legacy_paths": (), "legacy_fields": {}, "legacy_always_ok": False}
    open_: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "connections": 1_000, "trusted_proxies": ()}
    open_["install_pings_s"] = 0  # most tests are one install
    return IngestConfig(**(open_ | patient | quick | legacy | limits))


@asynccontextmanager
async def listening(commit: HeldCommit | None = None, **limits: Any) -> AsyncIterator[Listener]:
    """Listen on a free port of this machine; ``limits`` are fields of the config."""
    commit, tally, atlas = commit or HeldCommit(), Tally(), Atlas()
    ids = {"es": 1}
    advisor = Advisor(ids, 0, time.time())
    server = IngestServer(config_of(**limits), Enricher(b"k" * 32, ids), atlas, commit, tally, advisor)
    async with server:
        yield Listener(server, commit, tally, atlas)
    assert not server.connections
    assert not server.batch_bytes, "memory set aside for a batch was not given back"
