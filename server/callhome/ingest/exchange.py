"""A request and its answer: the named steps between, one class per route.

    route → read body → budget → decode → country → enrich (and admit) → submit → (commit) → answer

The connection does the first two, and makes the exchange when the head is read; ``take()`` runs the steps to
``submit``; the group commit calls ``settled()`` or ``failed()``; the connection sends the answers in the
order of their requests. Whatever is raised as :class:`Refused` on the way is the answer, and is counted once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import time
from typing import TYPE_CHECKING, Final, Protocol

from .answers import TEXT, without_body
from .decode import decode_ping
from .legacy import decode_legacy
from .lines import split_lines, unpack
from .reasons import Reason, Refused

if TYPE_CHECKING:
    from .connection import PingProtocol
    from .http import RequestReader
    from .pending import Waiter

# Of a refused line, beside its text: an object of bytes (33), its number (28) and a place in a dict (up to 75).
REFUSED_BYTES: Final = 136


class Commit(Protocol):
    """What takes rows. Both raise :class:`Refused` when full or stopping, and never wait."""

    def submit(self, rows: Sequence[bytes], waiter: Waiter) -> None:
        """Take the rows of a batch."""

    def submit_one(self, row: bytes, waiter: Waiter) -> None:
        """Take one row."""


class Exchange:
    """A request on its way to an answer; this one only for what is refused.

    ``answer`` is None until there is one. ``mark`` is its Connection header, if it needs any. ``refusal`` was
    found in the head, and is told when the body is read. ``solo``: nothing more is read until it is answered.
    ``pings``: as how many it is counted when it arrives.
    """

    __slots__ = ("answer", "connection", "headers", "is_head", "mark", "refusal")
    solo = False
    pings = 1

    def __init__(self, connection: PingProtocol) -> None:
        self.connection = connection
        self.answer: bytes | None = None
        self.mark = b""
        self.headers = b""
        self.is_head = False
        self.refusal: Refused | None = None

    def take(self, request: RequestReader, body: bytes) -> None:
        """Run the steps up to the submit; raise :class:`Refused`."""
        raise NotImplementedError

    def settled(self, refused: Mapping[int, Refused]) -> None:
        """The row is durable, or refused by the store."""
        if refused:
            self.failed(refused[0])
        else:
            self.reply(self.connection.server.answers.no_content)

    def failed(self, error: Refused) -> None:
        """The row is not durable. Whoever calls this has counted it."""
        self.reply(self.connection.server.answers.refusal(error, headers=self.headers))

    def refuse(self, error: Refused) -> None:
        """Answer and count a refusal before the submit."""
        self.connection.server.tally.refuse(error.reason, self.pings)
        self.failed(error)

    def reply(self, answer: bytes) -> None:
        """Set the answer, to be sent when those before it are."""
        self.answer = without_body(answer) if self.is_head else answer
        self.connection.flush()

    def arrived(self, count: int) -> None:
        """Take note of ``count`` more bytes of a body that is not whole yet; raise :class:`Refused` to end it."""

    def release(self) -> None:
        """Give the memory back: the answer is sent, or never will be. Idempotent."""


class LivezExchange(Exchange):
    """``GET /livez``: the event loop runs."""

    __slots__ = ()
    pings = 0

    def take(self, request: RequestReader, body: bytes) -> None:
        """Answer ``ok`` at once."""
        self.reply(self.connection.server.answers.render(200, TEXT, b"ok"))


class ReadyzExchange(Exchange):
    """``GET /readyz``: whether this server wants to be sent pings."""

    __slots__ = ()
    pings = 0

    def take(self, request: RequestReader, body: bytes) -> None:
        """Answer ``ready``, or 503. Why not is told on the console's listener: here it would be told to anybody."""
        server = self.connection.server
        status, told = (503, b"not ready\n") if server.problems() else (200, b"ready\n")
        self.reply(server.answers.render(status, TEXT, told))


class PingExchange(Exchange):
    """``POST /v1/ping``: one ping; once it is durable, what there is to say to its sender, else 204.

    ``advice`` is that, made before the commit: nothing is looked up behind it.
    """

    __slots__ = ("advice",)

    def take(self, request: RequestReader, body: bytes) -> None:
        """Run the steps up to the submit; raise :class:`Refused`."""
        self.take_body(body, request.forwarded)

    def settled(self, refused: Mapping[int, Refused]) -> None:
        """The row is durable, or refused by the store."""
        if refused:
            self.failed(refused[0])
        else:  # as reply() does; this one is never a HEAD
            connection = self.connection
            answers, advice = connection.server.answers, self.advice
            self.answer = answers.no_content if advice is None else answers.json_head + advice
            connection.flush()

    def take_body(self, body: bytes, forwarded: bytes = b"") -> None:
        """Do the same where only so much is known of the request; raise :class:`Refused`."""
        connection = self.connection
        server = connection.server
        if server.budget is not None:
            server.budget.spend()
        ping = decode_ping(body)
        origin = connection.origin
        address, country, site = (not forwarded and origin.own) or origin.of(forwarded)
        row, install, license = server.enrich(ping, address, country, time(), site)
        self.advice = server.advise(ping.product, ping.version, ping.channel, license, install)
        server.submit_one(row, self)


class LegacyExchange(PingExchange):
    """``GET`` or form ``POST`` of an old copy: plain text, ``OK`` once it is durable."""

    __slots__ = ()

    def take(self, request: RequestReader, body: bytes) -> None:
        """Run the steps up to the submit; raise :class:`Refused`."""
        query = request.url.partition(b"?")[2].partition(b"#")[0]
        form = body if request.method == b"POST" else b""
        connection = self.connection
        server = connection.server
        if server.budget is not None:
            server.budget.spend()
        ping = decode_legacy(query, form, server.config.legacy_fields)
        address, country, site = connection.origin.of(request.forwarded)
        server.submit_one(server.enrich(ping, address, country, time(), site)[0], self)

    def settled(self, refused: Mapping[int, Refused]) -> None:
        """The row is durable, or refused by the store."""
        if refused:
            self.failed(refused[0])
        else:
            self.reply(self.connection.server.answers.ok)

    def failed(self, error: Refused) -> None:
        """Tell why in plain text; or ``OK``, if set so, but never where trying again helps."""
        server = self.connection.server
        if server.config.legacy_always_ok and error.is_final:
            self.reply(server.answers.ok)
        else:
            self.reply(server.answers.refusal(error, text=True, headers=self.headers))


class BatchExchange(Exchange):
    """``POST /v1/pings``: lines, each stored or refused on its own.

    Memory: over all batches, what has arrived of bodies, is kept of refused lines, and the answers take
    ``batch_memory_bytes``, and one more answer each. Beside it, once: 2 × ``batch_unpacked_bytes`` and a batch's rows.
    """

    __slots__ = ("_count", "_refused", "_reserved_bytes", "_row_lines")
    solo = True

    def __init__(self, connection: PingProtocol) -> None:
        super().__init__(connection)
        self._reserved_bytes = 0
        self._count = self.pings
        self._row_lines: list[int] = []
        self._refused: dict[int, bytes] = {}  # what to tell, as JSON: an exception takes ten times as much

    def arrived(self, count: int) -> None:
        """Set memory aside for so much more of the body."""
        self.connection.server.arriving.setdefault(self)
        self._reserve(self._reserved_bytes + count)

    def _reserve(self, count: int) -> None:
        """Have ``count`` bytes set aside in place of what was; raise :class:`Refused` if there are none left."""
        # Who has been sending for the longest gives way: a few that never end must not keep the others out.
        server = self.connection.server
        more = count - self._reserved_bytes
        while more > 0 and server.batch_bytes + more > server.config.batch_memory_bytes:
            if (slowest := next(iter(server.arriving), self)) is self:
                raise Refused(Reason.OVERLOADED, "too many batches at once, send it again later")
            del server.arriving[slowest]
            slowest.connection.give_way()
        server.batch_bytes += more
        self._reserved_bytes = count

    def release(self) -> None:
        """Give the memory back. Idempotent."""
        server = self.connection.server
        server.arriving.pop(self, None)
        server.batch_bytes -= self._reserved_bytes
        self._reserved_bytes = 0

    def take(self, request: RequestReader, body: bytes) -> None:
        """Get in line for unpacking and decoding; raise :class:`Refused`."""
        server = self.connection.server
        config = server.config
        if len(server.turns) >= config.batches_waiting:
            raise Refused(Reason.OVERLOADED, "too many batches at once, send it again later")
        if server.budget is not None:
            server.budget.spend()
        server.arriving.pop(self, None)
        self._reserve(len(body))
        pieces = unpack(body, request.content_encoding == b"gzip", config.batch_unpacked_bytes)
        origin = self.connection.origin.of(request.forwarded)
        server.turns.join(self._steps(pieces, *origin))

    def _steps(self, pieces: Iterator[bytes], address: str, country: str, site: int) -> Iterator[None]:
        """Run the steps up to the submit, a piece or a line at a time."""
        server = self.connection.server
        try:
            lines = yield from split_lines(pieces, server.config.batch_lines)
            self._reserve(0)
            # The request as such was counted as one ping when it arrived.
            self._count = sum(map(bool, lines))
            server.tally.received += self._count - self.pings
            if server.budget is not None:
                server.budget.owe(max(0, self._count - self.pings))
            rows = []
            for number, line in enumerate(lines):
                if line:
                    try:
                        rows.append(server.enrich(decode_ping(line), address, country, time(), site)[0])
                        self._row_lines.append(number)
                    except Refused as error:
                        self._refuse_line(number, error)
                        server.tally.refuse(error.reason)
                    yield
                if self.connection.is_lost:  # nobody would hear what becomes of it; it is sent again
                    raise Refused(Reason.CLIENT_GONE, "the connection is gone")
            if rows:
                server.commit.submit(rows, self)
            else:
                self.settled({})
        except Exception as error:  # task root
            self.refuse(server.trouble(error))

    def _refuse_line(self, number: int, error: Refused) -> None:
        """Keep what to tell, for which memory is set aside; raise :class:`Refused` if there is none left."""
        told = error.to_json(line=number + 1)
        self._reserve(self._reserved_bytes + len(told) + REFUSED_BYTES)
        self._refused[number] = told

    def refuse(self, error: Refused) -> None:
        """Answer and count a refusal of all lines that were not refused one by one."""
        self.connection.server.tally.refuse(error.reason, self._count - len(self._refused))
        self.failed(error)

    def settled(self, refused: Mapping[int, Refused]) -> None:
        """The rows are durable, but for some that the store refused; tell line by line, from 1."""
        stored = len(self._row_lines) - len(refused)
        for offset, error in refused.items():
            number = self._row_lines[offset]
            self._refused[number] = error.to_json(line=number + 1)
        told = [self._refused[number] for number in sorted(self._refused)]
        self.reply(self.connection.server.answers.lines(stored, told))

    def reply(self, answer: bytes) -> None:
        """Set the answer; what it takes is set aside until it is sent, and is never refused here."""
        self.release()
        self._reserved_bytes = len(answer)
        self.connection.server.batch_bytes += len(answer)
        self._refused.clear()
        super().reply(answer)
        if self.connection.is_lost:
            self.release()
