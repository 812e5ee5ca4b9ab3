"""Bytes to requests: what is read, what is refused, and that it does not matter how the bytes are cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.ingest.http import PIECE_BYTES, RequestReader
from callhome.ingest.reasons import Refused
from listener import get, post

URL_BYTES = HEADER_BYTES = 8192


@dataclass
class Recorder:
    """Remembers what is read."""

    read: list[tuple[object, ...]] = field(default_factory=list)

    def on_head(self, request: RequestReader) -> None:
        """Note nothing; the request is noted when it is complete."""

    def on_request(self, request: RequestReader, body: bytes) -> None:
        """Note method, URL, headers of interest and body."""
        facts = (request.content_type, request.content_encoding, request.forwarded, request.expect)
        self.read.append((request.method, request.url, *facts, request.keep_alive, body))


def read(data: bytes, cuts: tuple[int, ...] = ()) -> tuple[list[tuple[object, ...]], int]:
    """Feed bytes, cut at ``cuts`` and into pieces; return the requests, and the refusal's status or 0."""
    sink = Recorder()
    reader = RequestReader(sink, URL_BYTES, HEADER_BYTES)
    ends = sorted(
        {0, len(data), *range(0, len(data), PIECE_BYTES), *(cut for cut in cuts if cut < len(data))}
    )
    try:
        for start, end in pairwise(ends):
            reader.feed(data[start:end])
    except Refused as refused:
        assert reader.ended
        return sink.read, refused.status
    return sink.read, 0


def line(text: str) -> bytes:
    """Return a request with one more header line."""
    return get("/livez", text)


REFUSED = [
    ("row 1: Content-Length with Transfer-Encoding", post(headers="Transfer-Encoding: chunked"), 400),
    (
        "row 1: Transfer-Encoding with Content-Length",
        line("Transfer-Encoding: chunked|Content-Length: 2"),
        400,
    ),
    ("row 1: two Content-Lengths that differ", post(headers="Content-Length: 3"), 400),
    ("row 1: two Content-Lengths that agree", line("Content-Length: 2|Content-Length: 2"), 400),
    ("row 1: a list of Content-Lengths", line("Content-Length: 2, 2"), 400),
    ("row 1: +2", line("Content-Length: +2"), 400),
    ("row 1: -2", line("Content-Length: -2"), 400),
    ("row 1: 0x2", line("Content-Length: 0x2"), 400),
    ("row 1: 2_0", line("Content-Length: 2_0"), 400),
    ("row 1: an empty Content-Length", line("Content-Length: "), 400),
    ("row 1: a Content-Length beyond 64 bits", line("Content-Length: " + "9" * 25), 400),
    ("row 1: bare LF behind the request line", b"GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
    ("row 1: bare LF behind a header", b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400),
    ("row 1: bare LF as the empty line", b"GET / HTTP/1.1\r\nHost: h\r\n\n", 400),
    ("row 1: bare CR in a header", b"GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n", 400),
    ("row 1: obs-fold", line("A: b\r\n c"), 400),
    ("row 1: obs-fold with a tab", line("A: b\r\n\tc"), 400),
    ("row 1: obs-fold of an empty value", line("A:\r\n c"), 400),
    ("row 1: a space before the first header", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    ("row 1: two Hosts", line("Host: h"), 400),
    ("row 1: two Hosts in HTTP/1.0", get("/", "Host: h", "1.0"), 400),
    ("row 1: no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("row 1: a space before the colon", line("Content-Length : 2"), 400),
    ("NUL in a header", line("A: \0"), 400),
    ("no colon", line("A"), 400),
    ("no name", line(": a"), 400),
    ("a Transfer-Encoding of another name", line("Transfer-Encoding: identity"), 400),
    ("an empty Transfer-Encoding", line("Transfer-Encoding: "), 400),
    (
        "row 8: a chunked POST",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        411,
    ),
    (
        "row 8: a chunked POST of HTTP/1.0",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        411,
    ),
    ("row 8: a POST without a length", b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", 411),
    ("RTSP", post().replace(b"HTTP/1.1", b"RTSP/1.0"), 400),
    ("RTSP of version 1.1", get("/livez").replace(b"HTTP/", b"RTSP/"), 400),
    ("RTSP behind two spaces", get("/livez").replace(b" HTTP/", b"  RTSP/"), 400),
    ("RTSP that stays", get("/livez", "Connection: keep-alive").replace(b"HTTP/1.1", b"RTSP/1.0"), 400),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", 400),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("an unknown method", b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("a method in small letters", b"get / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("TLS", bytes.fromhex("16030100f8010000f40303") + b"\x80" * 40, 400),
    ("a URL of 8,193 bytes", get("/" + "a" * URL_BYTES), 414),
    ("a URL without an end", b"GET /" + b"a" * 30_000, 414),
    ("headers of more than 8 KiB", line("|".join(f"A{i}: {'b' * 90}" for i in range(90))), 431),
    ("a header without an end", b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 30_000, 431),
    ("a header name without an end", b"GET / HTTP/1.1\r\nHost: h\r\n" + b"b" * 30_000, 431),
]


@pytest.mark.parametrize(("data", "status"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
@pytest.mark.parametrize("before", [b"", get("/livez")], ids=["first", "second"])
def test_what_is_refused(data: bytes, status: int, before: bytes) -> None:
    """A request that is not clearly one is refused, also behind a good one, whole or byte by byte."""
    bytewise = tuple(range(len(before + data)))
    for cuts in ((), bytewise):
        requests, refused = read(before + data, cuts)
        assert (len(requests), refused) == (bool(before), status)


TAKEN = [
    ("GET", get("/livez"), [(b"GET", b"/livez", b"", True)]),
    ("POST", post(b"{}"), [(b"POST", b"/v1/ping", b"{}", True)]),
    (
        "two behind each other",
        post(b"{}") + get("/"),
        [(b"POST", b"/v1/ping", b"{}", True), (b"GET", b"/", b"", True)],
    ),
    ("an empty body", post(b""), [(b"POST", b"/v1/ping", b"", True)]),
    ("a GET with a body", post(b"{}").replace(b"POST", b"GET"), [(b"GET", b"/v1/ping", b"{}", True)]),
    ("empty lines before it", b"\r\n\r\n" + get("/"), [(b"GET", b"/", b"", True)]),
    ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", [(b"GET", b"/", b"", True)]),
    ("a URL of 8 KiB", get("/" + "a" * 8191), [(b"GET", b"/" + b"a" * 8191, b"", True)]),
    ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", [(b"GET", b"/", b"", False)]),
    ("HTTP/1.0 with keep-alive", get("/", "Connection: keep-alive", "1.0"), [(b"GET", b"/", b"", True)]),
    ("nothing behind HTTP/1.0", get("/", "", "1.0") + get("/2"), [(b"GET", b"/", b"", False)]),
    ("nothing behind Connection: close", get("/", "Connection: close") + b"x", [(b"GET", b"/", b"", False)]),
    ("raw latin-1 in the URL", get("/ping?v=M\xfc"), [(b"GET", b"/ping?v=M%FC", b"", True)]),
    ("RTSP in a URL", get("/ping?v=RTSP/1.0"), [(b"GET", b"/ping?v=RTSP/1.0", b"", True)]),
    ("RTSP in a header", get("/", "User-Agent: GET RTSP/1.0"), [(b"GET", b"/", b"", True)]),
    ("RTSP in a body", post(b"a RTSP/1.0\r\n"), [(b"POST", b"/v1/ping", b"a RTSP/1.0\r\n", True)]),
    ("latin-1 in headers", get("/", "A: \xfc|B: \xe4"), [(b"GET", b"/", b"", True)]),
    (
        "row 2: Upgrade with a body, and another request behind",
        post(b"{}", "Upgrade: websocket|Connection: upgrade") + get("/2"),
        [(b"POST", b"/v1/ping", b"{}", False)],
    ),
    (
        "row 2: Upgrade that Connection does not name",
        post(b"{}", "Upgrade: h2c") + get("/2"),
        [(b"POST", b"/v1/ping", b"{}", False)],
    ),
    (
        "row 2: Upgrade without a body",
        get("/", "Upgrade: x|Connection: upgrade") + b"\0",
        [(b"GET", b"/", b"", False)],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [c[1:] for c in TAKEN], ids=[c[0] for c in TAKEN])
def test_what_is_taken(data: bytes, expected: list[tuple[object, ...]]) -> None:
    """A good request is read, whole or byte by byte; nothing is read where the connection is to end."""
    for cuts in ((), tuple(range(len(data)))):
        requests, refused = read(data, cuts)
        assert [(method, url, body, alive) for method, url, *_, alive, body in requests] == expected
        assert not refused


def test_headers_of_interest_are_read_whatever_their_case() -> None:
    """Header names are not case-sensitive, values lose the spaces around them, forwarded ones are joined."""
    for case in (str, str.upper, str.lower):
        names = map(
            case, ("Content-Type", "Content-Encoding", "X-Forwarded-For", "X-Forwarded-For", "Expect")
        )
        values = ("a/b ", " GZIP", "1.1.1.1", "2.2.2.2", "100-Continue\t")
        headers = "|".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
        ((_, _, *facts, _, _),), _ = read(post(headers=headers))
        assert facts == [b"a/b", b"gzip", b"1.1.1.1,2.2.2.2", b"100-continue"]


def test_expect_of_http_1_0_is_ignored() -> None:
    """A client of HTTP/1.0 cannot wait for 100."""
    ((*_, expect, _, _),), _ = read(post(headers="Expect: 100-continue", version="1.0"))
    assert expect == b""


def test_an_exception_of_the_sink_comes_out_as_it_is() -> None:
    """A fault in what reads the requests is not taken for the client's, and the reader is done."""

    class Faulty(Recorder):
        def on_request(self, request: RequestReader, body: bytes) -> None:
            raise ZeroDivisionError

    reader = RequestReader(Faulty(), URL_BYTES, HEADER_BYTES)
    with pytest.raises(ZeroDivisionError):
        reader.feed(get("/"))
    assert reader.ended


REQUESTS = st.lists(
    st.one_of(
        st.builds(
            post, st.binary(max_size=60), st.sampled_from(["", "A: b", "X-Forwarded-For: 1.1.1.1|Expect: x"])
        ),
        st.builds(get, st.sampled_from(["/livez", "/ping?product=es", "/" + "a" * 5_000])),
    ),
    max_size=5,
).map(b"".join)


@given(REQUESTS, st.lists(st.integers(0, 12_000), max_size=40))
def test_it_does_not_matter_how_requests_are_cut(data: bytes, cuts: list[int]) -> None:
    """Any cutting of a stream of requests gives the same requests."""
    assert read(data, tuple(cuts)) == read(data)


LATIN = [
    ("an old GET", get("/ping?v=M\xfc&w=\xe4")),
    ("an old GET behind empty lines", b"\r\n\r\n" + get("/ping?v=M\xfc")),
    ("a header", get("/ping?v=M\xfc", "A: \xfc\xe4")),
    ("a form", post(b"v=M\xfc&w=\xe4")),
    ("a form with one header", b"POST /ping?v=M\xfc HTTP/1.0\r\nContent-Length: 4\r\n\r\nv=\xfcM"),
    ("JSON with one header", b'POST /v1/ping HTTP/1.0\r\nContent-Length: 4\r\n\r\n"\xc3\xbc"'),
    ("a body that begins with ends of lines", b"POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n\r\n\xfc\xfc"),
]


@pytest.mark.parametrize("data", [c[1] for c in LATIN], ids=[c[0] for c in LATIN])
def test_bytes_above_ascii_are_escaped_in_the_request_line_only(data: bytes) -> None:
    """Wherever a request is cut, its URL is %-escaped, and its body is what was sent."""
    whole = read(data)
    (request,) = whole[0]
    length = data.partition(b"Content-Length: ")[2]
    assert request[-1] == (data[-int(length.partition(b"\r")[0]) :] if length else b"")
    for cut in range(1, len(data)):
        assert read(data, (cut,)) == whole
        assert read(data, (cut, cut + 1)) == whole
    assert read(data, tuple(range(len(data)))) == whole


@given(
    st.one_of(
        st.binary(max_size=300), st.binary(max_size=100).map(lambda tail: b"POST / HTTP/1.1\r\n" + tail)
    )
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes raise anything but a refusal with a 4xx status, however they are cut."""
    requests, refused = read(data)
    assert refused == 0 or 400 <= refused < 500
    assert len(read(data, tuple(range(len(data))))[0]) == len(requests)
