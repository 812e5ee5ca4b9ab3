"""Sending a mail by SMTP so that afterwards it is known whether it may have arrived.

A server takes a mail with its answer to the last line, a dot, and never before it. So everything but that line is
sent first; then whoever sends records that the end is near; then the dot leaves. What fails before the dot was not
delivered, and is tried again. Only where the dot has left and no answer came nobody can know.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Self

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

from ..errors import UsageError
from ..settings.mail import SmtpUrl
from . import unsent
from .outcomes import Outcome, Refused, Sent, TryLater, Uncertain, reply, said, why_closed

logger = logging.getLogger(__name__)

# Servers drop idle connections after five minutes or so (RFC 5321, 4.5.3.2.7); those that count them thank for less.
IDLE_S: Final = 30.0
# What comes before the last line, as a multiple of the deadline of one command: once until MAIL is taken, and once from
# there on. Some ten commands in all, of which a server may think a while about one or two.
DIALOGUE_COMMANDS: Final = 4
# What a server does before it answers the last line (store the mail, look for viruses) takes longest, and to give up
# too early costs certainty: RFC 5321 (4.5.3.2.6) has 10 minutes for it, and 2 to 5 for the other commands.
LAST_ANSWER_COMMANDS: Final = 10
# While a server can't be reached or doesn't let us in, all mails rest: so long first, and at most.
_REST_S: Final = (5.0, 300.0)
# Codes by which a server tells that it's we who aren't welcome, not the mail: closing, and login needed or wrong.
_SERVER_CODES: Final = frozenset({421, 530, 534, 535, 538})


class _Closed(Exception):
    """The server can't be used at all; the message says why."""


class Sender:
    """Sends mails over at most ``connections`` connections, which it keeps for the next mail. An async context manager.

    ``command_s`` is how long a server may take for one command. Certificates are always verified: by ``ca`` (a file in
    PEM), or those of the system. Raises `UsageError` where that file holds none.
    """

    def __init__(self, url: SmtpUrl, *, ca: Path | None, connections: int, command_s: float) -> None:
        self._url = url
        self._command_s = command_s
        self._slots = asyncio.Semaphore(connections)
        self._tls = None if url.tls == "none" else _tls_context(ca)
        self._idle: dict[aiosmtplib.SMTP, asyncio.TimerHandle] = {}
        self._own_name: str | None = None
        self._troubles = 0
        self._rests_until_s = 0.0
        self.connections = connections
        # A mail is under way for no longer, before its last line and after it.
        self.dialogue_s = DIALOGUE_COMMANDS * command_s
        self.last_answer_s = LAST_ANSWER_COMMANDS * command_s

    @property
    def rest_s(self) -> float:
        """For how many seconds nothing ought to be sent, since the server was not to be used; mostly 0."""
        return max(0.0, self._rests_until_s - asyncio.get_running_loop().time())

    async def __aenter__(self) -> Self:
        """Nothing is connected yet. Cancelling it changes nothing."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close idle connections. It awaits nothing, so it can't be cancelled."""
        for smtp in list(self._idle):
            self._part(smtp)

    async def send(
        self, message: bytes, sender: str, recipient: str, on_last_line: Callable[[], Awaitable[None]]
    ) -> Outcome:
        """Send a mail, whose lines end in CR LF; ``on_last_line`` is awaited when only its last line is left to send.

        Never raises but what ``on_last_line`` raises, and then the mail is not sent. Cancelled before that was
        awaited, the mail is not sent; cancelled after it, that is uncertain.
        """
        async with self._slots:
            try:
                async with asyncio.timeout(self.dialogue_s):
                    smtp = await self._begun(sender, len(message))
            except _Closed as error:
                return self._rest(str(error))
            except (SMTPException, OSError) as error:
                return self._judged(error)
            self._troubles = 0
            is_whole = False
            try:
                outcome = await self._transfer(smtp, message, recipient, on_last_line)
                is_whole = True
                return outcome
            finally:
                self._release(smtp, is_whole)

    async def _transfer(
        self,
        smtp: aiosmtplib.SMTP,
        message: bytes,
        recipient: str,
        on_last_line: Callable[[], Awaitable[None]],
    ) -> Outcome:
        """All from RCPT on. Cancelling it leaves the connection in the middle of a mail."""
        try:
            async with asyncio.timeout(self.dialogue_s):
                await smtp.rcpt(recipient)
                code, text = await smtp.execute_command(b"DATA")
                if code != 354:
                    return self._judged(SMTPResponseException(code, text))
                await unsent.write(smtp, message)
        except (SMTPException, OSError) as error:
            if not isinstance(error, SMTPResponseException):
                smtp.close()
            return self._judged(error)
        try:
            await on_last_line()
        except BaseException:
            smtp.close()  # it waits for the rest of a mail
            raise
        if not smtp.is_connected:
            return TryLater("the connection was lost before the mail's last line was sent")
        try:
            code, text = await smtp.execute_command(b".", timeout=self.last_answer_s)
        except (SMTPException, OSError) as error:
            smtp.close()
            return Uncertain(f"no answer to the mail's last line: {said(error)}")
        if 200 <= code < 300:
            return Sent(reply(code, text))
        if 400 <= code < 600:
            return self._judged(SMTPResponseException(code, text))
        smtp.close()
        return Uncertain(f"an answer to the mail's last line that means nothing: {reply(code, text)}")

    async def _begun(self, sender: str, size: int) -> aiosmtplib.SMTP:
        """A connection whose server has taken MAIL: a used one if any works still, else a new one."""
        while self._idle:
            smtp, timer = self._idle.popitem()
            timer.cancel()
            if await self._still_works(smtp):
                try:
                    await self._mail(smtp, sender, size)
                    return smtp
                except SMTPResponseException as error:
                    # What it says of the mail counts; that it is tired of this connection doesn't.
                    self._release(smtp, error.code not in _SERVER_CODES)
                    if error.code not in _SERVER_CODES:
                        raise
                except (SMTPException, OSError):
                    smtp.close()
                except BaseException:
                    smtp.close()
                    raise
        smtp = await self._connected()
        try:
            await self._mail(smtp, sender, size)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _still_works(self, smtp: aiosmtplib.SMTP) -> bool:
        try:
            await smtp.rset()
        except (SMTPException, OSError):
            smtp.close()
            return False
        except BaseException:
            smtp.close()
            raise
        return True

    async def _mail(self, smtp: aiosmtplib.SMTP, sender: str, size: int) -> None:
        options = [f"SIZE={size}"] if smtp.supports_extension("size") else []
        await smtp.mail(sender, options=options)

    async def _connected(self) -> aiosmtplib.SMTP:
        """A new connection, safe and logged in as the URL wants it. Raises `_Closed`; cancelling it closes."""
        url = self._url
        if self._own_name is None:
            self._own_name = await asyncio.to_thread(_own_name)
        smtp = aiosmtplib.SMTP(
            hostname=url.host,
            port=url.port,
            username=url.user,
            password=url.password,
            local_hostname=self._own_name,
            timeout=self._command_s,
            use_tls=url.tls == "implicit",
            start_tls=url.tls == "starttls",
            tls_context=self._tls,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await _greet(smtp)
        except (SMTPException, OSError, ValueError) as error:
            smtp.close()
            raise _Closed(_without_login(why_closed(error), url)) from error
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _release(self, smtp: aiosmtplib.SMTP, is_whole: bool) -> None:
        """Keep a connection for the next mail, or close it."""
        if not smtp.is_connected:
            return
        if not is_whole:
            smtp.close()
            return
        self._idle[smtp] = asyncio.get_running_loop().call_later(IDLE_S, self._part, smtp)

    def _part(self, smtp: aiosmtplib.SMTP) -> None:
        """Say goodbye, and wait for no answer."""
        if timer := self._idle.pop(smtp, None):
            timer.cancel()
        if smtp.protocol is not None and smtp.is_connected:
            smtp.protocol.write(b"QUIT\r\n")
        smtp.close()

    def _judged(self, error: SMTPException | OSError) -> TryLater | Refused:
        """What a failure before the last line means, or an answer that refuses."""
        if not isinstance(error, SMTPResponseException):
            return TryLater(said(error))
        answer = reply(error.code, error.message)
        if error.code in _SERVER_CODES:
            return self._rest(answer)
        return Refused(answer) if 500 <= error.code < 600 else TryLater(answer)

    def _rest(self, reason: str) -> TryLater:
        """The server can't be used: let all mails rest for a while, and say so loudly."""
        first_s, longest_s = _REST_S
        rest_s = min(longest_s, first_s * 2.0 ** min(self._troubles, 10)) * random.uniform(0.75, 1.0)
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._rests_until_s:  # else another connection has just met the same
            self._troubles += 1
            self._rests_until_s = now_s + rest_s
            logger.error(
                "the mail server %s:%d can't be used, mails wait, next try in %.0f s: %s",
                self._url.host, self._url.port, rest_s, reason,
            )  # fmt: skip
        return TryLater(reason, is_server=True)


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        await smtp.helo()


def _tls_context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"CALLHOME_SMTP_CA: {str(ca)!r} holds no certificates in PEM ({error.strerror or error}); "
            "expected lines such as -----BEGIN CERTIFICATE-----"
        ) from error


def _own_name() -> str:
    """What we greet a server with: this machine's full name, or its address where it has none (RFC 5321, 4.1.3)."""
    name = socket.getfqdn()
    if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
        return name
    try:
        return f"[{socket.gethostbyname(socket.gethostname())}]"
    except OSError:
        return "[127.0.0.1]"


def _without_login(text: str, url: SmtpUrl) -> str:
    """What a server said, should it have repeated our password."""
    if url.user is None or url.password is None:
        return text
    pair = f"\0{url.user}\0{url.password}"
    for secret in (url.password, *(b64encode(each.encode()).decode() for each in (url.password, pair))):
        text = text.replace(secret, "***")
    return text
