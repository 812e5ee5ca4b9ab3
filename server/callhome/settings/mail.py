"""The kinds of values that settings of mails have, as `callhome.settings.kinds` reads the others. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from .. import addresses
from .kinds import Listen, check_port, text_of


@dataclass(frozen=True, slots=True)
class SmtpUrl:
    """A mail server: ``tls`` is ``starttls`` (required, never left out), ``implicit`` or ``none``."""

    host: str
    port: int
    tls: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        scheme = next(scheme for scheme, (tls, _) in SMTP_SCHEMES.items() if tls == self.tls)
        return f"{scheme}://{f'{self.user}:***@' if self.user else ''}{Listen(self.host, self.port)}"


# Scheme -> how the connection is made safe, and the usual port (RFC 8314 for submission: 465 and 587).
SMTP_SCHEMES: Final = MappingProxyType(
    {"smtps": ("implicit", 465), "smtp+starttls": ("starttls", 587), "smtp": ("none", 25)}
)


def smtp_url(value: object) -> SmtpUrl:
    """``smtps://``, ``smtp+starttls://`` or ``smtp://``, then ``[USER:PASSWORD@]HOST[:PORT]``."""
    if isinstance(value, SmtpUrl):
        return value
    text = text_of(value, shown=False)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in SMTP_SCHEMES:
        raise ValueError(
            f"it doesn't begin with {', '.join(f'{name}://' for name in SMTP_SCHEMES)} (not shown)"
        )
    login, at, place = rest.removesuffix("/").rpartition("@")
    user, colon, password = login.partition(":")
    if re.search(r"[@/?#\s]", login) or (at and not (user and colon and password)):
        raise ValueError(
            "expected USER:PASSWORD before @, with @ / ? # : and blanks in them as %XX (not shown)"
        )
    matched = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?", place, re.ASCII)
    if not matched:
        raise ValueError("what follows :// or @ is not HOST or HOST:PORT (not shown)")
    tls, usual_port = SMTP_SCHEMES[scheme]
    if at and tls == "none":
        raise ValueError("a password is sent only over TLS: use smtp+starttls:// or smtps://")
    check_port(matched[3])
    port = int(matched[3]) if matched[3] else usual_port
    login_parts = (unquote(user), unquote(password)) if at else (None, None)
    return SmtpUrl(matched[1] or matched[2], port, tls, *login_parts)


def mail_address(value: object) -> str:
    """An e-mail address."""
    try:
        return addresses.checked(text_of(value))
    except addresses.InvalidAddress as error:
        raise ValueError(f"got {value!r}") from error


def web_url(value: object) -> str:
    """``http://`` or ``https://``, host and perhaps port and path, without a slash at its end."""
    text = text_of(value).rstrip("/")
    if not re.fullmatch(
        r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[\w./~-]*)?", text, re.ASCII
    ):
        raise ValueError(f"got {value!r}")
    return text
