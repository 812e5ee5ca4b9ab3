"""Telling a webhook: one signed POST, and what its answer means (standardwebhooks.com)."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self

import aiohttp

from .. import __version__
from ..reports.outcomes import Outcome, Refused, Sent, TryLater
from . import signing

# The specification has 15 to 30 s; a receiver is to put it into its own queue, and that takes no time.
DEADLINE_S: Final = 10.0
# What a receiver says beyond its status is for people, in `callhome alert history`.
_ANSWER_BYTES: Final = 1_024
_REASON_CHARACTERS: Final = 200
# Whoever asks for more patience than this is told of it no more than once a day all the same.
_RETRY_AFTER_MAX_S: Final = 86_400.0

_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_GONE: Final = 410
_TOO_MANY: Final = 429
_SERVER: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a try; ``after_s`` is for how long the receiver wants none, if it said so."""

    outcome: Outcome
    after_s: float = 0.0


class Webhook:
    """Sends to webhooks. An async context manager.

    Every try is a connection of its own; certificates are verified, redirects are not followed, cookies not kept.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self.deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Nothing is connected yet. Cancelling it changes nothing."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.deadline_s),
            auto_decompress=False,
            headers={"User-Agent": f"callhome/{__version__}", "Content-Type": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open. Cancelling it closes all the same."""
        if self._session is not None:
            await self._session.close()

    async def send(self, url: str, secret: str, message_id: str, body: bytes) -> Answer:
        """Send a message once and say what came of it, within the deadline. Never raises.

        ``secret`` is the alert's, as `signing.secret_of` gives it. Cancelled, it may have arrived or not: send it
        again, with the same ``message_id``, by which the receiver knows it.
        """
        assert self._session is not None, "the context is not entered"
        headers = signing.headers(secret, message_id, int(time.time()), body)
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                said = await response.content.read(_ANSWER_BYTES)
                retry_after = response.headers.get("Retry-After")
                answer = judged(response.status, said, retry_after, datetime.now(UTC))
                response.close()  # what it says beyond that isn't read
                return answer
        except TimeoutError:
            return Answer(TryLater(f"no answer within {self.deadline_s:g} s"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(TryLater(_why(error)))


def judged(status: int, said: bytes, retry_after: str | None, now: datetime) -> Answer:
    """Return what an answer means: 2xx is sent, 429 and 5xx are tried again, all else is given up."""
    reason = _line(f"{status} {said.decode('utf-8', errors='replace')}")
    if status in _OK:
        return Answer(Sent(reason))
    if status == _TOO_MANY or status >= _SERVER:
        return Answer(TryLater(reason), _after_s(retry_after, now))
    if status == _GONE:
        reason = f"{reason}: the receiver wants no more of it"
    elif status in _REDIRECTS:
        reason = f"{status}: it leads elsewhere, which isn't followed: give the alert that address"
    return Answer(Refused(reason))


def _after_s(retry_after: str | None, now: datetime) -> float:
    """How many seconds Retry-After asks for, in either of its forms (RFC 9110, 10.2.3); 0 where it says nothing."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return min(_RETRY_AFTER_MAX_S, float(text[:10]))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(_RETRY_AFTER_MAX_S, max(0.0, (moment - now).total_seconds()))


def _why(error: Exception) -> str:
    """A failed try in a line, and what to look at."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        told = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
        return _line(f"its certificate is not trusted: {told}")
    if isinstance(
        error, aiohttp.ClientResponseError
    ):  # its text has the address, and with it whoever may call it
        return _line(f"{error.status} {error.message}")
    return _line(str(error) or type(error).__name__)


def _line(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:_REASON_CHARACTERS]
