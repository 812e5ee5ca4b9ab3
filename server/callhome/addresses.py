"""E-mail addresses that people give: who a mail is from, and to whom it goes. Pure."""

from __future__ import annotations

import re
from typing import Final

from .errors import UsageError

# RFC 5321, 4.5.3.1: 64 octets before the @, 254 in all.
_LOCAL_CHARACTERS: Final = 64
ADDRESS_CHARACTERS: Final = 254
# The dot-atom of RFC 5322, 3.2.3, before the @, a host name of two labels or more behind it, or localhost. No quoted
# local parts, no comments: nobody has such an address, and each is a way to smuggle something into a header.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:localhost|(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
)


class InvalidAddress(UsageError):
    """A text is no e-mail address."""

    def __init__(self, text: str) -> None:
        shown = text[:ADDRESS_CHARACTERS]
        super().__init__(
            f"{shown!r} is no e-mail address: expected one such as sales@example.com, in ASCII "
            "(the domain of an international one begins with xn--)"
        )


def checked(text: str) -> str:
    """Return the address without blanks around it, its domain in lower case; raise `InvalidAddress` if it is none."""
    address = text.strip()
    local, _, domain = address.rpartition("@")
    if len(address) > ADDRESS_CHARACTERS or len(local) > _LOCAL_CHARACTERS or not _ADDRESS.fullmatch(address):
        raise InvalidAddress(text)
    return f"{local}@{domain.lower()}"
