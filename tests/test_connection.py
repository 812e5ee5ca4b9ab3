"""One connection: order, keep-alive, bounds in both directions, deadlines, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import struct
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from callhome.ingest.http import IDLE, PIECE_BYTES
from callhome.ingest.reasons import Reason
from listener import LIVEZ, PATIENCE_S, PING, HeldCommit, get, listening, post, until

OLD = get("/ping?product=es&version=1&install=0123456789")


async def test_answers_come_in_the_order_of_requests() -> None:
    """An answer that is ready waits for those to earlier requests."""
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(post() + LIVEZ + OLD + post(b"{") + post())
        await listener.commit.has(3)
        listener.commit.waiting.reverse()
        listener.commit.settle()
        assert [answer.status for answer in await client.answers(5)] == [204, 200, 200, 400, 204]


async def test_a_client_that_is_gone_is_answered_without_harm() -> None:
    """Nothing is raised when the last answer goes to a client that has left, while nothing more was read of it."""
    async with listening(HeldCommit(held=True)) as listener:
        async with listener.client() as client:
            client.send(post(PING, "", "/v1/pings"))
            await listener.commit.has(1)
        await asyncio.sleep(0.02)
        listener.server.stop_accepting()  # so that it waits for the client to have seen the answer
        listener.commit.settle()
        await listener.gone()


async def test_connection_stays_for_many_requests() -> None:
    """Requests follow one another on a connection, of HTTP/1.0 too where the client wants it."""
    async with listening() as listener, listener.client() as client:
        for _ in range(3):
            assert (await client.send(post()).answer()).status == 204
        answer = await client.send(get("/livez", "Connection: keep-alive", "1.0")).answer()
        assert answer.headers["connection"] == "keep-alive"
        assert (await listener.ask_last(get("/livez", "", "1.0"))).status == 200
        assert (await listener.ask_last(get("/livez", "Connection: close"))).status == 200


ODD = b"\x00\xff is no head: "
LINES = post(PING + b"\n" + PING, path="/v1/pings")
LINES_HEAD = LINES[: LINES.index(b"\r\n\r\n") + 4]


@pytest.mark.parametrize(
    ("begun", "rest", "victim", "status"),
    [
        (post(b" " * 9, length=9 + len(ODD)), ODD + post(), ODD + post(), 400),
        (
            b"POST /v1/ping HTTP/1.1\r\nX-A: ",
            LINES_HEAD + PING.ljust(len(LINES) - len(LINES_HEAD)),
            LINES,
            200,
        ),
    ],
    ids=["behind a body", "within a head"],
)
async def test_what_lies_behind_a_beginning_is_no_known_head(
    begun: bytes, rest: bytes, victim: bytes, status: int
) -> None:
    """A stranger's piece of a request that ends in a whole one doesn't change how the requests of others are read."""
    async with listening() as listener:
        async with listener.client() as stranger:
            stranger.send(begun)
            await until(lambda: any(each._reader.phase != IDLE for each in listener.server.connections))
            await stranger.send(rest).answer()
        for _ in range(2):
            assert (await listener.ask(victim)).status == status


async def test_a_flood_on_one_connection_holds_up_no_other() -> None:
    """While one connection sends thousands of requests that are answered at once, another has its answer soon."""
    async with listening() as listener, listener.client() as flood, listener.client() as other:
        await other.send(LIVEZ).answer()
        flood.send(get("/") * 30_000)
        await until(lambda: listener.tally.received > 0)
        before = listener.tally.received
        assert (await other.send(LIVEZ).answer()).status == 200
        assert listener.tally.received - before < 2_000
        assert {answer.status for answer in await flood.answers(5_000)} == {404}


@pytest.mark.fault(3)
async def test_empty_lines_do_not_put_the_first_request_off() -> None:
    """Row 3: who sends nothing but the empty lines that may stand before a request is closed like who says nothing."""
    async with listening(header_s=0.2) as listener, listener.client() as client:
        assert await client.send(b"\r\n").end() == b""


async def test_pipelined_requests_are_bounded() -> None:
    """Beyond the bound nothing more is read from the client until answers leave; then all are answered."""
    count, size = 2_000, len(post())
    async with listening(HeldCommit(held=True), pipeline=4) as listener, listener.client() as client:
        client.send(post() * count)
        await listener.commit.has(4)
        await asyncio.sleep(0.05)
        assert len(listener.commit.waiting) <= 4 + PIECE_BYTES // size + 1
        listener.commit.held = False
        listener.commit.settle()
        assert {answer.status for answer in await client.answers(count)} == {204}
    assert len(listener.commit.rows) == count


async def test_client_that_never_reads_is_cut() -> None:
    """A client that asks and asks and takes no answer is read no further, and cut after a while."""
    async with listening(write_s=0.2) as listener:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", listener.server.port))
            client.setblocking(False)
            sent: list[int] = []

            async def ask_on() -> None:
                while True:
                    try:
                        sent.append(client.send(LIVEZ * 1_000))
                    except BlockingIOError:
                        await asyncio.sleep(0.005)

            with pytest.raises(ConnectionError):
                await asyncio.wait_for(ask_on(), PATIENCE_S)
        # The socket buffers of both sides, and what the server holds.
        assert sum(sent) < 20_000_000
        await listener.gone()


async def test_client_that_reads_late_gets_everything() -> None:
    """Answers that the client could not take at once follow when it reads."""
    async with listening() as listener, listener.client() as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(get("/v1/ping") * 20_000)
        await asyncio.sleep(0.3)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert {answer.status for answer in await client.answers(20_000)} == {405}


async def test_continue_is_sent_when_the_head_is_acceptable() -> None:
    """A client that expects 100 gets it before its body, behind the answers that are due."""
    head, body = post(headers="Expect: 100-continue")[: -len(PING)], PING
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(post() + head)
        await listener.commit.has(1)
        listener.commit.settle()
        assert [answer.status for answer in await client.answers(2)] == [204, 100]
        client.send(body)
        await listener.commit.has(1)
        listener.commit.settle()
        assert (await client.answer()).status == 204


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (post(b"", "Expect: 100-continue", "/nowhere", length=9), 404),
        (post(b"", "Expect: 100-continue|Content-Type: text/plain", length=9), 415),
        (post(b"", "Expect: 100-continue", length=10**10), 413),
    ],
)
async def test_final_answer_instead_of_continue(data: bytes, status: int) -> None:
    """A client that expects 100 for what will be refused is told at once, and its body is not awaited."""
    async with listening() as listener:
        assert (await listener.ask_last(data)).status == status


async def test_half_closed_client_is_answered() -> None:
    """A client that ends its side behind the request still gets the answer, then the end."""
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(post() + post()).writer.write_eof()
        await listener.commit.has(2)
        await asyncio.sleep(0.02)
        listener.commit.settle()
        first, second = await client.answers(2)
        assert (first.closes, second.closes, second.status) == (False, True, 204)
        assert await client.end() == b""


async def test_half_closed_client_without_a_request_is_closed() -> None:
    """A client that ends its side with nothing asked, or half of it, is closed."""
    async with listening() as listener:
        for data in (b"", b"GET /li", post()[:-1]):
            async with listener.client() as client:
                client.send(data).writer.write_eof()
                assert await client.end() == b""


async def test_reset_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """A client that resets its connection leaves nothing behind."""
    async with listening(HeldCommit(held=True)) as listener:
        client = socket.create_connection(("127.0.0.1", listener.server.port))
        client.sendall(post())
        await listener.commit.has(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await listener.gone()
        listener.commit.settle()
    assert not caplog.records


async def test_idle_connection_is_closed_without_a_word() -> None:
    """A connection that asks nothing more is closed after keepalive_s, without an answer to nothing."""
    async with listening(keepalive_s=0.2, header_s=9.0) as listener, listener.client() as client:
        assert (await client.send(post()).answer()).status == 204
        assert await client.end() == b""


async def test_slow_commit_is_not_the_clients_fault() -> None:
    """No deadline of the client runs while it waits for the commit, even with half a request behind."""
    limits = {"keepalive_s": 0.05, "body_s": 0.05, "header_s": 0.05, "batch_body_s": 0.05, "pipeline": 1}
    async with listening(HeldCommit(held=True), **limits) as listener, listener.client() as client:
        client.send(post() + post(length=99)[:-9])
        await listener.commit.has(1)
        await asyncio.sleep(0.2)
        listener.commit.settle()
        assert (await client.answer()).status == 204
        assert (await client.answer()).status == 408


async def test_refusal_behind_pending_answers_comes_last() -> None:
    """What is malformed behind good requests is told after their answers, then the connection ends."""
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(post() + post() + b"nonsense\r\n\r\n" + post())
        await listener.commit.has(2)
        listener.commit.settle()
        answers = await client.answers(3)
        assert [(answer.status, answer.closes) for answer in answers] == [
            (204, False),
            (204, False),
            (400, True),
        ]
        assert await client.end() == b""


async def test_early_answer_is_seen_by_a_client_that_keeps_sending() -> None:
    """A client that sends on whatever it is told can read the refusal, and is cut if it does not stop."""
    async with listening(linger_s=0.2) as listener, listener.client() as client:
        client.send(post(b"x" * 100_000))
        await client.writer.drain()
        assert (await client.answer()).status == 413

        async def go_on() -> None:
            while True:
                client.send(b"x" * 100_000)
                await client.writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(go_on(), PATIENCE_S)
        await listener.gone()


STREAMS = st.lists(
    st.sampled_from([post(), LIVEZ, OLD, post(b"{"), get("/nowhere"), post(PING + b"\n{", "", "/v1/pings")]),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STREAMS, st.lists(st.integers(1, 1_500), max_size=6))
def test_it_does_not_matter_how_requests_arrive(requests: list[bytes], cuts: list[int]) -> None:
    """Over a real socket, any cutting of valid requests gives the same answers."""
    data = b"".join(requests)
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    async def ask(ends: list[int]) -> list[tuple[int, bytes]]:
        async with listening() as listener, listener.client() as client:
            for start, end in pairwise(ends):
                client.send(data[start:end])
                await asyncio.sleep(0.001)
            return [(answer.status, answer.body) for answer in await client.answers(len(requests))]

    async def compare() -> None:
        assert await ask(ends) == await ask([0, len(data)])

    asyncio.run(compare())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(min_size=1, max_size=200), st.binary(max_size=60).map(lambda tail: post()[:30] + tail)
    )
)
@example(b"\r")
def test_any_bytes_end_in_4xx_or_the_end(data: bytes) -> None:
    """Random bytes are answered by 4xx or nothing, and nothing of them is left in the server."""

    async def throw() -> None:
        async with listening(header_s=0.05, sweep_s=0.01) as listener, listener.client() as client:
            client.send(data)
            try:
                said = await client.end()
            except ConnectionResetError:  # on a busy machine it may arrive just as its deadline passes
                said = b""
            assert not said or 400 <= int(said.split()[1]) < 500
            assert not listener.tally.refused[Reason.INTERNAL_ERROR]
            assert not listener.tally.pending

    asyncio.run(throw())
