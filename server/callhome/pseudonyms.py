"""Keyed hashes: what installs and license keys are known by here. Pure.

A ping and the registry of licenses have to come to the same hash, so both take it from here.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

# What a hash is for, told to BLAKE2b as its "person": the same text gives another hash for another purpose.
INSTALL: Final = b"install"
LICENSE: Final = b"license"
WEAK: Final = b"weak"
# A license key shorter than twice what is shown would be given away by it.
LAST4_FROM: Final = 8


def keyed(secret: bytes, purpose: bytes) -> Callable[[bytes], bytes]:
    """Return a keyed hash of 16 bytes; those of different purposes have nothing in common.

    Copying a keyed state takes three fifths of the time of keying a new one.
    """
    key = blake2b(secret, digest_size=32).digest()  # keys have at most 64 bytes, a secret may have more
    state = blake2b(digest_size=16, key=key, person=purpose)

    def digest(data: bytes) -> bytes:
        one = state.copy()
        one.update(data)
        return one.digest()

    return digest


def license_key(text: str) -> str:
    """Return the key in what was given as one: without the blanks around it; ``""`` is no key."""
    return text.strip()


def last4(key: str) -> str | None:
    """Return the end of a key for people to recognise it by; None where it would give the key away."""
    return key[-4:] if len(key) >= LAST4_FROM else None
