"""Whole answers as bytes."""

from __future__ import annotations

from callhome.ingest.answers import RETRY_AFTER_S, Answers, retry_after_s, with_connection, without_body
from callhome.ingest.reasons import Reason, Refused

NOON_S = 1_795_348_800.0


def test_ready_answers_follow_the_clock() -> None:
    """The Date of the answers kept ready changes with the second, not within it."""
    answers = Answers(NOON_S)
    first = answers.no_content
    assert first == b"HTTP/1.1 204 No Content\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\n"
    answers.refresh(NOON_S + 0.9)
    assert answers.no_content is first
    answers.refresh(NOON_S + 1)
    assert b"12:00:01 GMT" in answers.no_content
    assert b"12:00:01 GMT" in answers.ok


def test_refusal_tells_why() -> None:
    """A refusal is JSON with reason, field and message, or a line of text."""
    answers = Answers(NOON_S)
    error = Refused(Reason.TOO_LONG, "expected less", "version")
    head, _, body = answers.refusal(error).partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 400 Bad Request"
    assert b"Content-Type: application/json" in head
    assert b"Content-Length: %d" % len(body) in head
    assert body == b'{"reason":"too_long","field":"version","message":"expected less"}'
    assert answers.refusal(error, text=True).endswith(b"\r\n\r\ntoo_long (version): expected less\n")


def test_retry_after_is_jittered() -> None:
    """Each 503 and 429 says when to come back, not all at the same time; other statuses don't."""
    answers = Answers(NOON_S)
    texts = [answers.refusal(Refused(Reason.OVERLOADED, "full")) for _ in range(200)]
    waits_s = {int(text.split(b"Retry-After: ")[1].split(b"\r\n")[0]) for text in texts}
    assert waits_s <= set(range(RETRY_AFTER_S[0], RETRY_AFTER_S[1] + 1))
    assert len(waits_s) > 3
    assert b"Retry-After: " in answers.refusal(Refused(Reason.TOO_MANY_PINGS, "wild"))
    assert b"Retry-After" not in answers.refusal(Refused(Reason.TIMEOUT, "slow"))


def test_retry_after_is_never_too_early() -> None:
    """Who has to wait is told so long at least, and at most twice that or ten seconds more."""
    for least_s in (0, 1, 50):
        told_s = {retry_after_s(least_s) for _ in range(500)}
        assert least_s < min(told_s) <= max(told_s) <= least_s + max(10, least_s)
        assert len(told_s) > 5


def test_connection_header_and_body_are_changed_afterwards() -> None:
    """A Connection header goes into the head only, and HEAD gets no body."""
    answer = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nx\r\n\r\ny"
    assert (
        with_connection(answer, b"close") == b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nx\r\n\r\ny"
    )
    assert without_body(answer) == b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
