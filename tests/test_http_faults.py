"""Faults and bad input over real sockets, end to end through the listener, numbered as the promises are."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from ipaddress import ip_network

import orjson
import pytest

from listener import LIVEZ, PING, HeldCommit, get, listening, post


def ping(**fields: object) -> bytes:
    """Return a ping with fields set."""
    return orjson.dumps({**orjson.loads(PING), **fields})


def raw(old: bytes, new: bytes) -> bytes:
    """Return a ping with bytes replaced."""
    assert old in PING
    return PING.replace(old, new)


SMUGGLED = get("/ping?product=es&version=1&install=smuggled00")
HTTP = [
    ("row 1: Content-Length with Transfer-Encoding", post(headers="Transfer-Encoding: chunked"), 400),
    ("row 1: two Content-Lengths", post(headers=f"Content-Length: {len(PING)}"), 400),
    ("row 1: Content-Length +2", b"POST /v1/ping HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n{}", 400),
    ("row 1: bare LF", post().replace(b"Host: h\r\n", b"Host: h\n"), 400),
    ("row 1: obs-fold", post(headers="A: b\r\n c"), 400),
    ("row 1: two Hosts", post(headers="Host: h"), 400),
    ("row 1: no Host", post().replace(b"Host: h\r\n", b""), 400),
    ("row 5: a body of 10 GB", post(b"", length=10 * 10**9), 413),
    ("row 5: a batch of 10 GB", post(b"", "", "/v1/pings", length=10 * 10**9), 413),
    (
        "row 8: chunked",
        b"POST /v1/ping HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        411,
    ),
]


@pytest.mark.parametrize(("data", "status"), [c[1:] for c in HTTP], ids=[c[0] for c in HTTP])
@pytest.mark.fault(1, 5, 8)
async def test_bad_http_is_refused_and_closed(data: bytes, status: int) -> None:
    """Rows 1, 5, 8: refused at once and closed; what is sent behind is no request."""
    async with listening() as listener:
        answer = await listener.ask_last(data + SMUGGLED)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert set(orjson.loads(answer.body)) == {"reason", "message"}
        assert not listener.commit.rows
        assert sum(listener.tally.refused.values()) == listener.tally.received == 1


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
@pytest.mark.fault(2)
async def test_nothing_is_read_behind_an_upgrade(upgrade: str) -> None:
    """Row 2: the request that asks for an upgrade is answered as it is, and no second one is parsed."""
    headers = f"Upgrade: {upgrade}|Connection: Upgrade"
    async with listening() as listener:
        for data in (post(headers=headers) + SMUGGLED, post(headers=f"Upgrade: {upgrade}") + SMUGGLED):
            assert (await listener.ask_last(data)).status == 204
        assert len(listener.commit.rows) == 2


@pytest.mark.fault(2)
async def test_body_of_an_upgrade_may_come_late() -> None:
    """Row 2: the body of such a request is read to its length, wherever it is cut."""
    data = post(headers="Upgrade: h2c|Connection: Upgrade")
    async with listening() as listener, listener.client() as client:
        for at in range(len(data) - 60, len(data)):
            client.send(data[at : at + 1] if at > len(data) - 60 else data[: at + 1])
            await asyncio.sleep(0)
        answer = await client.answer()
        assert (answer.status, answer.closes) == (204, True)


@pytest.mark.fault(3)
async def test_silent_socket_and_half_a_header_are_closed() -> None:
    """Row 3: who says nothing is closed, who says half of a head is told 408; dripping doesn't help."""
    async with listening(header_s=0.3) as listener:
        async with listener.client() as silent:
            assert await silent.end() == b""
        async with listener.client() as dripping:
            said = asyncio.ensure_future(dripping.answer())
            for byte in b"GET /livez HTTP/1.1\r\nHost: " + b"h" * 100:
                dripping.send(bytes([byte]))
                await asyncio.wait([said], timeout=0.02)
                if said.done():
                    break
            assert (await said).status == 408


@pytest.mark.fault(3)
async def test_second_head_has_its_own_deadline() -> None:
    """Row 3: half a header behind a good request is ended just so, long before an idle connection."""
    async with listening(header_s=0.1) as listener, listener.client() as client:
        await client.send(LIVEZ).answer()
        await asyncio.sleep(0.15)
        assert (await client.send(LIVEZ[:-2]).answer()).status == 408


@pytest.mark.fault(4)
async def test_dripping_body_is_ended() -> None:
    """Row 4: a body that comes a byte at a time is told 408 when its time is over."""
    async with listening(body_s=0.3) as listener, listener.client() as client:
        said = asyncio.ensure_future(client.send(post(b"", length=1_000)).answer())
        while not said.done():
            client.send(b" ")
            await asyncio.wait([said], timeout=0.02)
        assert (said.result().status, said.result().closes) == (408, True)


def bomb(unpacked_mib: int) -> bytes:
    """Return zeros, compressed a thousandfold; they are never in memory here either."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(unpacked_mib)), packer.flush()])


@pytest.mark.fault(6)
async def test_gzip_bomb_is_cut() -> None:
    """Row 6: a bomb is told 413, and at no time costs more than 20 MB."""
    data = post(bomb(500), "Content-Encoding: gzip", "/v1/pings")
    async with listening() as listener:
        tracemalloc.start()
        try:
            for _ in range(3):
                answer = await listener.ask(data)
                assert (answer.status, orjson.loads(answer.body)["reason"]) == (413, "body_too_large")
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 20_000_000


SQUEEZED = gzip.compress(PING * 100)


@pytest.mark.parametrize(
    "body",
    [b"", b"no gzip", SQUEEZED[:-1], SQUEEZED[:20], SQUEEZED + b"x", SQUEEZED[:-6] + b"123456", b"\x1f\x8b"],
    ids=["empty", "plain", "cut by one", "cut short", "more behind", "wrong checksum", "only magic"],
)
@pytest.mark.fault(7)
async def test_broken_gzip_is_refused(body: bytes) -> None:
    """Row 7: corrupt or truncated gzip is told 400, and the connection lives on."""
    async with listening() as listener, listener.client() as client:
        answer = await client.send(post(body, "Content-Encoding: gzip", "/v1/pings") + LIVEZ).answer()
        assert (answer.status, orjson.loads(answer.body)["reason"]) == (400, "bad_encoding")
        assert (await client.answer()).status == 200
        assert not listener.commit.rows


BODIES = [
    ("row 9: 1,000 deep", raw(b'"es"', b'"es","extra":' + b"[" * 1_000 + b"]" * 1_000), "too_deep"),
    (
        "row 9: 1,000 deep in an unknown field",
        raw(b'"es"', b'"es","x":' + b'{"a":' * 1_000 + b"1" + b"}" * 1_000),
        "too_deep",
    ),
    ("row 10: 2⁶⁴", raw(b'"es"', b'"es","users":18446744073709551616'), "users"),
    ("row 10: 1.9 for an integer", raw(b'"es"', b'"es","users":1.9'), "users"),
    ("row 10: NaN", raw(b'"es"', b'"es","users":NaN'), "offset"),
    ("row 10: bad UTF-8", raw(b"1.2", b"1.\xff"), "offset"),
    ("row 10: bad UTF-8 in an unknown field", raw(b'"es"', b'"es","x":"\xff"'), "offset"),
    ("row 10: a lone surrogate", raw(b"1.2", rb"1.\ud800"), "offset"),
    ("row 10: a byte order mark", b"\xef\xbb\xbf" + PING, "offset"),
    ("row 11: NUL", ping(version="1\0"), "version"),
    ("row 11: a control character", ping(os="Win\x1b[2J"), "os"),
    ("row 11: U+202E", ping(build="1\u202e2"), "build"),
]


@pytest.mark.parametrize(("body", "place"), [c[1:] for c in BODIES], ids=[c[0] for c in BODIES])
@pytest.mark.fault(9, 10, 11)
async def test_bad_ping_is_refused_with_its_place(body: bytes, place: str) -> None:
    """Rows 9 to 11: 400 with field or byte offset, nothing reaches the commit, the connection lives on."""
    async with listening() as listener, listener.client() as client:
        answer, alive = await client.send(post(body) + LIVEZ).answers(2)
        told = orjson.loads(answer.body)
        assert (answer.status, alive.status) == (400, 200)
        assert place in (told.get("field"), told["reason"]) or "offset" in told
        told_in_batch = orjson.loads((await client.send(post(body, "", "/v1/pings")).answer()).body)
        assert told_in_batch == {"stored": 0, "refused": [{"line": 1, **told}]}
        assert not listener.commit.rows
        assert listener.tally.refused == {told["reason"]: 2}


@pytest.mark.fault(9)
async def test_million_deep_json_is_too_large() -> None:
    """Row 9: JSON a million deep does not fit a ping, and is told so before it is read."""
    async with listening() as listener:
        assert (await listener.ask_last(post(b"[" * 10**6))).status == 413


@pytest.mark.fault(12)
async def test_unknown_fields_and_duplicate_keys_are_taken() -> None:
    """Row 12: unknown fields are ignored, of duplicate keys the last counts."""
    async with listening() as listener:
        assert (await listener.ask(post(ping(unknown=[{"a": None}])))).status == 204
        assert (await listener.ask(post(raw(b'"es"', b'"zz","product":"es"')))).status == 204
        answer = await listener.ask(post(raw(b'"es"', b'"es","product":"zz"')))
        assert orjson.loads(answer.body)["reason"] == "unknown_product"


FORWARDED = [
    ("from nobody we trust", (), "198.51.100.1", "127.0.0.1"),
    ("from a proxy", ("127.0.0.0/8",), "1.1.1.1, 198.51.100.1", "198.51.100.1"),
    ("ten hops of proxies", ("127.0.0.0/8",), "198.51.100.1" + ", 127.0.0.9" * 10, "127.0.0.9"),
    ("garbage", ("127.0.0.0/8",), "198.51.100.1, \xff<>", "127.0.0.1"),
    ("two headers", ("127.0.0.0/8",), "198.51.100.1|X-Forwarded-For: 127.0.0.9", "198.51.100.1"),
]


@pytest.mark.parametrize(
    ("networks", "header", "expected"), [c[1:] for c in FORWARDED], ids=[f"row 14: {c[0]}" for c in FORWARDED]
)
@pytest.mark.fault(14)
async def test_forwarded_header_is_believed_only_from_proxies(
    networks: tuple[str, ...], header: str, expected: str
) -> None:
    """Row 14: the address looked up is the socket's unless a trusted proxy says otherwise."""
    trusted = tuple(map(ip_network, networks))
    async with listening(trusted_proxies=trusted) as listener:
        for data in (
            post(headers=f"X-Forwarded-For: {header}"),
            get("/ping?product=es&version=1", f"X-Forwarded-For: {header}"),
        ):
            await listener.ask(data)
        assert listener.atlas.seen == [expected] * 2


async def test_one_bad_client_harms_no_other() -> None:
    """Slow, silent, malformed and hostile clients together leave another's pings untouched."""
    async with listening(HeldCommit(), pipeline=4) as listener:
        async with listener.client() as silent, listener.client() as slow, listener.client() as greedy:
            silent.send(b"")
            slow.send(post()[:-5])
            greedy.send(LIVEZ * 50_000)
            for _ in range(20):
                assert (await listener.ask(post())).status == 204
                assert (await listener.ask_last(b"\x16\x03\x01" * 100)).status == 400
        assert len(listener.commit.rows) == 20
