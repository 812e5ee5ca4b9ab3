"""Fuzz target: any bytes to a connection of the ingest listener, in any pieces, with nothing but memory around it.

``one(data)`` raises where a promise is broken: an exception that is no refusal, memory beyond the bounds, answers that
depend on how the bytes were cut, or a connection that waits for nothing. With atheris, which needs no other part of
this project, it goes on for as long as it is let:

    pip install atheris && PYTHONPATH=server:tests python -m fuzz.fuzz_http tests/fuzz/corpus/http
"""

from __future__ import annotations

import asyncio
import importlib
import random
import re
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast

from callhome.ingest.connection import PingProtocol
from callhome.ingest.enrich import Enricher
from callhome.ingest.http import PIECE_BYTES
from callhome.ingest.pending import Waiter
from callhome.ingest.server import IngestServer
from callhome.ingest.turns import Turns
from callhome.metrics import Tally
from callhome.releases.advice import Advisor
from listener import Atlas, config_of

LIMITS: Final = {
    "url_bytes": 200,
    "header_bytes": 400,
    "body_bytes": 400,
    "batch_wire_bytes": 600,
    "batch_lines": 10,
}
# What one read of a socket returns at most.
READ_BYTES: Final = 256 * 2**10
# A head that is bounded may wait in two pieces beyond its bounds.
HEAD_BYTES: Final = LIMITS["url_bytes"] + LIMITS["header_bytes"] + 2 * PIECE_BYTES
# %-escaped, a byte of a URL is three.
ESCAPED: Final = 3
CHANGING: Final = re.compile(rb"\r\n(?:Retry-After|Date): [^\r]*")
# A request with two faults is told the one that is seen first, which depends on how it arrives; it is the last.
FAULTY: Final = re.compile(
    rb'HTTP/1.1 4[^{]*Connection: close\r\n\r\n{"reason":"(?:malformed_http|url_too_long|header_too_large)"[^}]*}\Z'
)


class Loop:
    """What a connection needs of an event loop: calls in the next turn."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        """Call it in the next turn."""
        self._calls.append((call, args))

    def run(self) -> None:
        """Take turns until nothing is left to do."""
        while self._calls:
            call, args = self._calls.popleft()
            call(*args)


class Commit:
    """Makes everything durable in the next turn."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.rows = 0

    def submit_one(self, row: bytes, waiter: Waiter) -> None:
        """Take a row."""
        self.submit([row], waiter)

    def submit(self, rows: Sequence[bytes], waiter: Waiter) -> None:
        """Take rows."""
        self.rows += len(rows)
        self._loop.call_soon(waiter.settled, {})


class Transport(asyncio.Transport):
    """One end of a connection, with a client that reads everything at once."""

    def __init__(self) -> None:
        super().__init__({"peername": ("203.0.113.9", 4711)})
        self.sent = b""
        self.is_paused = self.is_over = self.has_ended = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Take what is sent."""
        assert not self.is_over, "written to a closed connection"
        assert not self.has_ended, "written behind the end"
        self.sent += data

    def write_eof(self) -> None:
        """Take the end of what is sent."""
        self.has_ended = True

    def pause_reading(self) -> None:
        """Deliver nothing for now."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self.is_paused = False

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.is_over

    def close(self) -> None:
        """Deliver no more, and send nothing more."""
        self.is_over = True

    def abort(self) -> None:
        """Do the same."""
        self.is_over = True


class Site:
    """A server that listens nowhere, and the loop that its connections run on."""

    def __init__(self) -> None:
        ids, self.tally, self.loop = {"es": 1}, Tally(), Loop()
        self.commit = Commit(self.loop)
        config = config_of(**LIMITS, prefix_installs=0, batch_unpacked_bytes=2_000)
        self.server = IngestServer(
            config, Enricher(b"k" * 32, ids), Atlas(), self.commit, self.tally, Advisor(ids)
        )
        # What entering it would do, but for the socket and the clock.
        self.server._loop = cast(asyncio.AbstractEventLoop, self.loop)
        cast(Any, self.server).call_soon = self.loop.call_soon
        self.server.turns = Turns(self.loop.call_soon)

    def answers(self, pieces: Sequence[bytes]) -> tuple[bytes, bool]:
        """Return what a new connection answers to these pieces, and whether it was closed before they ended."""
        transport, connection = Transport(), PingProtocol(self.server)
        connection.connection_made(transport)
        for piece in pieces:
            if transport.is_over:
                break
            connection.data_received(piece)
            self._check(connection)
            self.loop.run()
            assert not transport.is_paused or transport.has_ended or transport.is_over, "it waits for nothing"
        was_closed = transport.is_over or transport.has_ended
        if not transport.is_over:
            connection.eof_received()
            self.loop.run()
        connection.connection_lost(None)
        self.loop.run()
        assert not self.server.connections
        assert not self.server.batch_bytes, "memory set aside was not given back"
        assert not self.tally.refused["internal_error"], "an exception that is no refusal"
        return FAULTY.sub(b"refused", CHANGING.sub(b"", transport.sent)), was_closed

    def _check(self, connection: PingProtocol) -> None:
        reader = connection._reader
        assert len(reader._fed) <= ESCAPED * HEAD_BYTES
        assert len(reader._body) <= LIMITS["batch_wire_bytes"]
        assert len(connection._backlog) <= 2 * READ_BYTES
        assert len(connection._queue) <= self.server.pipeline + PIECE_BYTES // 32 + 2


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Yield the same bytes in pieces: byte by byte, and some ways more, the same for the same bytes."""
    yield [data[at : at + 1] for at in range(len(data))]
    chance = random.Random(zlib.crc32(data))
    for count in (1, 2, 8):
        ends = sorted(chance.randrange(len(data) + 1) for _ in range(count))
        yield [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True) if a < b]


def one(data: bytes) -> None:
    """Send bytes to a server, whole and in pieces; raise ``AssertionError`` where a promise is broken."""
    data = data[:READ_BYTES]
    site = Site()
    whole = site.answers([data] if data else [])
    rows = site.commit.rows
    assert site.answers([data] if data else []) == whole, "heads that are known are answered otherwise"
    for pieces in cuts(data):
        before = site.commit.rows
        assert site.answers(pieces) == whole, (
            f"cut into {[len(piece) for piece in pieces]}, answered otherwise"
        )
        assert site.commit.rows - before == rows
    tally = site.tally
    assert tally.received == sum(tally.refused.values()) + site.commit.rows, "a request is in no account"


def main() -> None:
    """Fuzz with atheris."""
    atheris = importlib.import_module("atheris")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
