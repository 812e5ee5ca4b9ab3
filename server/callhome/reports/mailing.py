"""Whom mails come from, and what each recipient's own mail says of itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from . import unsubscribe
from .message import Envelope, list_id, message_id, named


@dataclass(frozen=True, slots=True)
class Mailing:
    """What all mails of this server have in common: its sender, the console's address (or None), and its secret."""

    sender: str
    console_url: str | None
    secret: bytes = field(repr=False)

    def message_id(self, report: int, due: datetime, address: str) -> str:
        """Return the Message-ID (without brackets) of a report (its id) of one due to an address."""
        return message_id(self.secret, named(report, due), address, self.sender)

    def envelope(self, report: int, address: str, message_id: str) -> Envelope:
        """Return what differs from recipient to recipient of a report (its id)."""
        url = self.console_url and unsubscribe.url(self.console_url, self.secret, report, address)
        return Envelope(self.sender, address, message_id, list_id(report, self.sender), url)
