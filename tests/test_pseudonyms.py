"""Keyed hashes: stable, apart by secret and purpose; what is a license key, and what is shown of it."""

from __future__ import annotations

import hashlib

import pytest

from callhome import pseudonyms


def test_a_hash_is_keyed_blake2b() -> None:
    """A hash is what BLAKE2b says, keyed by the hashed secret: another one would make every install a new one."""
    key = hashlib.blake2b(b"secret", digest_size=32).digest()
    expected = hashlib.blake2b(b"text", digest_size=16, key=key, person=b"license").digest()
    digest = pseudonyms.keyed(b"secret", pseudonyms.LICENSE)
    assert digest(b"text") == expected
    assert digest(b"text") == expected, "a second time"


def test_hashes_of_other_secrets_and_purposes_differ() -> None:
    """Neither two secrets nor two purposes share a hash."""
    hashes = {
        pseudonyms.keyed(secret, purpose)(b"text")
        for secret in (b"one", b"two", b"x" * 1000)
        for purpose in (pseudonyms.INSTALL, pseudonyms.LICENSE, pseudonyms.WEAK)
    }
    assert len(hashes) == 9


@pytest.mark.parametrize(
    ("text", "key", "end"),
    [
        ("", "", None),
        (" \t", "", None),
        ("1234567", "1234567", None),
        (" 12345678\n", "12345678", "5678"),
        ("AB CD ÄÖÜß", "AB CD ÄÖÜß", "ÄÖÜß"),
    ],
)
def test_blanks_around_a_key_are_no_part_of_it(text: str, key: str, end: str | None) -> None:
    """A key has no blanks around it; its end is shown only where as many characters stay hidden."""
    assert pseudonyms.license_key(text) == key
    assert pseudonyms.last4(key) == end
