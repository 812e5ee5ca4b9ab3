"""`callhome.reports.message`: the mail as every program reads it, the same at each try, whatever its texts are."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.reports.message import (
    Envelope,
    InvalidMessage,
    Prepared,
    list_id,
    message_id,
    named,
    pack,
    unpack,
)
from callhome.reports.model import UNSUBSCRIBE, Attachment, Composed, Image

WHEN = datetime(2026, 11, 30, 6, 0, 1, tzinfo=UTC)
URL = "https://callhome.example.com/unsubscribe?t=" + "a" * 200
ENVELOPE = Envelope(
    "callhome@example.com", "sales@example.com", "abc@example.com", "report-1.callhome.example.com", URL
)
PNG = bytes(range(256)) * 20
COMPOSED = Composed(
    subject="Example Server: 12,345 active installs, 3 % more",
    composed_at=WHEN,
    text=f"One\n.\n..dots\nFrom the start\nblank at the end \n\nUnsubscribe: {UNSUBSCRIBE}\n",
    html=f'<p>é &amp; ü</p>\n<img src="cid:chart"><a href="{UNSUBSCRIBE}">Unsubscribe</a>',
    images=(Image("chart", PNG),),
    attachments=(Attachment("usage.csv", "text/csv; charset=utf-8", "jour,été\r\n".encode()),),
)
# All that a text can hold but lone surrogates, which no encoding has, and CR, which a mail makes its own.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
# The same without what is no printable character, as names and subjects are.
SUBJECT = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), min_size=1
)


def read(message: bytes) -> EmailMessage:
    """The mail as a program reads it, which must find no fault with it."""
    found = email.message_from_bytes(message, policy=email.policy.default)
    assert [part.defects for part in found.walk() if part.defects] == []
    return found


def part(message: EmailMessage, kind: str) -> str:
    """The text or HTML of a mail."""
    body = message.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


def test_a_mail_has_its_parts_and_headers() -> None:
    """Text, HTML with its picture, and tables, in the shape that mail programs expect, with each header once."""
    message = read(Prepared(COMPOSED).message(ENVELOPE))
    shape = [each.get_content_type() for each in message.walk()]
    assert shape == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html"),
        *("image/png", "text/csv"),
    ]
    assert dict(message.items()) == {
        "From": "callhome <callhome@example.com>",
        "To": "sales@example.com",
        "Subject": COMPOSED.subject,
        "Date": "Mon, 30 Nov 2026 06:00:01 +0000",
        "Message-ID": "<abc@example.com>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "OOF, AutoReply",
        "List-Id": "<report-1.callhome.example.com>",
        "List-Unsubscribe": f"<{URL}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }
    assert part(message, "plain") == COMPOSED.text.replace(UNSUBSCRIBE, URL)
    assert part(message, "html") == COMPOSED.html.replace(UNSUBSCRIBE, URL) + "\n"
    picture, table = [each for each in message.walk() if each.get_content_type() in ("image/png", "text/csv")]
    assert (picture["Content-ID"], picture.get_content(), picture.get_filename()) == (
        "<chart>",
        PNG,
        "chart.png",
    )
    assert (table.get_filename(), table.get_content_disposition()) == ("usage.csv", "attachment")
    assert table.get_payload(decode=True) == "jour,été\r\n".encode()


def test_the_link_to_unsubscribe_is_one_line_as_it_was_written() -> None:
    """The headers by which mail programs unsubscribe (RFC 8058) are neither folded nor encoded."""
    head = Prepared(COMPOSED).message(ENVELOPE).partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    assert f"List-Unsubscribe: <{URL}>" in head
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head


def test_without_an_address_to_unsubscribe_at_there_is_none() -> None:
    """Where the console has no public address, no header promises one."""
    message = read(Prepared(COMPOSED).message(replace(ENVELOPE, list_id=None, unsubscribe_url=None)))
    assert not [name for name in message if name.startswith("List-")]
    assert UNSUBSCRIBE not in part(message, "plain") + part(message, "html")


def test_a_plain_mail_has_no_needless_parts() -> None:
    """Without pictures and tables a mail is text and HTML, no more."""
    message = read(Prepared(replace(COMPOSED, images=(), attachments=())).message(ENVELOPE))
    assert [each.get_content_type() for each in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_the_same_mail_is_the_same_bytes() -> None:
    """Made again, also from what the table holds, a mail is the same byte for byte; another recipient's differs."""
    first = Prepared(COMPOSED).message(ENVELOPE)
    assert Prepared(unpack(pack(COMPOSED))).message(ENVELOPE) == first
    assert Prepared(COMPOSED).message(replace(ENVELOPE, recipient="other@example.com")) != first


@given(subject=SUBJECT, text=TEXT, html=TEXT, content=st.binary(max_size=300))
def test_any_text_arrives_as_it_is(subject: str, text: str, html: str, content: bytes) -> None:
    """Whatever the texts and pictures are, they arrive; all of it is ASCII, in lines that every server takes."""
    if not subject.strip():
        return
    composed = Composed(
        subject, WHEN, text, html, (Image("c", content),), (Attachment("t.csv", "text/csv", content),)
    )
    message = Prepared(composed).message(replace(ENVELOPE, unsubscribe_url=None))
    assert message.isascii()
    lines = message.split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line or len(line) > 78]
    found = read(message)
    assert found["Subject"] == subject.strip() or " ".join(found["Subject"].split()) == " ".join(
        subject.split()
    )
    assert part(found, "plain") == text.rstrip("\n").replace(UNSUBSCRIBE, "") + "\n"
    assert part(found, "html") == html.rstrip("\n").replace(UNSUBSCRIBE, "") + "\n"
    payloads = [
        each.get_payload(decode=True) for each in found.walk() if each.get_content_maintype() == "image"
    ]
    assert payloads == [content]


@pytest.mark.parametrize(
    "subject",
    [
        "ES\r\nBcc: all@example.com",
        "a\nb",
        "a\rb",
        "a\x00b",
        "a\x1b[2Jb",
        "a\u202eb",
        "a\u2028b",
        "a\x85b",
        "",
        "  ",
    ],
)
def test_row_13_a_control_character_in_a_subject_is_refused(subject: str) -> None:
    """A subject with a line break, a control or a bidirectional character becomes no mail; it is told which."""
    with pytest.raises(InvalidMessage, match="has characters that no subject may have") as caught:
        Prepared(replace(COMPOSED, subject=subject))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "changed",
    [
        {"recipient": "a@example.com\r\nBcc: b@example.com"},
        {"recipient": "a@example.com>, <b@example.com"},
        {"sender": "a b@example.com"},
        {"message_id": "x>\r\nBcc: b@example.com"},
        {"list_id": "x\r\nBcc: b@example.com"},
        {"unsubscribe_url": "https://x/\r\nBcc: b@example.com"},
        {"unsubscribe_url": "https://x/" + "a" * 1000},
    ],
)
def test_nothing_else_smuggles_a_header(changed: dict[str, str]) -> None:
    """What would end a header, or make one too long, is refused wherever it stands."""
    with pytest.raises(InvalidMessage, match=r"header"):
        Prepared(COMPOSED).message(replace(ENVELOPE, **changed))


@pytest.mark.parametrize(
    ("attachment", "image"),
    [
        (Attachment('a".csv', "text/csv", b""), None),
        (Attachment("a\r\n.csv", "text/csv", b""), None),
        (Attachment("../a.csv", "text/csv", b""), None),
        (Attachment("a.csv", "text/csv\r\nX: y", b""), None),
        (None, Image("a>\r\nX: y", b"")),
    ],
)
def test_names_of_parts_are_plain(attachment: Attachment | None, image: Image | None) -> None:
    """A file or picture whose name needs quoting is refused: ours have plain ones."""
    with pytest.raises(InvalidMessage):
        Prepared(
            replace(
                COMPOSED, attachments=(attachment,) if attachment else (), images=(image,) if image else ()
            )
        )


def test_a_message_id_is_stable_and_tells_mails_apart() -> None:
    """The Message-ID is the same for the same report, due and address, and another for any other."""
    due, later = WHEN, WHEN.replace(day=29)
    base = message_id(b"s" * 32, named(1, due), "a@example.com", "callhome@example.com")
    assert base == message_id(b"s" * 32, named(1, due), "a@example.com", "callhome@example.com")
    others = {
        message_id(b"t" * 32, named(1, due), "a@example.com", "callhome@example.com"),
        message_id(b"s" * 32, named(2, due), "a@example.com", "callhome@example.com"),
        message_id(b"s" * 32, named(1, later), "a@example.com", "callhome@example.com"),
        message_id(b"s" * 32, named(1, due), "b@example.com", "callhome@example.com"),
    }
    assert len(others | {base}) == 5
    assert re.fullmatch(r"[0-9a-f]{32}@example\.com", base)
    assert list_id(1, "callhome@example.com") == "report-1.callhome.example.com"


def test_what_another_version_stored_is_told() -> None:
    """A stored report that can't be read any more is told as that, and not as a mistake in the code."""
    with pytest.raises(InvalidMessage, match="can't be read"):
        unpack(b"\x00")
