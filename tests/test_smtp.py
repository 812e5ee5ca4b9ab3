"""`callhome.reports.smtp`: what is known of a mail after it was sent, whatever the server does."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from callhome.errors import UsageError
from callhome.reports import smtp
from callhome.reports.outcomes import Outcome, Refused, Sent, TryLater, Uncertain
from callhome.reports.smtp import Sender
from callhome.settings import SmtpUrl
from mailpeers import CUT, HANG, Peer, certified, once

MESSAGE = b"Subject: hi\r\n\r\n.a line that begins with a dot\r\n..\r\nthe end\r\n"
# More than what two sockets buffer between them.
LARGE = MESSAGE + b"x" * 70 + (b"\r\n" + b"x" * 70) * 200_000
FROM, TO = "callhome@example.com", "sales@example.com"


@asynccontextmanager
async def sending(
    url: SmtpUrl, *, ca: Path | None = None, command_s: float = 5.0, connections: int = 3
) -> Any:
    """A sender that waits for a command as long as a busy machine may need."""
    async with Sender(url, ca=ca, connections=connections, command_s=command_s) as sender:
        yield sender


class Record:
    """What is told of the last line."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> None:
        """The last line is near."""
        self.times += 1


async def send(sender: Sender, to: str = TO, message: bytes = MESSAGE) -> tuple[Outcome, int]:
    """Send a mail; what became of it, and how often the last line was said to be near."""
    record = Record()
    return await sender.send(message, FROM, to, record), record.times


@pytest.fixture
def authority_file(tmp_path: Path) -> Path:
    """Where a test may write what it trusts."""
    return tmp_path / "ca.pem"


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
async def test_a_mail_arrives_as_it_was_written(tls: str, authority_file: Path) -> None:
    """By each kind of connection the mail arrives byte for byte, safe where the URL says so."""
    async with certified(tls) as peer:
        peer.authority.cert_pem.write_to_path(str(authority_file))
        async with sending(peer.url(tls), ca=authority_file) as sender:
            assert await send(sender) == (Sent("250 taken"), 1)
    (mail,) = peer.inbox.mails
    assert (mail.sender, mail.recipient, mail.content) == (FROM, TO, MESSAGE)
    assert peer.inbox.were_safe == [tls == "starttls"] or tls == "implicit"


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["another authority", "the system's", "another host"])
async def test_a_certificate_that_is_not_trusted_is_refused(
    tls: str, fault: str, authority_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No mail and no password leave for a server whose certificate is not trusted; the log says what to check."""
    async with certified(tls, needs_login=True) as peer:
        authority = trustme.CA() if fault == "another authority" else peer.authority
        authority.cert_pem.write_to_path(str(authority_file))
        host = "127.0.0.1" if fault == "another host" else "localhost"
        ca = None if fault == "the system's" else authority_file
        async with sending(peer.url(tls, "open sesame", host), ca=ca) as sender:
            outcome, times = await send(sender)
            assert sender.rest_s > 0
    assert isinstance(outcome, TryLater)
    assert (outcome.is_server, times) == (True, 0)
    assert "its certificate is not trusted: " in outcome.reason
    assert "CALLHOME_SMTP_CA" in caplog.text
    assert (peer.inbox.mails, peer.inbox.logins) == ([], [])


async def test_a_server_without_starttls_gets_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Where STARTTLS is wanted and not offered, nothing is sent in the clear."""
    async with Peer().listening() as peer:
        url = SmtpUrl("127.0.0.1", peer.port, "starttls", "mailer", "open sesame")
        async with sending(url) as sender:
            outcome, times = await send(sender)
    assert (outcome, times) == (
        TryLater("SMTP STARTTLS extension not supported by server.", is_server=True),
        0,
    )
    assert not [line for line in peer.heard if line.startswith(("AUTH", "MAIL"))]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_login_lets_in(tls: str, authority_file: Path) -> None:
    """With user and password of the URL the server takes the mail."""
    async with certified(tls, needs_login=tls == "starttls") as peer:
        peer.authority.cert_pem.write_to_path(str(authority_file))
        password = "open sesame" if tls == "starttls" else None
        async with sending(peer.url(tls, password), ca=authority_file) as sender:
            assert await send(sender) == (Sent("250 taken"), 1)


async def test_a_refused_login_burns_no_mail(authority_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the server refuses the login, it is about the server and no mail; the password is in no message."""
    async with certified("starttls", needs_login=True) as peer:
        peer.authority.cert_pem.write_to_path(str(authority_file))
        async with sending(peer.url("starttls", "hunter2"), ca=authority_file) as sender:
            outcome, times = await send(sender)
    assert isinstance(outcome, TryLater)
    assert (outcome.is_server, times, peer.inbox.mails) == (True, 0, [])
    assert "it refuses our login: 535" in outcome.reason
    assert "check user and password in CALLHOME_SMTP_URL" in caplog.text
    assert "hunter2" not in caplog.text + outcome.reason


async def test_a_password_that_the_server_repeats_is_masked() -> None:
    """A server that answers with what it was sent has the password in no log."""
    url = SmtpUrl("h", 25, "implicit", "mailer", "open sesame")
    for said in ("535 no: open sesame", "535 AG1haWxlcgBvcGVuIHNlc2FtZQ== is wrong"):
        assert "***" in smtp._without_login(said, url)


@pytest.mark.parametrize(
    ("verb", "said", "expected"),
    [
        ("MAIL", "550 we don't like you", Refused("550 we don't like you")),
        ("MAIL", "451 later", TryLater("451 later")),
        ("RCPT", "550 no such user", Refused("550 no such user")),
        ("RCPT", "450-greylisted\r\n450 come back", TryLater("450 greylisted come back")),
        ("RCPT", "530 login first", TryLater("530 login first", is_server=True)),
        ("DATA", "554 no", Refused("554 no")),
        ("DOT", "554 spam", Refused("554 spam")),
        ("DOT", "451 disk full", TryLater("451 disk full")),
        ("DOT", "421 closing", TryLater("421 closing", is_server=True)),
        ("CONNECT", "554 no service", TryLater("554 no service", is_server=True)),
        ("CONNECT", "421 too many", TryLater("421 too many", is_server=True)),
        ("CONNECT", CUT, None),
        ("EHLO", CUT, TryLater("the connection was lost", is_server=True)),
        ("MAIL", CUT, TryLater("the connection was lost")),
        ("RCPT", CUT, TryLater("the connection was lost")),
        ("DATA", CUT, TryLater("the connection was lost")),
        ("DOT", CUT, Uncertain("no answer to the mail's last line: the connection was lost")),
        ("DOT", "what", Uncertain("an answer to the mail's last line that means nothing: -1 what")),
        ("DOT", "354 go on", Uncertain("an answer to the mail's last line that means nothing: 354 go on")),
    ],
)
async def test_each_answer_has_its_meaning(verb: str, said: str, expected: Outcome | None) -> None:
    """Refused for good, to be tried later, about the server, or uncertain: each answer means one of them."""
    async with Peer(once(verb, said)).listening() as peer, sending(peer.url) as sender:
        outcome, times = await send(sender)
        if expected is None:
            assert isinstance(outcome, TryLater)
            assert outcome.is_server
        elif isinstance(expected, Uncertain) and "means nothing" in expected.reason:
            assert isinstance(outcome, Uncertain)
        else:
            assert outcome == expected
        assert times == (verb == "DOT")
        # And the next mail is sent, on this connection or another.
        assert await send(sender) == (Sent("250 taken"), 1)
    assert len(peer.mails) == 1


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.fault(27)
async def test_row_27_a_server_that_hangs_is_tried_later(verb: str) -> None:
    """A server that falls silent before the last line is left after the deadline, and has no mail."""
    async with Peer(once(verb, HANG)).listening() as peer, sending(peer.url, command_s=0.3) as sender:
        outcome, times = await send(sender)
    assert isinstance(outcome, TryLater)
    assert (outcome.is_server, times, peer.mails) == (verb in ("CONNECT", "EHLO"), 0, [])


async def test_silence_after_the_last_line_is_uncertain() -> None:
    """A server that falls silent after the last line, for ten times the deadline, leaves it uncertain."""
    async with Peer(once("DOT", HANG)).listening() as peer, sending(peer.url, command_s=0.1) as sender:
        outcome, times = await send(sender)
    assert isinstance(outcome, Uncertain)
    assert times == 1


@pytest.mark.fault(27)
async def test_row_27_a_line_that_is_cut_within_the_mail_is_no_delivery() -> None:
    """A server that goes away in the middle of a mail does not have it: the last line was not near."""
    async with Peer(once("BODY", CUT)).listening() as peer, sending(peer.url) as sender:
        outcome, times = await send(sender, message=LARGE)
        assert (outcome, times) == (TryLater("the connection was lost"), 0)
        assert await send(sender, message=LARGE) == (Sent("250 taken"), 1)
    assert len(peer.mails) == 1
    assert peer.mails[0].content == LARGE + b"\r\n"


async def test_a_line_cut_while_the_end_is_recorded_is_no_delivery() -> None:
    """Where the line is lost before the last line leaves, though its end was recorded, it was not delivered."""
    gone = asyncio.Event()
    async with Peer(once("BODY", "")).listening() as peer, sending(peer.url) as sender:

        async def cut_it() -> None:
            (smtp_,) = used
            assert smtp_.transport is not None
            smtp_.transport.abort()
            gone.set()
            while smtp_.is_connected:
                await asyncio.sleep(0)

        used = spied(sender)
        outcome = await sender.send(MESSAGE, FROM, TO, cut_it)
    assert gone.is_set()
    assert outcome == TryLater("the connection was lost before the mail's last line was sent")
    assert peer.mails == []


def spied(sender: Sender) -> list[Any]:
    """The connections that a sender makes from now on."""
    made: list[Any] = []
    connected = sender._connected

    async def connecting() -> Any:
        made.append(await connected())
        return made[-1]

    sender._connected = connecting  # type: ignore[method-assign]
    return made


async def test_a_mail_whose_end_may_not_be_recorded_is_not_finished() -> None:
    """Where the record of the near end fails, the last line is not sent, and the connection is not used again."""

    async def fail() -> None:
        raise RuntimeError("the claim has ended")

    async with Peer().listening() as peer, sending(peer.url) as sender:
        with pytest.raises(RuntimeError, match="the claim has ended"):
            await sender.send(MESSAGE, FROM, TO, fail)
        assert await send(sender) == (Sent("250 taken"), 1)
        assert peer.connections == 2
    assert len(peer.mails) == 1


async def test_connections_are_kept_and_bounded() -> None:
    """Many mails share few connections, reset in between; the next ones take those that are idle."""
    async with Peer().listening() as peer, sending(peer.url, connections=2) as sender:
        outcomes = await asyncio.gather(*(send(sender, f"r{number}@example.com") for number in range(20)))
        assert outcomes == [(Sent("250 taken"), 1)] * 20
        assert (peer.connections, peer.most_open) == (2, 2)
        assert peer.heard.count("RSET") == 18
    assert {mail.recipient for mail in peer.mails} == {f"r{number}@example.com" for number in range(20)}


async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody needs is closed with a QUIT after a while, and at the end."""
    monkeypatch.setattr(smtp, "IDLE_S", 0.05)
    async with Peer().listening() as peer, sending(peer.url) as sender:
        await send(sender)
        async with asyncio.timeout(20):
            while peer.open:
                await asyncio.sleep(0.01)
        assert peer.heard[-1] == "QUIT"
        await send(sender)
    assert peer.connections == 2


@pytest.mark.parametrize("fault", [("RSET", CUT), ("RSET", "421 bye"), ("MAIL", CUT), ("MAIL", "421 enough")])
async def test_a_connection_that_went_stale_is_replaced(fault: tuple[str, str]) -> None:
    """Where the server has had enough of a connection, the mail goes out on a new one at once."""
    seen: list[str] = []

    def answer(_peer: Peer, verb: str, _rest: str) -> str | None:
        seen.append(verb)
        return fault[1] if verb == fault[0] and peer.connections == 1 and "DOT" in seen else None

    async with Peer(answer).listening() as peer, sending(peer.url) as sender:
        assert await send(sender) == (Sent("250 taken"), 1)
        assert await send(sender) == (Sent("250 taken"), 1)
    assert (len(peer.mails), peer.connections) == (2, 2)


async def test_while_the_server_is_away_mails_rest(
    unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that can't be reached is told once for a pause that grows, and forgotten once it answers."""
    async with sending(SmtpUrl("127.0.0.1", unused_tcp_port, "none")) as sender:
        assert sender.rest_s == 0
        outcomes = await asyncio.gather(*(send(sender) for _ in range(3)))
        assert all(isinstance(outcome, TryLater) and outcome.is_server for outcome, _ in outcomes)
        assert sender.rest_s > 0
        said = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(said) == 1
        async with Peer(port=unused_tcp_port).listening():
            assert await send(sender) == (Sent("250 taken"), 1)


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    """A CALLHOME_SMTP_CA that holds none is told with its name when the sender is made."""
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(UsageError, match=r"CALLHOME_SMTP_CA: .* holds no certificates"):
        Sender(SmtpUrl("h", 465, "implicit"), ca=tmp_path / "ca.pem", connections=1, command_s=1)


async def test_a_cancelled_mail_is_not_finished() -> None:
    """Cancelled before its last line, a mail is not sent, and its connection is closed."""
    reached = asyncio.Event()

    def answer(_peer: Peer, verb: str, _rest: str) -> str | None:
        if verb != "RCPT":
            return None
        reached.set()
        return HANG

    async with Peer(answer).listening() as peer, sending(peer.url) as sender:
        task = asyncio.create_task(send(sender))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(20):
            while peer.open:
                await asyncio.sleep(0.01)
    assert peer.mails == []
