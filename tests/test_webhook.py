"""`callhome.alerts.webhook`: a signed POST to a real receiver, and what its answers mean."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import trustme
from aiohttp import web

from callhome.alerts.webhook import Answer, Webhook, judged
from callhome.reports.outcomes import Refused, Sent, TryLater
from hooks import Hook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type": "alert.test", "text": "é"}'.encode()
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


async def told(url: str, deadline_s: float = 10.0) -> Answer:
    async with Webhook(deadline_s) as webhook:
        return await webhook.send(url, SECRET, "msg_1", BODY)


async def test_a_message_arrives_signed() -> None:
    """The receiver gets the body as it is, and finds the signature right; with another body or secret it is wrong."""
    async with Hook().listening() as hook:
        assert await told(f"{hook.url}?x=1") == Answer(Sent("204"))
    (one,) = hook.received
    assert one.body == BODY
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"].startswith("callhome/")
    assert one.is_signed(SECRET, time.time())
    assert not one.is_signed("whsec_AAAAr8GKYqrTwjUPD8ILPZIo2LaLaSwA", time.time())
    assert not one.is_signed(SECRET, time.time() + 301)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Sent("200 said")),
        (299, Sent("299 said")),
        (301, Refused("301: it leads elsewhere, which isn't followed: give the alert that address")),
        (400, Refused("400 said")),
        (410, Refused("410 said: the receiver wants no more of it")),
        (429, TryLater("429 said")),
        (500, TryLater("500 said")),
        (503, TryLater("503 said")),
    ],
)
def test_each_status_has_its_meaning(status: int, outcome: Sent | Refused | TryLater) -> None:
    """2xx is sent, 429 and 5xx are tried again, everything else is given up."""
    assert judged(status, b"said", None, NOW) == Answer(outcome)


@pytest.mark.parametrize(
    ("status", "header", "after_s"),
    [
        (429, "120", 120.0),
        (503, " 7 ", 7.0),
        (503, format_datetime(datetime(2026, 11, 25, 12, 5, tzinfo=UTC), usegmt=True), 300.0),
        (503, format_datetime(datetime(2026, 11, 25, 11, tzinfo=UTC), usegmt=True), 0.0),
        (503, "Wed, 25 Nov 2026 12:05:00", 300.0),
        (503, "9" * 40, 86_400.0),
        (503, "-1", 0.0),
        (503, "soon", 0.0),
        (503, "", 0.0),
        (503, "\N{ARABIC-INDIC DIGIT ONE}", 0.0),
        (200, "120", 0.0),
        (400, "120", 0.0),
    ],
)
def test_retry_after_is_read(status: int, header: str, after_s: float) -> None:
    """How long the receiver wants to be left alone is taken in both of its forms, for a day at most."""
    assert judged(status, b"", header, NOW).after_s == after_s


@pytest.mark.parametrize("said", [b"a\r\nb\x1b[31m\x00", b"\xff\xfe", b"x" * 5_000])
def test_what_a_receiver_says_becomes_a_line(said: bytes) -> None:
    """Whatever a receiver sends is one line of bounded length that a database and a terminal take."""
    outcome = judged(200, said, None, NOW).outcome
    assert isinstance(outcome, Sent)
    assert outcome.reply.isprintable()
    assert 3 < len(outcome.reply) <= 200


async def test_a_redirect_is_not_followed() -> None:
    """What was said of an address is told to no other."""

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{request.url.origin()}/elsewhere"})

    async with Hook([redirect, 200]).listening() as hook:
        answer = await told(hook.url)
    assert isinstance(answer.outcome, Refused)
    assert [one.path for one in hook.received] == ["/hook"]


async def test_a_receiver_that_hangs_is_left_at_the_deadline() -> None:
    """A receiver that never answers, or never ends its answer, costs no more than the deadline."""

    async def silent(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with Hook([silent]).listening() as hook:
        assert await told(hook.url, 0.2) == Answer(TryLater("no answer within 0.2 s"))


async def test_an_endless_answer_is_not_read() -> None:
    """Of the answer one kilobyte is read at most, whatever comes behind it."""
    is_cut = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        finally:
            is_cut.set()

    async with Hook([endless]).listening() as hook:
        answer = await told(hook.url)
        assert isinstance(answer.outcome, Sent)
        async with asyncio.timeout(20):
            await is_cut.wait()


async def test_a_lost_connection_is_tried_again(unused_tcp_port: int) -> None:
    """Where nothing listens, or the line is cut, it is tried again."""

    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    async with Hook([cut]).listening() as hook:
        assert isinstance((await told(hook.url)).outcome, TryLater)
    assert isinstance((await told(f"http://127.0.0.1:{unused_tcp_port}/")).outcome, TryLater)


async def test_a_certificate_that_is_not_trusted_gets_nothing() -> None:
    """A receiver whose certificate nobody vouches for is told nothing, and the reason says so."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with Hook().listening(context) as hook:
        outcome = (await told(hook.url)).outcome
        assert isinstance(outcome, TryLater)
        assert outcome.reason.startswith("its certificate is not trusted: ")
    assert hook.received == []
