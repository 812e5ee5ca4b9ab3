"""From a request to its answer: steps, outcomes of the commit, batches, counters."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
import pytest

import wire
from callhome.ingest.connection import BATCHES_IN_LINE
from callhome.ingest.exchange import REFUSED_BYTES
from callhome.ingest.reasons import Reason, Refused
from callhome.ingest.turns import Turns
from callhome.releases.model import Level, Notice
from listener import LIVEZ, PING, HeldCommit, get, listening, post, until

OLD = "/ping?product=es&version=1&install=0123456789"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NOTICE = Notice(1, None, "Hi.", Level.INFO, None, None, None, LONG_AGO, None)
STORE_SAYS_NO = {0: Refused(Reason.REFUSED_BY_STORE, "no", "version")}


async def test_answer_waits_for_the_commit() -> None:
    """Nothing is answered before the commit tells that the row is durable."""
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(post())
        await listener.commit.has(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.05)
        listener.commit.settle()
        assert (await client.answer()).status == 204


async def test_advice_is_the_answer_of_a_durable_ping() -> None:
    """What there is to say comes with the answer, as JSON that is never cached; old requests and batches hear none."""
    async with listening() as listener, listener.client() as client:
        listener.server.advisor.set_notices([NOTICE])
        ping, old, many = await client.send(post() + get(OLD) + post(PING, "", "/v1/pings")).answers(3)
        assert (ping.status, orjson.loads(ping.body)) == (
            200,
            {"notices": [{"text": "Hi.", "level": "info"}]},
        )
        assert ping.headers["content-type"] == "application/json"
        assert ping.headers["cache-control"] == "no-store"
        assert (old.body, orjson.loads(many.body)) == (b"OK", {"stored": 1, "refused": []})


async def test_advice_of_a_ping_that_is_refused_is_not_told() -> None:
    """Whoever isn't stored hears why, and nothing else."""
    async with listening(HeldCommit(refused=STORE_SAYS_NO)) as listener:
        listener.server.advisor.set_notices([NOTICE])
        answer = await listener.ask(post())
        assert (answer.status, b"notices" in answer.body) == (422, False)


@pytest.mark.parametrize(
    ("data", "begins"),
    [(post(), b'{"reason":"'), (get(OLD), b"un"), (post(PING, "", "/v1/pings"), b'{"reason":"')],
    ids=["ping", "old", "batch"],
)
async def test_lost_commit_is_503(data: bytes, begins: bytes) -> None:
    """When the rows are not known to be durable, the client is asked to come back, also by OK-for-all."""
    async with (
        listening(HeldCommit(held=True), legacy_always_ok=True) as listener,
        listener.client() as client,
    ):
        client.send(data)
        await listener.commit.has(1)
        listener.commit.fail()
        answer = await client.answer()
        assert (answer.status, answer.body.startswith(begins), answer.closes) == (503, True, False)
        assert 1 <= int(answer.headers["retry-after"]) <= 10


@pytest.mark.parametrize(
    "data", [post(), get(OLD), post(PING, "", "/v1/pings")], ids=["ping", "old", "batch"]
)
async def test_full_commit_is_503_and_counted(data: bytes) -> None:
    """A commit that has no room is a 503 with Retry-After, counted as overloaded."""
    async with listening(HeldCommit(full=Refused(Reason.OVERLOADED, "full"))) as listener:
        answer = await listener.ask(data)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert (listener.tally.received, listener.tally.refused) == (1, {"overloaded": 1})


def of(install: str) -> bytes:
    """Return a ping of an install."""
    return orjson.dumps({"product": "es", "version": "1", "install": install})


async def test_install_that_sends_too_much_is_told_429() -> None:
    """Beyond its burst an install hears 429 and when to come back, in each form; others and weak ones do not."""
    async with (
        listening(install_pings_s=0.01, install_burst=2, legacy_always_ok=True) as listener,
        listener.client() as client,
    ):
        first, second, third = await client.send(post() * 3).answers(3)
        assert (first.status, second.status, third.status) == (204, 204, 429)
        assert orjson.loads(third.body)["reason"] == "too_many_pings"
        assert 100 < int(third.headers["retry-after"]) <= 200
        old = await client.send(get(OLD)).answer()
        assert (old.status, old.body.partition(b":")[0]) == (429, b"too_many_pings")
        assert "retry-after" in old.headers
        many = await client.send(
            post(b"\n".join([of("another-one"), PING, of("a-third-one")]), "", "/v1/pings")
        ).answer()
        told = orjson.loads(many.body)
        assert (many.status, told["stored"]) == (200, 2)
        assert [(line["line"], line["reason"]) for line in told["refused"]] == [(2, "too_many_pings")]
        weak = await client.send(get("/ping?product=es&version=1") * 10).answers(10)
        assert {answer.status for answer in weak} == {200}
        assert listener.tally.refused == {"too_many_pings": 3}
        assert listener.tally.received == 17


async def test_pings_beyond_the_ceiling_are_stored_unverified() -> None:
    """The installs of one network beyond its ceiling are stored, in each form, marked as unverified."""
    async with listening(prefix_installs=2) as listener, listener.client() as client:
        client.send(
            post(of("install-1")) + post(of("install-2")) + post(of("install-3")) + post(of("install-1"))
        )
        client.send(
            get("/ping?product=es&version=1&install=install-4") + post(of("install-5"), "", "/v1/pings")
        )
        assert {answer.status for answer in await client.answers(6)} == {200, 204}
    verified = [wire.read_row(row)["verified"] for row in listener.commit.rows]
    assert verified == [True, True, False, True, False, False]
    assert listener.server.admission.unverified == 3


@pytest.mark.parametrize(
    "data",
    [post(), get(OLD), post(PING, "", "/v1/pings"), post(b"\x1f\x8b", "Content-Encoding: gzip", "/v1/pings")],
    ids=["ping", "old", "batch", "not even gzip"],
)
async def test_beyond_the_budget_of_all_is_503_before_it_is_looked_at(data: bytes) -> None:
    """With a budget, what comes beyond it is told 503 and when to come back, whatever is in it."""
    async with listening(pings_per_s=1) as listener, listener.client() as client:
        assert (await client.send(post()).answer()).status == 204
        answer = await client.send(data).answer()
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert (listener.tally.received, listener.tally.refused) == (2, {"overloaded": 1})
        assert (await client.send(LIVEZ).answer()).status == 200


async def test_a_batch_costs_the_budget_all_of_its_lines() -> None:
    """A batch that is let in is taken whole, and those behind it wait for the budget."""
    async with listening(pings_per_s=50) as listener, listener.client() as client:
        answer = await client.send(batch(*[PING] * 1_000)).answer()
        assert orjson.loads(answer.body)["stored"] == 1_000
        assert (await client.send(post()).answer()).status == 503


async def test_row_refused_by_the_store_fails_its_own_request() -> None:
    """What the store refuses is told with its reason, in the form of the request."""
    async with listening(HeldCommit(refused=STORE_SAYS_NO)) as listener:
        assert (await listener.ask(post())).status == 422
        assert (await listener.ask(get(OLD))).body == b"refused_by_store (version): no\n"
        answer = await listener.ask(post(PING + b"\n" + PING, "", "/v1/pings"))
        refused = [{"line": 1, "reason": "refused_by_store", "field": "version", "message": "no"}]
        assert orjson.loads(answer.body) == {"stored": 1, "refused": refused}


async def test_client_that_is_gone_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """A client that leaves before the commit, or in the midst of a request, makes no noise."""
    async with listening(HeldCommit(held=True)) as listener:
        for data in (post() * 3, post(PING, "", "/v1/pings"), post()[:-5], post(length=99, path="/v1/pings")):
            async with listener.client() as client:
                client.send(data)
                await client.writer.drain()
                await asyncio.sleep(0.02)
        # Those who wait for the commit may have ended just their own side: only an answer shows it.
        await listener.gone(left=2)
        assert len(listener.commit.waiting) == 4
        listener.commit.settle()
        await listener.gone()
    assert not caplog.records


async def test_fault_of_our_own_is_500_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A defect answers 500, leaves the connection alive, and does not flood the log."""
    async with listening() as listener, listener.client() as client:
        listener.server.enrich = None  # type: ignore[assignment]
        with caplog.at_level(logging.ERROR):
            answers = await client.send(post() * 3 + post(PING, "", "/v1/pings") + LIVEZ).answers(5)
        # A line of a batch that meets the defect fails the batch: its other lines would meet it too.
        assert [answer.status for answer in answers] == [500, 500, 500, 500, 200]
        assert len(caplog.records) == 1
        assert (listener.tally.received, listener.tally.refused) == (4, {"internal_error": 4})


def batch(*lines: bytes, headers: str = "", squeeze: bool = False) -> bytes:
    """Return a batch request of lines."""
    body = b"\n".join(lines)
    if squeeze:
        return post(gzip.compress(body), headers + "|Content-Encoding: gzip", "/v1/pings")
    return post(body, headers, "/v1/pings")


async def test_batches_in_line_on_a_connection_are_bounded() -> None:
    """Of many small batches sent at once some are read, then one is told to wait for an answer."""
    async with listening() as listener, listener.client() as client:
        client.send(batch(b"{}") * (BATCHES_IN_LINE + 1))
        statuses = [answer.status for answer in await client.answers(BATCHES_IN_LINE + 1)]
        assert statuses == [200] * BATCHES_IN_LINE + [503]
        assert listener.tally.refused[Reason.OVERLOADED] == 1


async def test_batches_that_wait_are_bounded() -> None:
    """A batch behind as many as may wait is told to come back; the others are read."""
    async with listening(batches_waiting=2) as listener, listener.client() as client:
        answers = await client.send(batch(PING) * 3).answers(3)
        assert [answer.status for answer in answers] == [200, 200, 503]
        assert "retry-after" in answers[2].headers
        assert (await client.send(batch(PING)).answer()).status == 200


async def test_a_batch_of_a_client_that_is_gone_is_not_read_on() -> None:
    """What nobody would hear the answer to isn't stored, and is counted."""
    async with listening() as listener:
        listener.server.turns._turn_s = 1e-5  # a line or two a turn
        async with listener.client() as client:
            client.send(batch(*[PING] * 1_000))
            await until(lambda: len(listener.server.turns) == 1)
            for connection in listener.server.connections:
                connection.abort()
        await until(lambda: not listener.server.turns)
        assert not listener.commit.rows
        assert listener.tally.refused[Reason.CLIENT_GONE] > 0


@pytest.mark.parametrize("squeeze", [False, True], ids=["plain", "gzip"])
async def test_batch_tells_line_by_line(squeeze: bool) -> None:
    """Good lines are stored, each bad one is told with its number from 1; blank lines are nothing."""
    unknown = PING.replace(b"es", b"zz")
    async with listening() as listener:
        answer = await listener.ask(batch(PING, b"", b"{", PING, unknown, squeeze=squeeze))
        told = orjson.loads(answer.body)
        assert (answer.status, told["stored"]) == (200, 2)
        assert [(each["line"], each["reason"]) for each in told["refused"]] == [
            (3, "malformed_json"),
            (5, "unknown_product"),
        ]
        assert len(listener.commit.rows) == 2
        assert listener.tally.received == 4
        assert listener.tally.refused == {"malformed_json": 1, "unknown_product": 1}


async def test_batch_without_a_good_line_needs_no_commit() -> None:
    """A batch of nothing, or of bad lines only, is answered without a commit."""
    async with listening(HeldCommit(held=True)) as listener:
        assert orjson.loads((await listener.ask(batch(b"{"))).body)["stored"] == 0
        assert orjson.loads((await listener.ask(batch())).body) == {"stored": 0, "refused": []}
        assert (listener.tally.received, sum(listener.tally.refused.values())) == (1, 1)


async def test_batches_let_others_go_first() -> None:
    """However many batches there are, a turn of the loop decodes few lines, and of one batch after the other."""
    async with listening() as listener, AsyncExitStack() as stack:
        ticks, turn, turns = count(), 0, list[tuple[int, str]]()
        loop = asyncio.get_running_loop()
        listener.server.turns = Turns(loop.call_soon, 10, lambda: next(ticks))
        plain_enrich = listener.server.enrich

        def enrich(ping: Any, *args: Any) -> Any:
            turns.append((turn, ping.version))
            return plain_enrich(ping, *args)

        listener.server.enrich = enrich  # type: ignore[assignment]
        clients = [await stack.enter_async_context(listener.client()) for _ in range(5)]
        for number, client in enumerate(clients):
            client.send(batch(*[PING.replace(b"1.2", b"%d" % number)] * 100))
        while len(turns) < 500:
            await asyncio.sleep(0)
            turn += 1
        assert max(sum(each == other for other, _ in turns) for each, _ in turns) <= 10
        order = [version for _, version in turns]
        assert sorted(order, key=order.index) == order, "a second batch was begun before the first had ended"
        assert [orjson.loads((await client.answer()).body)["stored"] for client in clients] == [100] * 5


LIMITS: dict[str, Any] = {
    "batch_memory_bytes": 100_000,
    "batch_wire_bytes": 80_000,
    "batch_unpacked_bytes": 80_000,
}


async def test_who_has_been_sending_for_the_longest_gives_way() -> None:
    """Where the memory for batches is used up by bodies that don't end, the oldest of them is refused, no other."""
    async with listening(**LIMITS) as listener, listener.client() as oldest, listener.client() as slow:
        oldest.send(post(b"x" * 60_000, "", "/v1/pings", length=80_000))
        await until(lambda: listener.server.batch_bytes >= 60_000)
        slow.send(post(b"x" * 30_000, "", "/v1/pings", length=80_000))
        await until(lambda: listener.server.batch_bytes >= 90_000)
        assert (await listener.ask(batch(PING))).status == 200, "there is room for a small one"
        assert listener.server.batch_bytes >= 90_000
        assert (await listener.ask(batch(*[PING] * 1_000))).status == 200
        answer = await oldest.answer()
        assert (answer.status, "retry-after" in answer.headers, answer.closes) == (503, True, True)
        assert 30_000 <= listener.server.batch_bytes < 60_000, "the other one goes on"


async def test_a_batch_that_is_the_oldest_is_refused_itself() -> None:
    """What arrives beyond the memory for batches, with nobody before it, is refused; single pings go on."""
    async with listening(**LIMITS | {"batch_memory_bytes": 50_000}) as listener:
        answer = await listener.ask_last(post(b"x" * 60_000, "", "/v1/pings", length=80_000))
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        assert (await listener.ask(post())).status == 204
        assert (await listener.ask(batch(PING))).status == 200


@pytest.mark.parametrize("headers", ["", "Content-Encoding: gzip"])
async def test_announced_bodies_hold_nothing(headers: str) -> None:
    """Connections that announce large bodies and send little of them keep no batch of others away."""
    async with listening(**LIMITS) as listener, AsyncExitStack() as stack:
        for _ in range(20):
            idle = await stack.enter_async_context(listener.client())
            idle.send(post(b"x" * 100, headers, "/v1/pings", length=80_000))
        await until(lambda: len(listener.server.connections) == 20)
        await asyncio.sleep(0.02)
        assert 20 * 100 <= listener.server.batch_bytes <= 20 * 300
        assert (await listener.ask(batch(*[PING] * 1_000))).status == 200
        assert (await listener.ask(batch(*[PING] * 1_000, squeeze=True))).status == 200


def refusals() -> int:
    """Return how many refusals exist as exceptions."""
    return sum(type(each) is Refused for each in gc.get_objects())  # isinstance would ask dead proxies too


async def test_refused_lines_take_little_memory() -> None:
    """Until the answer is sent, a refused line holds its text, which is charged, and no exception."""
    before = refusals()
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(batch(PING, *[b"{"] * 999))
        await listener.commit.has(1)
        assert refusals() == before
        told = b'{"line":1000,"reason":"malformed_json","offset":1,"message":"expected JSON: unexpected end"}'
        held = listener.server.batch_bytes
        assert 0.8 * 999 * (len(told) + REFUSED_BYTES) < held <= 999 * (len(told) + REFUSED_BYTES)
        listener.commit.settle()
        answer = await client.answer()
        assert orjson.loads(answer.body)["refused"][-1]["line"] == 1_000
        assert listener.server.batch_bytes == 0


async def test_refused_lines_share_the_memory_of_batches() -> None:
    """A batch whose refusals find no room is refused as a whole, and every line of it is counted."""
    async with listening(**LIMITS) as listener:
        answer = await listener.ask(batch(*[b"{"] * 1_000))
        assert (answer.status, orjson.loads(answer.body)["reason"]) == (503, "overloaded")
        assert listener.tally.received == sum(listener.tally.refused.values()) == 1_000


async def test_batch_on_a_connection_is_answered_before_more_is_read() -> None:
    """One batch of a connection is in memory at a time; what is pipelined behind it waits."""
    async with listening(HeldCommit(held=True)) as listener, listener.client() as client:
        client.send(batch(*[PING] * 100) * 5)
        await listener.commit.has(1)
        await asyncio.sleep(0.02)
        assert len(listener.commit.rows) == 100
        listener.commit.held = False
        listener.commit.settle()
        assert [orjson.loads(answer.body)["stored"] for answer in await client.answers(5)] == [100] * 5
