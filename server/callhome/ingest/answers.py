"""Whole HTTP answers as bytes. The usual ones are made once a second, when their Date changes."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from random import randint
from typing import Final

from .reasons import Refused

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"
# Spread over ten seconds, clients that were turned away together do not come back together.
RETRY_AFTER_S: Final = (1, 10)
_COME_BACK: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


class Answers:
    """Makes answers; ``no_content`` and ``ok`` are kept ready. :meth:`refresh` once a second.

    ``json_head`` is the begin of a 200 with JSON: what follows it is the length, an empty line and the body.

    None has a Connection header; see :func:`with_connection`.
    """

    __slots__ = ("_date", "_date_s", "json_head", "no_content", "ok")

    def __init__(self, now_s: float) -> None:
        self._date_s = -1
        self.refresh(now_s)

    def refresh(self, now_s: float) -> None:
        """Set the Date (RFC 9110, section 6.6.1) to the Unix time ``now_s``."""
        if int(now_s) != self._date_s:
            self._date_s = int(now_s)
            self._date = formatdate(now_s, usegmt=True).encode()
            self.no_content = b"HTTP/1.1 204 No Content\r\nDate: %b\r\n\r\n" % self._date
            self.ok = self.render(200, TEXT, b"OK")
            self.json_head = (
                b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
                b"Content-Length: " % self._date
            )

    def render(self, status: int, content_type: bytes, body: bytes, headers: bytes = b"") -> bytes:
        """Return an answer with a body; ``headers`` are whole lines.

        ``no-store``: an old request is a GET, and a ping answered from a cache would be lost.
        """
        return (
            b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n"
            b"Cache-Control: no-store\r\n%b\r\n%b"
        ) % (status, HTTPStatus(status).phrase.encode(), self._date, content_type, len(body), headers, body)

    def refusal(self, error: Refused, *, text: bool = False, headers: bytes = b"") -> bytes:
        """Return the answer that tells why, as JSON or plain text, on 503 and 429 also when to come back."""
        if error.status in _COME_BACK:
            headers += b"Retry-After: %d\r\n" % retry_after_s(error.retry_after_s)
        if text:
            return self.render(error.status, TEXT, error.to_text(), headers)
        return self.render(error.status, JSON, error.to_json(), headers)

    def lines(self, stored: int, refused: Iterable[bytes]) -> bytes:
        """Return the answer of the batch route: how many lines are stored, and why others are not, each as JSON."""
        return self.render(200, JSON, b'{"stored":%d,"refused":[%b]}' % (stored, b",".join(refused)))


def retry_after_s(least_s: int) -> int:
    """Return in how many seconds to come back: after ``least_s``, and spread over as long again."""
    low_s, high_s = RETRY_AFTER_S
    return least_s + randint(low_s, max(high_s, least_s))


def with_connection(answer: bytes, option: bytes) -> bytes:
    """Return the answer with ``Connection: option``."""
    return answer.replace(b"\r\n\r\n", b"\r\nConnection: %b\r\n\r\n" % option, 1)


def without_body(answer: bytes) -> bytes:
    """Return the answer as HEAD gets it."""
    return answer[: answer.index(b"\r\n\r\n") + 4]
