"""What a browser or a program shows to be recognised: random, and only its SHA-256 is kept. Pure.

They have 256 random bits, so nobody guesses one, and a plain hash is enough to store them: stretching is for
passwords, which people choose.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final

# So that people and scanners of leaked secrets know one when they see it.
TOKEN_PREFIX: Final = "ch_"
_BYTES: Final = 32
# 32 bytes in base64url, without padding.
_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_session() -> str:
    """Return what a browser gets as its cookie."""
    return secrets.token_urlsafe(_BYTES)


def new_token() -> str:
    """Return an API token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_BYTES)


def session_digest(cookie: str) -> bytes | None:
    """Return what is kept of a cookie, or None where it can't be one of ours."""
    return digest(cookie) if _RANDOM.fullmatch(cookie) else None


def token_digest(token: str) -> bytes | None:
    """Return what is kept of a token, or None where it can't be one of ours."""
    has_form = token.startswith(TOKEN_PREFIX) and _RANDOM.fullmatch(token, len(TOKEN_PREFIX))
    return digest(token) if has_form else None


def digest(shown: str) -> bytes:
    """Return the SHA-256 of what was shown."""
    return sha256(shown.encode()).digest()
