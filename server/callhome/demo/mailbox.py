"""The demo's mailbox: a mail server on loopback that keeps what it gets in memory, for the page that shows it."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

# An hour of mails, as the demo sends them. Bound: so many × 200 kB of a mail with its pictures = 12 MB.
KEPT: Final = 60
# What callhome composes has some hundred kilobytes.
_MAIL_BYTES: Final = 4 * 1024 * 1024
_CID: Final = re.compile(r"cid:([\w.@-]+)")


@dataclass(frozen=True, slots=True)
class File:
    """A file attached to a mail."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as its recipient's program would show it; ``number`` counts from 1. Pictures are within ``html``."""

    number: int
    received_at: datetime
    sender: str
    recipient: str
    subject: str
    text: str
    html: str
    files: tuple[File, ...]
    headers: tuple[tuple[str, str], ...]


def parse(number: int, recipient: str, content: bytes) -> Mail:
    """Return a mail that arrived. Raises ``LookupError`` where it names an encoding that nobody knows."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    pictures = {
        str(part["Content-ID"]).strip("<>"): _data_url(part)
        for part in message.walk()
        if part["Content-ID"] and part.get_content_maintype() == "image"
    }
    shown = html.get_content() if html is not None else ""
    return Mail(
        number=number,
        received_at=datetime.now(UTC),
        sender=str(message["From"] or ""),
        recipient=recipient,
        subject=str(message["Subject"] or ""),
        text=text.get_content() if text is not None else "",
        html=_CID.sub(lambda found: pictures.get(found[1], ""), shown),
        files=tuple(_files(message)),
        headers=tuple((name, str(value)) for name, value in message.items()),
    )


def _data_url(part: Any) -> str:
    return f"data:{part.get_content_type()};base64,{base64.b64encode(part.get_content()).decode()}"


def _files(message: EmailMessage) -> Iterator[File]:
    for part in message.iter_attachments():
        content = part.get_content()
        data = content.encode() if isinstance(content, str) else content
        if isinstance(data, bytes) and part.get_filename():
            yield File(str(part.get_filename()), part.get_content_type(), data)


class Mailbox:
    """A mail server that keeps the last mails. An async context manager; it listens on loopback, on `port`.

    `mails` has the newest first.
    """

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._count = 0
        self._server: asyncio.Server | None = None

    @property
    def mails(self) -> list[Mail]:
        """What is kept, the newest first."""
        return list(reversed(self._mails))

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None, "not entered"
        return int(self._server.sockets[0].getsockname()[1])

    def get(self, number: int) -> Mail | None:
        """Return the mail of that number, None where it is not kept."""
        return next((mail for mail in self._mails if mail.number == number), None)

    async def __aenter__(self) -> Self:
        """Start listening; raises ``OSError``. Cancelling it leaves nothing behind."""
        loop = asyncio.get_running_loop()

        def connected() -> SMTP:
            return SMTP(
                self, loop=loop, data_size_limit=_MAIL_BYTES, hostname="localhost", ident="callhome demo"
            )

        self._server = await loop.create_server(connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening. Cancelling it stops all the same."""
        assert self._server is not None, "not entered"
        self._server.close()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep a mail, as aiosmtpd asks. It awaits nothing, so it can't be cancelled."""
        content = envelope.content
        data = content.encode() if isinstance(content, str) else content or b""
        for recipient in envelope.rcpt_tos:
            try:
                mail = parse(self._count + 1, recipient, data)
            except LookupError as error:
                return f"554 {error}"
            self._count += 1
            self._mails.append(mail)
        return "250 kept in memory until the demo ends"
