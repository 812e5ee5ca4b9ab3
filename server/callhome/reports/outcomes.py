"""What may become of sending a mail, and how it is told."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final

import aiosmtplib
from aiosmtplib import SMTPResponseException, SMTPServerDisconnected

# A server's answer is kept up to this length: enough for what they write, with a link to more.
_REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has taken the mail; ``reply`` is what it said."""

    reply: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """The mail was not delivered, and may be at another time.

    ``is_server``: it is about the server as a whole, or our login, and says nothing about this mail. ``after_s`` is for
    how many seconds at least the receiver wants no other try.
    """

    reason: str
    is_server: bool = False
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take this mail."""

    reason: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The last line has left and no answer came: the mail may have been delivered or not."""

    reason: str


Outcome = Sent | TryLater | Refused | Uncertain


def why_closed(error: Exception) -> str:
    """Return why a server can't be used at all, and what to look at."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {cause.verify_message}; check CALLHOME_SMTP_URL's host, "
            "and that CALLHOME_SMTP_CA has the certificate that it is signed by"
        )
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "reason", None) or cause  # only those of OpenSSL itself have one
        return f"TLS failed ({reason}); check that CALLHOME_SMTP_URL has its scheme and port right"
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        answer = reply(error.code, error.message)
        return f"it refuses our login: {answer}; check user and password in CALLHOME_SMTP_URL"
    return said(error)


def said(error: Exception) -> str:
    """Return a failure in a line."""
    if isinstance(error, SMTPResponseException):
        return reply(error.code, error.message)
    if isinstance(error, SMTPServerDisconnected):
        return "the connection was lost"
    return _line(str(error)) or (
        "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    )


def reply(code: int, text: str) -> str:
    """Return an answer of a server in a line."""
    return _line(f"{code} {text}")


def _line(text: str) -> str:
    """What a server said as one line that a database takes."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown.strip()[:_REASON_CHARACTERS]
