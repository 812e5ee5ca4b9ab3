"""Strict HTTP/1.x requests out of bytes: llhttp, as httptools binds it, and what it leaves out. No I/O.

llhttp refuses by itself: Content-Length with Transfer-Encoding, two Content-Lengths or one that is no plain
number, bare CR or LF, obs-fold, a space before the colon, control characters, unknown methods. Added here:
two Hosts or none, versions other than 1.0 and 1.1, other protocols of the same shape (RTSP), any Transfer-Encoding,
POST without a length, bounds of URL and headers. Loosened: bytes of latin-1 in a URL, which old copies send raw, are
read as if %-encoded. After an Upgrade (or ``Connection: close``) nothing more is read as a request: see RFC 9110,
section 7.8.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from .reasons import Reason, Refused

# Where in a request the next byte belongs. Plain integers: they are compared for every request.
IDLE: Final = 0
HEAD: Final = 1
BODY: Final = 2

# ``feed()`` takes at most so much at once. What one piece holds is parsed to its end, so this bounds how many
# pipelined requests come beyond the bound of the pipeline: PIECE_BYTES / 32, the shortest request.
PIECE_BYTES: Final = 1024


class Sink(Protocol):
    """Takes what a :class:`RequestReader` reads; what these raise comes out of ``feed()``."""

    def on_head(self, request: RequestReader) -> None:
        """The head is complete and correct; its body, if any, is not read yet."""

    def on_request(self, request: RequestReader, body: bytes) -> None:
        """The request is complete."""


_HOST, _LENGTH, _TYPE, _ENCODING, _FORWARDED, _CONNECTION, _TRANSFER, _UPGRADE, _EXPECT = range(1, 10)
_KINDS: Final = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"content-type": _TYPE,
    b"content-encoding": _ENCODING,
    b"x-forwarded-for": _FORWARDED,
    b"connection": _CONNECTION,
    b"transfer-encoding": _TRANSFER,
    b"upgrade": _UPGRADE,
    b"expect": _EXPECT,
    # The rest is not looked at; named, because names found here are not lowered first.
    b"accept": 0,
    b"accept-encoding": 0,
    b"user-agent": 0,
}
_KINDS.update({name.title(): kind for name, kind in tuple(_KINDS.items())})
_kind_of: Final = _KINDS.get

_HIGH: Final = re.compile(rb"[\x80-\xff]")


class _EndedError(Exception):
    """Stops the parser at the begin of a request that must not be read."""


class RequestReader:
    """Reads the requests of one connection, one after the other, out of the bytes fed to it.

    The attributes without an underscore describe the request at hand, from ``on_head`` to the end of
    ``on_request``: ``length`` is that of the body (0 if there is none), ``forwarded`` all X-Forwarded-For
    headers joined, ``expect`` the Expect header (``100-continue``: the client waits for that). ``ended`` says
    that no further request is read; whoever owns the reader may set it.

    Memory: 2 × (url_bytes + header_bytes + PIECE_BYTES), and the one body that ``on_head`` let pass.
    """

    __slots__ = (
        "_body", "_fed", "_feed", "_head_fed_bytes", "_header_bytes", "_header_bytes_max", "_hosts", "_line_end",
        "_parser", "_raw_bytes", "_sink", "_skipped", "_transfer", "_unusual", "_url_bytes_max",
        "content_encoding", "content_type", "ended", "expect", "forwarded", "keep_alive", "length", "method",
        "phase", "upgrade", "url", "version",
    )  # fmt: skip

    def __init__(self, sink: Sink, url_bytes: int, header_bytes: int) -> None:
        self._sink = sink
        self._url_bytes_max = url_bytes
        self._header_bytes_max = header_bytes
        self._parser = HttpRequestParser(self)
        self._feed = self._parser.feed_data
        self._body: bytes | bytearray = b""  # joined as it comes: many short parts would take far more
        self._raw_bytes = 0
        self._fed = b""  # the piece at hand, and those before it that a head at hand began in
        self.phase = IDLE
        self.ended = False
        self._reset()

    def _reset(self) -> None:
        self._hosts = self._header_bytes = self._head_fed_bytes = 0
        self._unusual = self.upgrade = False
        self._transfer = self.expect = self.forwarded = b""
        self.url = self.method = self.content_type = self.content_encoding = b""
        self.length = -1
        self.keep_alive = True
        self.version = "1.1"

    @property
    def is_plain(self) -> bool:
        """Whether an equal head may be taken without reading it: see ``heads.py``."""
        return self.keep_alive and not self._unusual and not self.forwarded and self.version == "1.1"

    @property
    def is_http_1_0(self) -> bool:
        """Whether the client is told explicitly that the connection stays (RFC 9112, appendix C.2.2)."""
        return self.version == "1.0"

    def feed(self, data: bytes, *, as_it_is: bool = False) -> None:
        """Read at most ``PIECE_BYTES``; raise :class:`Refused`, or whatever the sink raised.

        After that, and whenever it has ``ended``, bytes are ignored. ``as_it_is``: there is nothing to escape in them.
        """
        if not as_it_is and not data.isascii():
            self._feed_lines(data)
            return
        if self.ended or self._raw_bytes:
            self._feed_raw(data)
            return
        if not self._fed:
            # Where in it the last request line ends; how much body follows on that head, or on the begin.
            self._line_end = -1
            self._skipped = self.length - len(self._body) if self.phase == BODY else 0
        self._fed += data
        try:
            self._feed(data)
        except HttpParserUpgrade as upgrade:
            self._feed_raw(data[upgrade.args[0] :])
        except HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _EndedError):
                self.ended = True
                raise cause or error from None
        except HttpParserError as error:
            if not self.ended:
                self.ended = True
                raise Refused(Reason.MALFORMED_HTTP, f"expected HTTP/1.1: {error}") from None
        if self.phase == HEAD:
            # What llhttp has not handed over yet counts as well. A head's first piece may begin with another request.
            self._head_fed_bytes += len(data)
            if self._head_fed_bytes > self._url_bytes_max + self._header_bytes_max + PIECE_BYTES:
                self.ended = True
                raise _header_too_large(self._header_bytes_max)
        else:
            self._fed = b""

    def _feed_lines(self, data: bytes) -> None:
        """Feed line by line, and body by body, so that it is known what is a request line, and escape that."""
        while data and not self.ended:
            in_body = self.phase == BODY
            size = max(1, self.length - len(self._body)) if in_body else data.find(b"\n") + 1 or len(data)
            part, data = data[:size], data[size:]
            self.feed(_HIGH.sub(_escape, part) if not in_body and self._in_line else part, as_it_is=True)

    @property
    def _in_line(self) -> bool:  # whether a request line begins, has no URL yet, or has not ended behind it
        return (
            self.phase == IDLE or b"\n" not in self._fed[self._fed.rfind(b" " + self.url) :] or not self.url
        )

    def close(self) -> None:
        """Let go of the parser and what it refers to; the reader is of no use afterwards."""
        self.ended = True
        del self._feed, self._parser
        self._body = self._fed = b""

    # What llhttp calls, in this order.

    def on_message_begin(self) -> None:
        """A first byte of a request."""
        if self.ended:
            raise _EndedError
        self.phase = HEAD
        self._reset()

    def on_url(self, url: bytes) -> None:
        """A part of the URL, most often all of it."""
        self.url += url
        if len(self.url) > self._url_bytes_max:
            raise Refused(Reason.URL_TOO_LONG, f"expected a URL of at most {self._url_bytes_max} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole header; trailing spaces are still there."""
        self._header_bytes += len(name) + len(value) + 4
        kind = _kind_of(name)
        if kind is None:
            kind = _kind_of(name.lower(), 0)
        if kind == 0:
            return
        if kind == _HOST:
            self._hosts += 1
        elif kind == _LENGTH:
            self.length = int(value)  # llhttp let only digits pass, and at most 20
        elif kind == _TYPE:
            self.content_type = value.rstrip()
        elif kind == _ENCODING:
            self.content_encoding = value.strip().lower()
        elif kind == _FORWARDED:
            self.forwarded = self.forwarded + b"," + value if self.forwarded else value
        else:
            self._unusual = True
            if kind == _TRANSFER:
                self._transfer = value.strip().lower() or b"none"
            elif kind == _EXPECT:
                self.expect = value.strip().lower()
            elif kind == _UPGRADE:
                self.upgrade = True

    def on_headers_complete(self) -> None:
        """The empty line after the headers."""
        parser = self._parser
        self.method = parser.get_method()
        self.keep_alive = keep_alive = parser.should_keep_alive()
        fed, begins = self._fed, self._skipped
        if self._line_end >= 0:
            begins += fed.find(b"\r\n\r\n", self._line_end) + 4
        self._line_end = end = fed.find(b"\r\n", begins)
        if not fed.endswith(b" HTTP/1.1", begins, end):
            self._check_protocol(begins)
        if self._header_bytes > self._header_bytes_max:
            raise _header_too_large(self._header_bytes_max)
        if self._unusual or self._hosts != 1 or not keep_alive:
            self._check_unusual()
        if self.length < 0:
            if self.method == b"POST":
                raise Refused(Reason.LENGTH_REQUIRED, "expected Content-Length")
            self.length = 0
        self._skipped = self.length
        self.phase = BODY
        self._sink.on_head(self)

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        if not self._body:
            self._body = part
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += part

    def on_message_complete(self) -> None:
        """The last byte of a request; for an upgrade, llhttp says so before the body."""
        if self.upgrade and self.length and self._parser.should_upgrade():
            self._raw_bytes = self.length
        else:
            self._complete()

    def _check_protocol(self, begins: int) -> None:
        """Refuse RTSP, which llhttp takes for HTTP without telling: look at what stands behind the URL."""
        url = b" %b " % self.url
        end = self._fed.find(url, begins) + len(url)
        if self._fed[end:].lstrip(b" ").startswith(b"RTSP/"):
            raise Refused(Reason.MALFORMED_HTTP, "expected HTTP, not RTSP")
        self._line_end = self._fed.find(b"\r\n", end)

    def _check_unusual(self) -> None:
        """Check what most requests need not be checked for."""
        self.version = version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refused(Reason.MALFORMED_HTTP, "expected HTTP/1.1 or HTTP/1.0")
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            raise Refused(Reason.MALFORMED_HTTP, "expected one Host header")
        if self._transfer == b"chunked":
            raise Refused(Reason.LENGTH_REQUIRED, "expected Content-Length, not a chunked body")
        if self._transfer:
            raise Refused(Reason.MALFORMED_HTTP, "expected no Transfer-Encoding")
        if self.upgrade:
            self.keep_alive = False
        if version == "1.0":
            self.expect = b""  # RFC 9110, section 10.1.1

    def _feed_raw(self, data: bytes) -> None:
        """Take the body of a request with Upgrade, which llhttp leaves to its caller."""
        if self._raw_bytes and not self.ended:
            part = data[: self._raw_bytes]
            self.on_body(part)
            self._raw_bytes -= len(part)
            if not self._raw_bytes:
                self._complete()

    def _complete(self) -> None:
        body, self._body = self._body, b""
        self.phase = IDLE
        self.ended = not self.keep_alive
        self._sink.on_request(self, body if isinstance(body, bytes) else bytes(body))


def _escape(high: re.Match[bytes]) -> bytes:
    return b"%%%02X" % high[0][0]


def _header_too_large(header_bytes: int) -> Refused:
    return Refused(Reason.HEADER_TOO_LARGE, f"expected headers of at most {header_bytes} bytes")
