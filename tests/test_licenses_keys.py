"""License keys: the same hash as a ping's, never shown whole."""

from __future__ import annotations

import pytest

import wire
from callhome.ingest.enrich import Enricher
from callhome.ingest.model import Ping
from callhome.licenses import keys
from callhome.licenses.fields import InvalidLicense


@pytest.mark.parametrize("text", ["ABCD-EFGH-IJKL", "  spaced key \t", "kürzel-ÄÖÜß", "1234567", "x" * 128])
def test_a_key_has_the_hash_that_its_pings_have(text: str) -> None:
    """What the registry keeps of a key is what is stored with a ping that tells it."""
    ping = Ping("es", "1.0", install="0f8fad5b-d9cb-469f", license=text)
    row = wire.read_row(
        Enricher(wire.SECRET, wire.PRODUCT_IDS).row(ping, wire.ADDRESS, "DE", wire.NOW.timestamp())
    )
    found = keys.KeyHasher(wire.SECRET)(text)
    assert (found.hash.hex(), found.last4) == (row["license"], row["license_last4"])


def test_another_secret_makes_other_hashes() -> None:
    """With another secret no license would be found: it has to be that of the servers."""
    assert keys.KeyHasher(b"one")("ABCD-EFGH").hash != keys.KeyHasher(b"two")("ABCD-EFGH").hash


@pytest.mark.parametrize(
    "text", ["", "  ", "x" * 129, "ABCD\x00EFGH", "ABCD\nEFGH", "ABCD\u202eEFGH", "\udcffBCDEFGH"]
)
def test_what_no_ping_could_tell_is_no_key(text: str) -> None:
    """A key that a ping could not have is refused, and not quoted."""
    with pytest.raises(
        InvalidLicense, match=r"^key: got a key .*; expected 1 to 128 printable characters$"
    ) as caught:
        keys.KeyHasher(b"secret")(text)
    assert "ABCD" not in str(caught.value)


def test_only_the_end_of_a_key_is_shown() -> None:
    """A message shows four characters of a key, and none of one that they would give away."""
    assert keys.shown("ABCD-EFGH") == "a key that ends in 'EFGH'"
    assert keys.shown("ABCDEFG") == "a key of 7 characters"


def test_made_keys_are_keys_and_differ() -> None:
    """A made key has five groups of five letters and digits that nobody takes for another, and no two are equal."""
    made = [keys.generate() for _ in range(1000)]
    assert len(set(made)) == len(made)
    for key in made:
        assert [len(group) for group in key.split("-")] == [5] * 5
        assert not set(key) & set("ILOU")
        assert keys.KeyHasher(b"secret")(key).last4 == key[-4:]
