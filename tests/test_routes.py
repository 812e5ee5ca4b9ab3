"""Paths, methods, types and sizes: what a head must say to be let in."""

from __future__ import annotations

import pytest

from listener import LIVEZ, PING, Answer, get, listening, post

LEGACY = "/ping?product=es&version=1&install=0123456789"
FORM = b"product=es&version=1&install=0123456789"

# What is sent, the status, and whether the connection ends with it.
CASES = [
    ("a ping", post(headers="Content-Type: application/json"), 204, False),
    (
        "its type may have parameters",
        post(headers="Content-Type: Application/JSON; charset=utf-8"),
        204,
        False,
    ),
    ("its type may be left out", post(), 204, False),
    ("its query is ignored", post(path="/v1/ping?x=1"), 204, False),
    ("its URL may be absolute", post(path="http://h:80/v1/ping"), 204, False),
    ("its encoding may be named", post(headers="Content-Encoding: identity"), 204, False),
    ("another type", post(headers="Content-Type: text/plain"), 415, False),
    (
        "what curl sends by itself",
        post(headers="Content-Type: application/x-www-form-urlencoded"),
        415,
        False,
    ),
    ("a compressed ping", post(headers="Content-Encoding: gzip"), 415, False),
    ("another method", get("/v1/ping"), 405, False),
    ("a batch", post(PING + b"\n", "Content-Type: application/x-ndjson", "/v1/pings"), 200, False),
    ("a batch without a type", post(PING, "", "/v1/pings"), 200, False),
    ("a batch of another type", post(PING, "Content-Type: application/json", "/v1/pings"), 415, False),
    ("a batch of another encoding", post(PING, "Content-Encoding: br", "/v1/pings"), 415, False),
    ("a batch twice encoded", post(PING, "Content-Encoding: gzip, gzip", "/v1/pings"), 415, False),
    ("a batch by GET", get("/v1/pings"), 405, False),
    ("an old GET", get(LEGACY), 200, False),
    ("an old GET of HTTP/1.0", get(LEGACY, "", "1.0"), 200, True),
    ("an old form", post(FORM, "Content-Type: application/x-www-form-urlencoded", "/ping"), 200, False),
    ("an old form without a type", post(FORM, "", "/ping"), 200, False),
    ("an old form with a query", post(b"", "", LEGACY), 200, False),
    (
        "an old form in parts",
        post(FORM, "Content-Type: multipart/form-data; boundary=x", "/ping"),
        415,
        False,
    ),
    ("an old PUT", get(LEGACY).replace(b"GET", b"PUT"), 405, False),
    ("liveness", LIVEZ, 200, False),
    ("liveness with a query", get("/livez?verbose"), 200, False),
    ("liveness by POST", post(b"", "", "/livez"), 405, False),
    ("an unknown path", get("/"), 404, False),
    ("an unknown path with a body", post(b"x" * 16_384, "", "/v1/pong"), 404, False),
    ("an unknown path with a larger body", post(b"", "", "/v1/pong", length=16_385), 413, True),
    ("an absolute URL without a path", get("http://h"), 404, False),
    ("all of the server", get("*").replace(b"GET", b"OPTIONS"), 404, False),
    ("a tunnel", get("h:443").replace(b"GET", b"CONNECT"), 405, True),
    ("a ping that is too long", post(b"", length=16_385), 413, True),
    ("a batch that is too long", post(b"", "", "/v1/pings", length=2**20 + 1), 413, True),
    ("an Expect of another kind", post(headers="Expect: 200-ok"), 417, True),
]


@pytest.mark.parametrize(("data", "status", "closes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
async def test_requests_and_their_status(data: bytes, status: int, closes: bool) -> None:
    """Each request has its status, and its connection lives on unless it can't."""
    async with listening() as listener, listener.client() as client:
        answer = await client.send(data).answer()
        assert (answer.status, answer.closes) == (status, closes)
        if closes:
            assert await client.end() == b""
        else:
            assert (await client.send(LIVEZ).answer()).body == b"ok"


async def test_405_names_the_methods() -> None:
    """A 405 says which methods there are."""
    async with listening() as listener:
        answer = await listener.ask(get("/v1/ping"))
        assert answer.headers["allow"] == "POST"
        answer = await listener.ask(get("/ping").replace(b"GET", b"DELETE"))
        assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(("path", "status"), [("/ping", 405), ("/livez", 405), ("/nowhere", 404)])
async def test_head_gets_no_body(path: str, status: int) -> None:
    """HEAD is answered without a body, so that the next answer is where the client looks for it."""
    async with listening() as listener, listener.client() as client:
        client.send(get(path).replace(b"GET", b"HEAD") + LIVEZ)
        assert (await client.answer(to_head=True)).status == status
        assert (await client.answer()).body == b"ok"


async def test_old_paths_are_configured() -> None:
    """Old copies are answered on the addresses they know, and their fields are translated."""
    fields = {"prod": "product", "sn": "license"}
    async with listening(legacy_paths=("/check/ping.php",), legacy_fields=fields) as listener:
        answer = await listener.ask(get("/check/ping.php?prod=es&version=1&sn=A"))
        assert (answer.status, answer.body, answer.headers["content-type"]) == (
            200,
            b"OK",
            "text/plain; charset=utf-8",
        )
        assert answer.headers["cache-control"] == "no-store"
        assert len(listener.commit.rows) == 1
        assert (await listener.ask(get("/check"))).status == 404


@pytest.mark.parametrize(
    ("data", "always_ok", "expected"),
    [
        (get("/ping?product=es"), False, (400, b"missing_field (version): this field is required\n")),
        (get("/ping?product=es"), True, (200, b"OK")),
        (get("/ping?product=nope&version=1"), True, (200, b"OK")),
        (get("/ping").replace(b"GET", b"PUT"), True, (200, b"OK")),
        (get("/nowhere"), True, (404, None)),
    ],
)
async def test_old_copies_may_be_spared_the_truth(
    data: bytes, always_ok: bool, expected: tuple[object, ...]
) -> None:
    """Old copies are told why in plain text, or OK in any case if that is set; it is counted either way."""
    async with listening(legacy_always_ok=always_ok) as listener:
        answer: Answer = await listener.ask(data)
        assert (answer.status, answer.body) == expected or expected == (answer.status, None)
        assert sum(listener.tally.refused.values()) == listener.tally.received == 1
