"""`callhome.reports.unsent`: a body that has left, and one that has not."""

from __future__ import annotations

import asyncio
import sys

import aiosmtplib
import pytest

from callhome.reports import unsent
from mailpeers import HANG, Peer, once

LARGE = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 200_000


async def connected(peer: Peer) -> aiosmtplib.SMTP:
    """A connection that waits for a mail's body."""
    smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=peer.port, start_tls=False, timeout=10)
    await smtp.connect()
    await smtp.ehlo()
    await smtp.mail("a@example.com")
    await smtp.rcpt("b@example.com")
    assert (await smtp.execute_command(b"DATA")).code == 354
    return smtp


@pytest.mark.parametrize("text", [b".", b"..\r\n.x\r\n.", b"a\r\n.\r\nb\r\n", b"a"])
async def test_dots_are_doubled_and_come_back(text: bytes) -> None:
    """Lines that begin with a dot arrive as they were, and none of them ends the mail."""
    async with Peer().listening() as peer:
        smtp = await connected(peer)
        await unsent.write(smtp, text)
        assert (await smtp.execute_command(b".")).code == 250
        smtp.close()
    (mail,) = peer.mails
    assert mail.content == (text if text.endswith(b"\r\n") else text + b"\r\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what has left")
async def test_a_body_that_nobody_reads_has_not_left() -> None:
    """While the server reads nothing more, a large body is waited for; once it is cut, that is an error."""

    async def stall(_peer: Peer, verb: str, _rest: str) -> str | None:
        if verb == "BODY":
            await go_on.wait()
        return None

    go_on = asyncio.Event()
    async with Peer(stall).listening() as peer:
        smtp = await connected(peer)
        writing = asyncio.create_task(unsent.write(smtp, LARGE))
        async with asyncio.timeout(20):
            while not unsent._left(smtp):
                await asyncio.sleep(0)
        assert not writing.done()
        go_on.set()
        await writing
        assert unsent._left(smtp) == 0
        smtp.close()


async def test_a_line_that_is_lost_is_told() -> None:
    """A connection that ends while a body leaves, or before it does, raises."""
    async with Peer(once("BODY", HANG)).listening() as peer:
        smtp = await connected(peer)
        writing = asyncio.create_task(unsent.write(smtp, LARGE))
        await asyncio.sleep(0)
        assert smtp.transport is not None
        smtp.transport.close()
        smtp.close()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await writing
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await unsent.write(smtp, b"x")
