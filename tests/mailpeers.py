"""Mail servers for tests: one that misbehaves as it is told, and aiosmtpd with TLS and a login."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from callhome.settings import SmtpUrl

# In place of an answer: the line is cut; there is none, for ever.
CUT: Final = "cut"
HANG: Final = "hang"


@dataclass(frozen=True)
class Mail:
    """A mail that a server has taken, as it came."""

    sender: str
    recipient: str
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail as a program reads it."""
        return email.message_from_bytes(self.content, policy=email.policy.default)

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"])


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = Callable[["Peer", str, str], "str | Awaitable[str | None] | None"]


@dataclass
class Peer:
    """A mail server of few words. ``answer(peer, verb, rest)`` may give another answer than usual, `CUT` or `HANG`.

    Verbs are those of the commands, ``CONNECT``, ``BODY`` (the middle of a mail), and ``DOT`` (with the recipient).
    """

    answer: Answer = lambda peer, verb, rest: None
    mails: list[Mail] = field(default_factory=list)
    # Each command as it came, with those that stand for no command.
    heard: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> SmtpUrl:
        """Where it is."""
        return SmtpUrl("127.0.0.1", self.port, "none")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Peer]:
        """It listens while this is entered."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**25)
        self.port = server.sockets[0].getsockname()[1]
        handlers = self._handlers = set[asyncio.Task[Any]]()
        try:
            yield self
        finally:
            server.close()
            for handler in handlers:
                handler.cancel()
            if handlers:
                await asyncio.wait(handlers)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.open, self.connections = self.open + 1, self.connections + 1
        self.most_open = max(self.most_open, self.open)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, _Cut, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            self.open -= 1
            self._handlers.discard(task)
            writer.transport.abort()

    async def _say(self, streams: Streams, verb: str, rest: str, usual: str) -> str:
        reader, writer = streams
        self.heard.append(f"{verb} {rest}".strip())
        said = self.answer(self, verb, rest)
        if said is not None and not isinstance(said, str):
            said = await said
        said = said or usual
        if said == CUT:
            raise _Cut
        if said == HANG:
            await reader.read()  # until the other side has gone
            raise _Cut
        if said:
            writer.write(f"{said}\r\n".encode())
            await writer.drain()
        return said

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = recipient = ""
        usual = {
            "EHLO": "250-peer\r\n250-SIZE 10000000\r\n250 PIPELINING",
            "DATA": "354 go on",
            "QUIT": "221 bye",
        }
        await self._say((reader, writer), "CONNECT", "", "220 peer")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            said = await self._say((reader, writer), verb.upper(), rest, usual.get(verb.upper(), "250 fine"))
            address = rest.partition("<")[2].partition(">")[0]
            if verb == "MAIL":
                sender = address
            elif verb == "RCPT":
                recipient = address
            elif verb == "DATA" and said.startswith("354"):
                first = await reader.readexactly(1)
                await self._say((reader, writer), "BODY", recipient, "")
                body = first + await reader.readuntil(b"\r\n.\r\n")
                content = (b"\n" + body[:-3]).replace(b"\n..", b"\n.")[1:]
                said = await self._say((reader, writer), "DOT", recipient, "250 taken")
                if said.startswith("250"):
                    self.mails.append(Mail(sender, recipient, content))
            elif verb == "QUIT":
                return


class _Cut(Exception):
    """The line is cut here."""


def once(verb: str, said: str, recipient: str = "") -> Answer:
    """The first time that ``verb`` comes (to that recipient), this is the answer."""
    told: list[str] = []

    def answer(_peer: Peer, heard: str, rest: str) -> str | None:
        if heard != verb or recipient not in rest or told:
            return None
        told.append(said)
        return said

    return answer


def always(verb: str, said: str, recipient: str = "") -> Answer:
    """Each time that ``verb`` comes (to that recipient), this is the answer."""
    return lambda _peer, heard, rest: said if heard == verb and recipient in rest else None


class Inbox:
    """A handler of aiosmtpd that keeps what it takes."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.were_safe: list[bool] = []
        self.logins: list[str] = []

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail. Cancelling it takes none."""
        self.were_safe.append(session.ssl is not None)
        content = envelope.original_content or b""
        self.mails.append(Mail(str(envelope.mail_from), envelope.rcpt_tos[0], content))
        return "250 taken"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        """Let in who is ``mailer`` and says ``open sesame``."""
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            b"mailer",
            b"open sesame",
        )
        self.logins.append("right" if is_right else "wrong")
        return AuthResult(success=is_right, handled=False)


@dataclass(frozen=True)
class Certified:
    """aiosmtpd with a certificate of ``authority``, and how to reach it."""

    inbox: Inbox
    port: int
    authority: trustme.CA

    def url(self, tls: str, password: str | None = None, host: str = "localhost") -> SmtpUrl:
        """The URL for it, with a login if a password is given."""
        return SmtpUrl(host, self.port, tls, "mailer" if password else None, password)


@asynccontextmanager
async def certified(tls: str, *, needs_login: bool = False) -> AsyncIterator[Certified]:
    """aiosmtpd with a certificate for localhost: ``implicit`` TLS, ``starttls``, or ``none``."""
    authority, inbox = trustme.CA(), Inbox()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it knows of no TLS but STARTTLS
            return made()

    def made() -> SMTP:
        return SMTP(
            inbox,
            hostname="peer",
            loop=loop,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            auth_required=needs_login,
            auth_require_tls=tls == "starttls",
            authenticator=inbox.authenticate if needs_login else None,
        )

    server = await loop.create_server(protocol, "localhost", 0, ssl=context if tls == "implicit" else None)
    try:
        yield Certified(inbox, server.sockets[0].getsockname()[1], authority)
    finally:
        server.close()
        await server.wait_closed()
