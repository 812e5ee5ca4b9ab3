"""A composed report and a recipient to the bytes of a mail: the same bytes at each try. Pure.

Written by hand, since Python's own generator takes milliseconds for a mail with pictures, in pure Python: with
thousands of recipients pings would feel it. What is the same for all of them is encoded once; the rest is C.
All of it is ASCII in lines of 76 characters at most, but for a long address: every server takes it as it is.
"""

from __future__ import annotations

import binascii
import re
from base64 import encodebytes
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import blake2b
from typing import Final

import msgspec

from ..errors import CallhomeError
from ..pseudonyms import keyed
from .model import UNSUBSCRIBE, Attachment, Composed, Image

_FROM_NAME: Final = "callhome"
# A line of a header with its CR LF has 1,000 octets at most (RFC 5322, 2.1.1); subjects are folded far below it, and
# addresses and URLs are never folded, since clients don't put them together again.
_LINE_CHARACTERS: Final = 998
_ADDRESS: Final = re.compile(r"[!-;=?-~]{1,254}")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_CID: Final = re.compile(r"[A-Za-z0-9._@-]{1,100}")
_LINE_END: Final = re.compile(r"\r\n?|\n")
_CONTENT_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+(; ?charset=[a-z0-9-]+)?")


class InvalidMessage(CallhomeError):
    """A report can't become a mail: something in it doesn't belong into a header."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What differs from recipient to recipient; ``list_id`` and ``unsubscribe_url`` may be none."""

    sender: str
    recipient: str
    message_id: str  # without the angle brackets
    list_id: str | None = None
    unsubscribe_url: str | None = None


def list_id(report: int, sender: str) -> str:
    """Return the List-Id (RFC 2919) of a report, by which people sort their mail."""
    return f"report-{report}.callhome.{sender.rpartition('@')[2]}"


def named(report: int, due: datetime) -> str:
    """Return what tells a report of one due from all others, for `message_id`."""
    return f"report {report} {due.astimezone(UTC).isoformat()}"


def message_id(secret: bytes, of: str, address: str, sender: str) -> str:
    """Return a Message-ID (without brackets) that is the same for the same mail, at each try and on each replica.

    ``of`` names the mail among those to this address, such as report and due.
    """
    digest = keyed(secret, b"message-id")(f"{of}\0{address}".encode()).hex()
    return f"{digest}@{sender.rpartition('@')[2]}"


def pack(composed: Composed) -> bytes:
    """Return a composed report as bytes, for a table."""
    return msgspec.msgpack.encode(composed)


def unpack(content: bytes) -> Composed:
    """Return what was packed. Raises `InvalidMessage` if it was by another version, and can't be read any more."""
    try:
        return msgspec.msgpack.decode(content, type=Composed)
    except msgspec.MsgspecError as error:
        raise InvalidMessage(f"the stored report can't be read: {error}") from error


class Prepared:
    """A report of which mails are made; what they have in common is encoded once.

    Raises `InvalidMessage` where the subject or a name of a file has what no header may have.
    """

    def __init__(self, composed: Composed) -> None:
        self._subject = _subject(composed.subject)
        self._date = format_datetime(composed.composed_at.astimezone(UTC))
        self._text = composed.text
        self._html = composed.html
        mark = blake2b(pack(composed), digest_size=8).hexdigest()
        # "=_" is in no line of base64 or quoted-printable (RFC 2045, 6.7).
        self._mixed, self._alternative, self._related = (f"=_{kind}_{mark}" for kind in ("mix", "alt", "rel"))
        self._images = [_image(image) for image in composed.images]
        self._attachments = [_attachment(attachment) for attachment in composed.attachments]

    def message(self, envelope: Envelope) -> bytes:
        """Return the mail, with CR LF at the end of each line. Raises `InvalidMessage`."""
        return self._head(envelope) + self._body(envelope.unsubscribe_url or "")

    def _head(self, envelope: Envelope) -> bytes:
        for field in (envelope.sender, envelope.recipient, envelope.message_id):
            if not _ADDRESS.fullmatch(field):
                raise InvalidMessage(f"{field!r} doesn't belong into the header of a mail")
        lines = [
            f"From: {_FROM_NAME} <{envelope.sender}>",
            f"To: {envelope.recipient}",
            *f"Subject: {self._subject}".split("\r\n"),
            f"Date: {self._date}",
            f"Message-ID: <{envelope.message_id}>",
            # No answer by a machine (RFC 3834, and Exchange's own way).
            "Auto-Submitted: auto-generated",
            "X-Auto-Response-Suppress: OOF, AutoReply",
        ]
        if envelope.list_id:
            lines.append(f"List-Id: <{envelope.list_id}>")
        if envelope.unsubscribe_url:
            lines.append(f"List-Unsubscribe: <{envelope.unsubscribe_url}>")
            lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
        lines.append("MIME-Version: 1.0")
        if any(len(line) > _LINE_CHARACTERS or not (line.isascii() and line.isprintable()) for line in lines):
            raise InvalidMessage(
                "a header of the mail is too long, or has a control character: look at CALLHOME_CONSOLE_URL"
            )
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")

    def _body(self, unsubscribe_url: str) -> bytes:
        text = _text("plain", self._text.replace(UNSUBSCRIBE, unsubscribe_url))
        html = _text("html", self._html.replace(UNSUBSCRIBE, unsubscribe_url))
        if self._images:
            html = _multipart('related; type="text/html"', self._related, [html, *self._images])
        body = _multipart("alternative", self._alternative, [text, html])
        if self._attachments:
            body = _multipart("mixed", self._mixed, [body, *self._attachments])
        return body


def _subject(subject: str) -> str:
    """The folded value of the header; its lines end in CR LF."""
    if not subject.strip() or not subject.isprintable():
        raise InvalidMessage(
            f"the subject {subject!r} has characters that no subject may have: "
            "look at the names of the report and of its products"
        )
    message = EmailMessage(policy=policy.SMTP)
    try:
        message["Subject"] = subject
        folded = message.policy.fold("Subject", message["Subject"])
    except ValueError as error:
        raise InvalidMessage(f"the subject {subject!r} can't be written into a mail: {error}") from error
    return folded.removeprefix("Subject:").strip()


def _text(kind: str, text: str) -> bytes:
    lines = _LINE_END.sub("\r\n", text.rstrip("\r\n")) + "\r\n"
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode() + binascii.b2a_qp(lines.encode(), istext=True)


def _image(image: Image) -> bytes:
    if not _CID.fullmatch(image.cid):
        raise InvalidMessage(f"{image.cid!r} is no Content-ID of a picture")
    head = (
        f"Content-Type: image/png\r\nContent-ID: <{image.cid}>\r\n"
        f'Content-Disposition: inline; filename="{image.cid.partition("@")[0]}.png"\r\n'
    )
    return _base64(head, image.content)


def _attachment(attachment: Attachment) -> bytes:
    if not _FILE_NAME.fullmatch(attachment.name) or not _CONTENT_TYPE.fullmatch(attachment.content_type):
        raise InvalidMessage(f"{attachment.name!r} ({attachment.content_type!r}) can't be attached to a mail")
    head = (
        f"Content-Type: {attachment.content_type}\r\n"
        f'Content-Disposition: attachment; filename="{attachment.name}"\r\n'
    )
    return _base64(head, attachment.content)


def _base64(head: str, content: bytes) -> bytes:
    lines = encodebytes(content).replace(b"\n", b"\r\n")
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + lines


def _multipart(kind: str, boundary: str, parts: list[bytes]) -> bytes:
    head = f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    delimiter = f"--{boundary}".encode()
    inner = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return head + inner + delimiter + b"--\r\n"
