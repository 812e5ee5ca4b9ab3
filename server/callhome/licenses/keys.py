"""License keys: checked, hashed as those of pings are, made. Pure, but that new keys are random."""

from __future__ import annotations

import secrets
from typing import Final, NamedTuple

from ..pseudonyms import LICENSE, keyed, last4, license_key
from .fields import InvalidLicense

# As a ping's field: a longer one could never be told.
KEY_CHARACTERS: Final = 128
# No I, L, O and U: read out and typed, none is taken for another one (Crockford, "Base 32").
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# 25 × 5 bits: nobody guesses one of a hundred thousand keys out of 2^125.
_GROUPS: Final = 5
_GROUP: Final = 5


class HashedKey(NamedTuple):
    """What is kept of a license key: its keyed hash (16 bytes), and its end where it is long enough (else None)."""

    hash: bytes
    last4: str | None


class KeyHasher:
    """Hashes license keys with the server's secret, exactly as ``ingest`` hashes those of pings."""

    def __init__(self, secret: bytes) -> None:
        self._digest = keyed(secret, LICENSE)

    def __call__(self, text: str) -> HashedKey:
        """Return what is kept of a key; raise `InvalidLicense` if it is none."""
        key = license_key(text)
        if not 0 < len(key) <= KEY_CHARACTERS or not key.isprintable():
            raise InvalidLicense("key", shown(key), f"1 to {KEY_CHARACTERS} printable characters")
        return HashedKey(self._digest(key.encode()), last4(key))


def shown(key: str) -> str:
    """Return a key as a message may show it: its end, or where that would give it away its length."""
    end = last4(key)
    return f"a key of {len(key)} characters" if end is None else f"a key that ends in {end!r}"


def generate() -> str:
    """Return a new key, such as ``7M0QZ-…-4XRT9``: five groups of five letters and digits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
