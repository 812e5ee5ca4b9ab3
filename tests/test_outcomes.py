"""`callhome.reports.outcomes`: what a server said, in one line that a table and a terminal take."""

from __future__ import annotations

import ssl

import aiosmtplib
import pytest

from callhome.reports.outcomes import reply, said, why_closed


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aiosmtplib.SMTPResponseException(450, "come back\nlater"), "450 come back later"),
        (aiosmtplib.SMTPServerDisconnected("Connection lost"), "the connection was lost"),
        (TimeoutError(), "no answer in time"),
        (OSError(), "OSError"),
        (ConnectionRefusedError("refused"), "refused"),
    ],
)
def test_a_failure_is_a_line(error: Exception, expected: str) -> None:
    """Each kind of failure is told in a line."""
    assert said(error) == expected


def test_an_answer_is_cleaned_and_bounded() -> None:
    """Escape sequences, line ends and broken characters of an answer go, and so does its hundredth line."""
    assert reply(550, "no\x1b[2J\r\n\udcff\x00way") == "550 no [2J    way"
    assert len(reply(550, "x" * 10_000)) == 500


def test_why_a_server_is_no_use_names_the_setting() -> None:
    """A certificate, TLS itself and a login are told with the setting to look at, however deep the cause is."""
    untrusted = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    untrusted.verify_message = "self-signed certificate"
    outer = aiosmtplib.SMTPConnectError("x")
    outer.__cause__ = untrusted
    assert "not trusted: self-signed certificate" in why_closed(outer)
    assert "CALLHOME_SMTP_CA" in why_closed(outer)
    assert "CALLHOME_SMTP_URL" in why_closed(ssl.SSLError(1, "WRONG_VERSION_NUMBER"))
    assert "CALLHOME_SMTP_URL" in why_closed(aiosmtplib.SMTPAuthenticationError(535, "no"))
    assert why_closed(aiosmtplib.SMTPServerDisconnected("x")) == "the connection was lost"
