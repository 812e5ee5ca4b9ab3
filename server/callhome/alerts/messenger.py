"""Takes a message to somebody: by mail or by webhook. What `alert test` uses is what the server uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ..reports.message import Envelope, InvalidMessage, Prepared
from ..reports.outcomes import Outcome, Refused, TryLater
from ..reports.smtp import Sender
from . import signing
from .model import Message, Target
from .telling import Telling
from .webhook import Answer, Webhook

NO_MAIL: Final = "no mail server is configured: set CALLHOME_SMTP_URL and CALLHOME_MAIL_FROM"


class Messenger:
    """Mails and webhooks, as the settings have them. ``sender`` is None where no mail server is configured."""

    def __init__(
        self,
        webhook: Webhook,
        secret: bytes,
        *,
        sender: Sender | None = None,
        mail_from: str | None = None,
        console_url: str | None = None,
    ) -> None:
        self._webhook = webhook
        self._secret = secret
        self._mail_from = mail_from
        self._console_url = console_url
        self.sender = sender

    async def send(
        self, message: Message, target: Target, on_last_line: Callable[[], Awaitable[None]]
    ) -> Answer:
        """Tell a target, and return what came of it.

        ``on_last_line`` is awaited before the last line of a mail; a webhook may be told twice. Cancelled, a message
        may have arrived or not.
        """
        telling = Telling(message)
        if target.channel == "webhook":
            secret = signing.secret_of(self._secret, message.alert)
            body = telling.payload(self._console_url)
            return await self._webhook.send(target.address, secret, target.message_id, body)
        return Answer(await self._mail(telling, target, on_last_line))

    async def _mail(
        self, telling: Telling, target: Target, on_last_line: Callable[[], Awaitable[None]]
    ) -> Outcome:
        if self.sender is None or self._mail_from is None:
            return Refused(NO_MAIL)
        if self.sender.rest_s:
            return TryLater("the mail server was not to be used a moment ago", is_server=True)
        domain = self._mail_from.rpartition("@")[2]
        envelope = Envelope(self._mail_from, target.address, f"{target.message_id}@{domain}")
        try:
            mail = await asyncio.to_thread(
                lambda: Prepared(telling.mail(self._console_url)).message(envelope)
            )
        except InvalidMessage as error:
            return Refused(str(error))
        return await self.sender.send(mail, self._mail_from, target.address, on_last_line)
