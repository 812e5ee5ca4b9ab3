"""What names, passwords and lifetimes may be. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from ..errors import UsageError
from .model import Role

# An e-mail address fits, and a name needs no quoting anywhere. schema.sql says the same.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# NIST SP 800-63B-4 (3.1.1.2) has 15 for a password that is all there is, and 8 beside a second factor; OWASP's cheat
# sheet has 8 to 15. There is no rule about kinds of characters: both say that those make passwords worse.
PASSWORD_CHARACTERS: Final = 15
# What is hashed is bounded before, as OWASP says: no phrase that people type is longer.
PASSWORD_CHARACTERS_MAX: Final = 256
# What was given is quoted up to this length: enough to recognise it.
_QUOTED_CHARACTERS: Final = 80


class InvalidAccess(UsageError):
    """A ``field`` of an account or a token is not as ``expected``."""

    def __init__(self, field: str, value: str | None, expected: str) -> None:
        self.field = field
        given = f"{value[:_QUOTED_CHARACTERS]!r}" if value is not None else "that"
        super().__init__(f"{given} is no {field}: expected {expected}")


def check_name(name: str, field: str = "name") -> str:
    """Return a name of an account or token as it is kept. Raises `InvalidAccess`."""
    kept = known_as(name)
    if not _NAME.fullmatch(kept):
        expected = (
            "1 to 64 of a-z, 0-9, dot, dash, underscore and @, beginning with a letter or digit, "
            "such as ada or ada@example.com"
        )
        raise InvalidAccess(field, name, expected)
    return kept


def known_as(name: str) -> str:
    """Return the name that somebody means who types this."""
    return name.strip().lower()


def possible(name: str) -> str:
    """Return the name that somebody means who signs in, empty where no account can have it."""
    kept = known_as(name)
    return kept if _NAME.fullmatch(kept) else ""


def check_role(role: str) -> Role:
    """Return the role of that name. Raises `InvalidAccess`."""
    try:
        return Role(role)
    except ValueError:
        raise InvalidAccess("role", role, ", ".join(Role)) from None


def check_password(name: str, password: str) -> str:
    """Return a new password as it is hashed. Raises `InvalidAccess`, whose message shows nothing of it."""
    prepared = prepare(password)
    if not PASSWORD_CHARACTERS <= len(prepared) <= PASSWORD_CHARACTERS_MAX:
        expected = (
            f"{PASSWORD_CHARACTERS} to {PASSWORD_CHARACTERS_MAX} characters of any kind, such as four or five "
            f"words; it has {len(prepared)}"
        )
        raise InvalidAccess("password", None, expected)
    # The name alone, or again and again, is what is tried first.
    if not prepared.casefold().replace(known_as(name), ""):
        raise InvalidAccess("password", None, "something else than the name")
    return prepared


def prepare(password: str) -> str:
    """Return a password such that it doesn't matter which keyboard typed it (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())
