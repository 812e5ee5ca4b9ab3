"""The listener as a whole: both loops, too many connections, shutting down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from callhome.ingest.server import TURNED_AWAY
from listener import LIVEZ, PING, HeldCommit, get, listening, post


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_both_loops_do(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Pings, batches, refusals, deadlines, back-pressure and shutdown work on asyncio and on uvloop."""

    async def use() -> None:
        async with listening(body_s=0.1, pipeline=4) as listener:
            async with listener.client() as client:
                client.send((post() + LIVEZ + post(b"{") + post(PING, "", "/v1/pings")) * 200)
                statuses = [answer.status for answer in await client.answers(800)]
                assert statuses == [204, 200, 400, 200] * 200
            assert (await listener.ask_last(post(length=99))).status == 408
            assert (await listener.ask_last(post(b"", length=10**10))).status == 413
            assert (await listener.ask_last(post(headers="Upgrade: h2c|Connection: upgrade"))).status == 204
            async with listener.client() as client:
                await client.send(post()).answer()
                listener.server.stop_accepting()
                assert await client.end() == b""

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(use())


async def test_connections_are_bounded() -> None:
    """One connection too many is told so and closed; when one leaves, the next is let in."""
    async with listening(connections=2) as listener, listener.client() as first:
        await first.send(LIVEZ).answer()
        async with listener.client() as second:
            await second.send(LIVEZ).answer()
            answer = await listener.ask_last(LIVEZ)
            assert (answer.status, "retry-after" in answer.headers) == (503, True)
        await listener.gone(left=1)
        assert (await listener.ask(LIVEZ)).status == 200


async def test_those_turned_away_are_bounded_too() -> None:
    """A flood beyond the connections that are told 503 is cut without a word."""
    async with listening(connections=1, linger_s=30.0) as listener:
        crowd = [
            await asyncio.open_connection("127.0.0.1", listener.server.port) for _ in range(TURNED_AWAY + 20)
        ]
        await listener.gone(left=1 + TURNED_AWAY)
        for _, writer in crowd:
            writer.transport.abort()


async def test_stopping_answers_what_was_asked() -> None:
    """Shutting down closes idle connections at once, answers pending requests, and says that it closes."""
    async with (
        listening(HeldCommit(held=True)) as listener,
        listener.client() as idle,
        listener.client() as busy,
    ):
        await idle.send(LIVEZ).answer()
        busy.send(post() + post())
        await listener.commit.has(2)
        stopping = asyncio.create_task(listener.server.__aexit__())
        assert await idle.end() == b""
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", listener.server.port)
        listener.commit.settle()
        first, second = await busy.answers(2)
        assert (first.closes, second.closes, second.status) == (False, True, 204)
        assert await busy.end() == b""
        busy.writer.close()
        await stopping


async def test_stopping_lets_a_request_arrive() -> None:
    """A request that is half read when the shutdown begins is read, answered and the last."""
    async with listening() as listener, listener.client() as client:
        client.send(post()[:-1])
        await asyncio.sleep(0.02)
        listener.server.stop_accepting()
        answer = await client.send(post()[-1:]).answer()
        assert (answer.status, answer.closes) == (204, True)


async def test_stopping_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A commit that never ends holds the shutdown no longer than drain_s, and leaving again is nothing."""
    async with listening(HeldCommit(held=True), drain_s=0.1) as listener, listener.client() as client:
        client.send(post())
        await listener.commit.has(1)
        await listener.server.__aexit__()
        await listener.gone()
        await listener.server.__aexit__()
        assert "Cut 1 ingest connections" in caplog.text


async def test_cancelled_stopping_cuts_what_is_left() -> None:
    """Cancelling the shutdown leaves no connection behind."""
    async with listening(HeldCommit(held=True), drain_s=30.0) as listener, listener.client() as client:
        client.send(post())
        await listener.commit.has(1)
        stopping = asyncio.create_task(listener.server.__aexit__())
        await asyncio.sleep(0.01)
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        assert await asyncio.gather(client.end(), return_exceptions=True)
        await listener.gone()


async def test_readiness_is_what_whoever_knows_says() -> None:
    """``/readyz`` tells why the server is not ready, a line each, whoever asks by GET or HEAD."""
    async with listening() as listener, listener.client() as client:
        answer = await client.send(get("/readyz")).answer()
        assert (answer.status, answer.body, listener.tally.received) == (200, b"ready\n", 0)
        listener.server.ready = lambda: ("the spool is nearly full", "it rains")
        answer = await client.send(get("/readyz")).answer()
        assert (answer.status, answer.body) == (503, b"not ready\n")
        assert answer.headers["cache-control"] == "no-store"
        assert (await client.send(get("/livez")).answer()).status == 200


async def test_who_stops_is_not_ready() -> None:
    """While a server drains it says so, once, to who still asks."""
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(post())
        await listener.commit.has(1)
        listener.server.stop_accepting()
        listener.server.ready = lambda: ("stopping", "the spool is nearly full")
        client.send(get("/readyz"))
        await asyncio.sleep(0.02)
        listener.commit.settle()
        ping, readiness = await client.answers(2)
        assert (ping.status, readiness.status, readiness.closes) == (204, 503, True)
        assert readiness.body == b"not ready\n"
        assert listener.server.problems() == ["stopping", "the spool is nearly full"]
        listener.server.ready = lambda: ()
        assert listener.server.problems() == ["stopping"]


async def test_port_can_be_shared() -> None:
    """With reuse_port, several servers listen on one port."""
    async with listening(reuse_port=True) as one, listening(reuse_port=True, port=one.server.port) as two:
        assert one.server.port == two.server.port
        assert (await two.ask(LIVEZ)).status == 200


async def test_port_in_use_is_an_error() -> None:
    """A port that is taken raises, and leaves no timer behind."""
    async with listening() as listener:
        with pytest.raises(OSError, match="address already in use"):
            async with listening(port=listener.server.port):
                pass


async def test_clock_and_date_go_on() -> None:
    """The sweep moves the Date of the ready answers."""
    async with listening() as listener, listener.client() as client:
        first = (await client.send(LIVEZ).answer()).headers["date"]
        await asyncio.sleep(1.1)
        assert (await client.send(LIVEZ).answer()).headers["date"] != first
