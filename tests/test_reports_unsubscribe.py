"""`callhome.reports.unsubscribe`: a token that only we can make, and that means one recipient of one report."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.addresses import ADDRESS_CHARACTERS
from callhome.reports.unsubscribe import TOKEN_CHARACTERS, read, token, url

SECRET = b"s" * 32
LONGEST = "a" * 64 + "@" + ("b" * 60 + ".") * 3 + "c" * 6
ADDRESSES = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~:-]{1,60}@[a-z0-9.-]{1,60}", fullmatch=True)


@given(st.integers(1, 2**31 - 1), ADDRESSES)
def test_a_token_means_what_it_was_made_for(report: int, address: str) -> None:
    """Any report and address come back out of their token, which needs no quoting in a URL."""
    made = token(SECRET, report, address)
    assert read(SECRET, made) == (report, address)
    assert made.isascii()
    assert made.replace("-", "").replace("_", "").isalnum()


@given(st.data())
def test_a_changed_token_means_nothing(data: st.DataObject) -> None:
    """With any bit of its bytes changed, a token is not ours."""
    signed = bytearray(urlsafe_b64decode(token(SECRET, 12, "sales@example.com") + "=="))
    bit = data.draw(st.integers(0, len(signed) * 8 - 1))
    signed[bit // 8] ^= 1 << bit % 8
    assert read(SECRET, urlsafe_b64encode(signed).decode().rstrip("=")) is None


@pytest.mark.parametrize(
    "text", ["", "x", "a" * 40, "é" * 40, token(b"t" * 32, 1, "a@b.c"), "a" * 10_000, "====", "a\n"]
)
def test_what_we_did_not_sign_means_nothing(text: str) -> None:
    """A token of another secret, and what is no token at all, mean nothing."""
    assert read(SECRET, text) is None


def test_the_longest_address_fits() -> None:
    """The longest address that there is has a token that is read, and an address that fits in a header's line."""
    assert len(LONGEST) == ADDRESS_CHARACTERS
    made = url("https://callhome.example.com", SECRET, 2**31 - 1, LONGEST)
    assert len(made) < 900
    text = made.partition("?t=")[2]
    assert len(text) <= TOKEN_CHARACTERS
    assert read(SECRET, text) == (2**31 - 1, LONGEST)
