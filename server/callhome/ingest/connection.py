"""One connection to ingest: bytes in, answers out in the order of their requests, bounds and deadlines.

In: ``data_received`` → :class:`RequestReader` → ``on_head`` → ``on_request`` → :class:`Exchange` → commit.
Out: an exchange gets its answer → ``flush`` → socket. Nothing here waits, and no request makes a task, a
future or a timer: the server looks at ``deadline_s`` of all connections twice a second.

Memory of a connection: 2 × 256 KiB (what two reads return, in ``_backlog``), one body, pipeline +
PIECE_BYTES / 32 exchanges with their answers, and 64 KiB in the transport, above which reading stops.

long: one state machine; the ways in and out and the deadlines read and set the same flags.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, cast

from .answers import CONTINUE, with_connection
from .exchange import Exchange, PingExchange
from .http import BODY, HEAD, IDLE, PIECE_BYTES, RequestReader
from .proxies import Origin
from .reasons import Reason, Refused

if TYPE_CHECKING:
    from .server import IngestServer

# Behind a batch a connection reads no more, but that is looked at between pieces, and many small ones fit in one.
BATCHES_IN_LINE: Final = 8
# Requests that one connection is served in a turn of the loop, give or take those of a piece: about a millisecond. Who
# sends more, all answered at once, must not keep the others waiting for as long as it sends.
TURN_REQUESTS: Final = 32
# No phase of the reader: the deadline is to be set anew, whatever the phase.
_UNTIMED: Final = -1


class PingProtocol(asyncio.Protocol):
    """One connection; made by :class:`IngestServer`, whose clock, limits and steps it uses.

    ``deadline_s`` and ``write_deadline_s`` are on the loop's clock: past them, :meth:`expire` is called.
    ``is_lost``: nothing can be sent any more.
    """

    __slots__ = (
        "_asked", "_backlog", "_body_s", "_current", "_ends", "_feeding", "_full", "_lingering", "_plain_length",
        "_queue", "_reader", "_served", "_timed", "_transport", "_unread_bytes", "_waits_its_turn", "_write",
        "_write_paused",
        "deadline_s", "is_lost", "origin", "server", "write_deadline_s",
    )  # fmt: skip

    def __init__(self, server: IngestServer) -> None:
        self.server = server
        self._reader = RequestReader(self, server.config.url_bytes, server.config.header_bytes)
        self._queue: deque[Exchange] = deque()
        self._current: Exchange | None = None  # from its head to its end
        self._backlog = b""  # read, but not parsed yet, while _full
        self._full = self._feeding = self._write_paused = False
        self._ends = self._lingering = self.is_lost = self._asked = self._waits_its_turn = False
        self._served = 0  # requests in this turn of the loop
        self._plain_length = -1  # of the last ping whose head may be learned
        self._unread_bytes = 0  # arrived after the last request that is answered
        self._body_s = server.config.body_s
        # The first head has header_s from the start, so its first byte doesn't begin it anew.
        self._timed = HEAD
        self.deadline_s = self._after(server.config.header_s)
        self.write_deadline_s = inf

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the server's connections, or be turned away."""
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write
        peername = transport.get_extra_info("peername")
        self.origin = Origin(peername[0] if peername else "", self.server.trusted, self.server.country_of)
        if refused := self.server.admit(self):
            self._refuse_and_end(refused)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, as far as there is room for answers."""
        reader = self._reader
        if reader.phase == IDLE and not self._full and not reader.ended:
            body = self.server.heads.body(data)
            if body is not None:
                self._take_known(body)
                return
        if reader.ended:
            self._drop(len(data))
        elif self._full:  # read before the transport knew
            self._backlog += data
        else:
            self._served = 0
            if len(data) <= PIECE_BYTES:
                self._plain_length = -1
                # Behind the begin of a request there may be anything: that is no head to be known by.
                is_whole = reader.phase == IDLE
                self._feed(data)
                if is_whole and self._plain_length >= 0:
                    self.server.heads.learn(data, self._plain_length)
            else:
                self._pump(data)
            if self._reader.phase != self._timed:
                self._retime()

    def eof_received(self) -> bool:
        """The client sends no more; what it asked for is still answered."""
        self._reader.ended = self._ends = True
        self._unread_bytes = 0
        return bool(self._queue) and not self._lingering

    def pause_writing(self) -> None:
        """The client does not read: take nothing more from it, and cut it if that lasts."""
        self._write_paused = self._full = True
        self.write_deadline_s = self._after(self.server.config.write_s)
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._write_paused = False
        self.write_deadline_s = inf
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; what the commit still tells goes nowhere."""
        self.is_lost = True
        for exchange in self._queue:
            if exchange.answer is not None:
                exchange.release()
        if self._current:
            self._current.release()
        self._queue.clear()
        self._current = None
        self._backlog = b""
        self._reader.close()
        self.server.dismiss(self)

    # What the reader calls.

    def on_head(self, request: RequestReader) -> None:
        """Find the route, and judge the head before any of the body is read."""
        self._asked = True
        self._served += 1
        route = self.server.routes.find(request.url)
        if route.exchange.solo and sum(exchange.solo for exchange in self._queue) >= BATCHES_IN_LINE:
            raise Refused(Reason.OVERLOADED, "wait for the answer to a batch before you send more")
        self._body_s = route.body_s
        self._current = exchange = route.exchange(self)
        self.server.routes.judge(route, request, exchange)
        if request.expect and request.length:
            # In line behind the answers that are due before.
            interim = Exchange(self)
            self._queue.append(interim)
            interim.reply(CONTINUE)

    def on_request(self, request: RequestReader, body: bytes) -> None:
        """Put the request in line and run its steps."""
        exchange = self._current
        assert exchange is not None, "on_head comes before on_request"
        self._current = None
        self._timed = _UNTIMED
        if not request.keep_alive:
            exchange.mark = b"close"
            self._unread_bytes += request.upgrade
        elif request.is_http_1_0:
            exchange.mark = b"keep-alive"
        server = self.server
        self._queue.append(exchange)
        if exchange.solo or len(self._queue) >= server.pipeline:
            self._full = True
        server.tally.received += exchange.pings
        try:
            if exchange.refusal:
                exchange.refuse(exchange.refusal)
            else:
                if request.is_plain and type(exchange) is PingExchange:
                    self._plain_length = request.length
                exchange.take(request, body)
        except Exception as error:  # task root
            exchange.refuse(server.trouble(error))

    # The way in.

    def _take_known(self, body: bytes) -> None:
        """Do what ``on_head`` and ``on_request`` do, for a ping whose head was taken before."""
        server = self.server
        exchange = PingExchange(self)
        self._queue.append(exchange)
        self._full = len(self._queue) >= server.pipeline
        server.tally.received += 1
        server.take_soon(exchange, body)
        if self._full:
            if not self._transport.is_closing():
                self._transport.pause_reading()
            self._retime()
        else:  # what _retime() would set: nobody waits for the client
            self.deadline_s, self._timed = inf, IDLE

    def _feed(self, piece: bytes) -> None:
        self._feeding = True
        try:
            self._reader.feed(piece)
            if self._current is not None:
                self._current.arrived(len(piece))
        except Exception as error:  # task root
            self._refuse_and_end(self.server.trouble(error))
        self._feeding = False
        if self._full and not self._transport.is_closing():
            self._transport.pause_reading()

    def _pump(self, data: bytes) -> None:
        """Feed a piece at a time, as long as there is room for answers; keep the rest."""
        for at in range(0, len(data), PIECE_BYTES):
            if self._reader.ended:
                self._drop(len(data) - at)
                break
            if self._full:
                self._backlog = data[at:]
                break
            if self._served >= TURN_REQUESTS:
                self._wait_for_a_turn(data[at:])
                break
            self._feed(data[at : at + PIECE_BYTES])

    def _wait_for_a_turn(self, rest: bytes) -> None:
        """Go on with ``rest`` in the next turn of the loop, and read nothing more until then."""
        self._backlog = rest
        self._full = self._waits_its_turn = True
        if not self._transport.is_closing():
            self._transport.pause_reading()
        self.server.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._waits_its_turn = False
        if not self.is_lost and not self._reader.ended:
            self._go_on_reading()

    def _go_on_reading(self) -> None:
        """Read again once half of the line is answered; inside of the parser, its caller goes on."""
        queue = self._queue
        if (
            self._write_paused
            or self._waits_its_turn
            or (queue and (queue[-1].solo or len(queue) > self.server.pipeline // 2))
        ):
            return
        self._full = False
        if self._feeding or self._transport.is_closing():
            return
        self._served = 0
        backlog, self._backlog = self._backlog, b""
        self._pump(backlog)
        if not self._full:
            self._transport.resume_reading()
        if self._reader.phase != self._timed:
            self._retime()

    def _drop(self, count: int) -> None:
        """Ignore bytes behind the last request; beyond a bound, don't even read them."""
        self._unread_bytes += count
        if self._unread_bytes > self.server.config.linger_bytes:
            self._transport.pause_reading()

    # The way out.

    def flush(self) -> None:
        """Send the answers that are there, up to the first that is not."""
        if self.is_lost or self._write_paused:
            return
        queue, ready = self._queue, []
        may_be_last = self._ends or self.server.is_leaving
        while queue and (answer := queue[0].answer) is not None:
            exchange = queue.popleft()
            if may_be_last and not queue and self._is_last(exchange):
                exchange.mark = b"close"
            ready.append(with_connection(answer, exchange.mark) if exchange.mark else answer)
            if exchange.solo:
                exchange.release()
        if ready:
            self._write(ready[0] if len(ready) == 1 else b"".join(ready))
            if exchange.mark == b"close":
                self._finish()
                return
            if not queue and self._reader.phase == IDLE:
                if self._full or self._reader.ended:
                    self._retime()
                else:  # what that would set, for most answers
                    self.deadline_s, self._timed = self.server.idle_deadline_s, IDLE
        if self._full:
            self._go_on_reading()

    def _is_last(self, exchange: Exchange) -> bool:
        """Whether the last answer in line is the connection's last; not while a request is half read."""
        if self._ends:
            return exchange.answer is not CONTINUE
        if self.server.is_leaving and self._reader.phase == IDLE and not self._backlog:
            self._reader.ended = True
            self._unread_bytes += 1  # a request may be on its way
            return True
        return False

    def _refuse_and_end(self, error: Refused) -> None:
        """Answer the request at hand, or the connection as such, and take no other from it."""
        exchange = self._current or Exchange(self)
        self._current = None
        exchange.release()
        exchange.mark = b"close"
        self._reader.ended = True
        self._backlog = b""
        self._unread_bytes += 1
        self.deadline_s = inf  # until the answers before it are out
        self._queue.append(exchange)
        self.server.tally.received += exchange.pings
        exchange.refuse(error)

    def _finish(self) -> None:
        """Close behind the last answer; where the client may still be sending, wait until it has seen it.

        Closing a socket with unread bytes resets it, which can overtake the answer (RFC 9112, 9.6).
        """
        self._reader.ended = True
        self.deadline_s = self._after(self.server.config.linger_s)
        if self._unread_bytes and not self._transport.is_closing():
            self._lingering = True
            try:
                self._transport.write_eof()
            except OSError:  # the client is gone; uvloop would tell it later
                self._transport.abort()
                return
            self._transport.resume_reading()  # it may be paused, and then would not see the client's end
        else:
            self._transport.close()

    # Deadlines, and the end of the server.

    def _after(self, wait_s: float) -> float:
        """Return the deadline for a wait that begins now; the clock is up to ``sweep_s`` behind."""
        return self.server.clock_s + self.server.config.sweep_s + wait_s

    def _retime(self) -> None:
        """Set the deadline of what is waited for now."""
        self._timed = phase = self._reader.phase
        if self._full:  # it is not the client who is slow; set anew when there is room again
            self.deadline_s, self._timed = inf, _UNTIMED
        elif self._reader.ended:
            if self._queue:
                self.deadline_s = inf
        elif not self._asked and phase == IDLE:
            self._timed = HEAD  # empty lines: the first head has not begun, and its deadline stands
        elif phase == HEAD:
            self.deadline_s = self._after(self.server.config.header_s)
        elif phase == BODY:
            self.deadline_s = self._after(self._body_s)
        else:
            self.deadline_s = inf if self._queue else self.server.idle_deadline_s

    def expire(self) -> None:
        """A deadline has passed: close who is idle, tell who is in the midst of a request, cut who lags."""
        if self._lingering or self._transport.is_closing() or self.write_deadline_s <= self.server.clock_s:
            self.abort()
        elif self._reader.phase == IDLE:
            self._finish()
        else:
            self._refuse_and_end(Refused(Reason.TIMEOUT, "the request took too long to arrive"))

    def give_way(self) -> None:
        """Refuse the batch whose body is arriving: others need its memory."""
        self._refuse_and_end(
            Refused(Reason.OVERLOADED, "the batch took long to arrive, and others wait; send it again later")
        )

    def stop(self) -> None:
        """Close if nothing is being asked; else the answer to it will be the last."""
        if not self._queue and self._reader.phase == IDLE and not self._lingering:
            self._finish()

    def abort(self) -> None:
        """Cut the connection; what is not sent is lost."""
        self._transport.abort()
