"""The demo's mailbox: what is mailed to it is shown as its recipient would see it, and nothing in it can do harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import aiosmtplib
from aiohttp import ClientSession, web

from callhome.console import routes
from callhome.demo.mailbox import KEPT, Mailbox
from callhome.demo.mailbox_page import PATH, MailboxPage

HOSTILE = '<img src=x onerror="alert(1)">'


def mail(subject: str = "Week 47", html: str = '<p>Hi <img src="cid:one@x"></p>') -> EmailMessage:
    """Return a mail with text, HTML, a picture in it and a file."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "callhome@example.com", "sales@example.com", subject
    message.set_content("Hello in plain text.\n")
    message.add_alternative(html, subtype="html")
    part: Any = message.get_payload()[1]  # type: ignore[index]
    part.add_related(b"PNG", "image", "png", cid="<one@x>")
    message.add_attachment("a,b\n", subtype="csv", filename="figures.csv")
    return message


@asynccontextmanager
async def shown(*messages: EmailMessage) -> AsyncIterator[tuple[Mailbox, ClientSession]]:
    """A mailbox that got these mails, and a visitor of its page."""
    async with Mailbox() as mailbox:
        for message in messages:
            await aiosmtplib.send(message, hostname="127.0.0.1", port=mailbox.port, start_tls=False)
        app = web.Application()
        routes.add(app, MailboxPage(mailbox).table())
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as visitor:
                yield mailbox, visitor
        finally:
            await runner.cleanup()


async def read(visitor: ClientSession, path: str) -> tuple[int, str, str]:
    """Return status, text and policy of an answer."""
    async with visitor.get(path) as response:
        return response.status, await response.text(), response.headers.get("Content-Security-Policy", "")


async def test_a_mail_is_shown_as_its_recipient_sees_it() -> None:
    """Subject and recipient in the list; HTML with its picture in a frame; text and headers; the file to save."""
    async with shown(mail()) as (_, visitor):
        status, page, _ = await read(visitor, PATH)
        assert (status, "Week 47" in page, "sales@example.com" in page) == (200, True, True)
        _, html, policy = await read(visitor, f"{PATH}/1/html")
        assert '<img src="data:image/png;base64,UE5H">' in html
        assert "sandbox" in policy
        assert "Hello in plain text." in (await read(visitor, f"{PATH}/1?as=text"))[1]
        assert "Subject: Week 47" in (await read(visitor, f"{PATH}/1?as=headers"))[1]
        assert (await read(visitor, f"{PATH}/1/files/0"))[1].split() == ["a,b"]
        assert (await read(visitor, f"{PATH}/style.css"))[0] == 200


async def test_an_empty_mailbox_says_what_will_come() -> None:
    """Before the first mail the page says when there will be one; what isn't there is 404."""
    async with shown() as (_, visitor):
        assert "No mail yet" in (await read(visitor, PATH))[1]
        assert [(await read(visitor, f"{PATH}/{way}"))[0] for way in ("1", "1/html", "1/files/0")] == [
            404
        ] * 3


async def test_hostile_mails_do_no_harm() -> None:
    """A subject is text, a script in a mail's HTML is in a sandbox that runs none."""
    async with shown(mail(HOSTILE, f"<script>alert(1)</script>{HOSTILE}")) as (_, visitor):
        _, page, policy = await read(visitor, PATH)
        assert HOSTILE not in page
        assert "&lt;img" in page
        assert "script" not in policy
        policy = (await read(visitor, f"{PATH}/1/html"))[2]
        assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox;")
        assert "script-src" not in policy


async def test_only_the_newest_are_kept() -> None:
    """The oldest go when there are too many: a demo may run for days."""
    async with shown(*(mail(f"Number {number}") for number in range(KEPT + 2))) as (mailbox, visitor):
        assert len(mailbox.mails) == KEPT
        assert mailbox.mails[0].subject == f"Number {KEPT + 1}"
        assert (await read(visitor, f"{PATH}/2"))[0] == 404
