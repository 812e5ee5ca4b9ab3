"""`callhome.reports.mailing`: what each recipient's mail says of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from callhome.reports import unsubscribe
from callhome.reports.message import Envelope
from subscriptions import MAILING, SECRET

DUE = datetime(2026, 11, 30, 6, tzinfo=UTC)


def test_an_envelope_is_of_its_recipient() -> None:
    """Each recipient has an address of its own to unsubscribe at, where the console has a public address."""
    url = unsubscribe.url("https://callhome.example.com", SECRET, 3, "a@example.com")
    expected = Envelope("callhome@example.com", "a@example.com", "id@x", "report-3.callhome.example.com", url)
    assert MAILING.envelope(3, "a@example.com", "id@x") == expected
    assert replace(MAILING, console_url=None).envelope(3, "a@example.com", "id@x").unsubscribe_url is None


def test_a_message_id_is_of_the_moment_in_any_zone() -> None:
    """The same due has the same Message-ID in whatever zone it is written, and the secret is in no text."""
    elsewhere = DUE.astimezone(timezone(timedelta(hours=5)))
    assert MAILING.message_id(3, DUE, "a@example.com") == MAILING.message_id(3, elsewhere, "a@example.com")
    assert "ssss" not in repr(MAILING)
