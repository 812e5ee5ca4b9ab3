"""`callhome.addresses`: what is an e-mail address here, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.addresses import ADDRESS_CHARACTERS, InvalidAddress, checked

LABEL = "b" * 63


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sales@example.com", "sales@example.com"),
        ("  Sales@EXAMPLE.com\n", "Sales@example.com"),
        ("o'hara+tag=x@sub.example.co.uk", "o'hara+tag=x@sub.example.co.uk"),
        ("callhome@localhost", "callhome@localhost"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        (f"{'a' * 64}@{LABEL}.{LABEL}.{'c' * 61}", f"{'a' * 64}@{LABEL}.{LABEL}.{'c' * 61}"),
    ],
)
def test_an_address_is_tidied(text: str, address: str) -> None:
    """Blanks around it go, and its domain is in lower case; what is before the @ stays as it is."""
    assert checked(text) == address
    assert checked(address) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "sales", "@example.com", "sales@", "sales@example", "a@b@example.com", "a b@example.com"),
        *(
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a@-b.example",
            "a@b-.example",
            "a@b..example",
        ),
        *(
            "a@[127.0.0.1]",
            '"a b"@example.com',
            "a@example.com, b@example.com",
            "A <a@example.com>",
            "a@exämple.com",
        ),
        *("a@example.com\r\nBcc: b@example.com", "a\n@example.com", "a\x00@example.com", "a@example.com>"),
        f"{'a' * 65}@example.com",
        f"a@{LABEL}b.example.com",
        f"{'a' * 64}@{LABEL}.{LABEL}.{LABEL}.com",
    ],
)
def test_what_is_no_address_is_told(text: str) -> None:
    """Whoever gives what is none hears what was expected, in a line."""
    with pytest.raises(InvalidAddress, match="is no e-mail address: expected one such as") as caught:
        checked(text)
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()


@given(st.text(max_size=80))
def test_nothing_unprintable_gets_through(text: str) -> None:
    """Whatever is taken for an address is plain ASCII with one @, no blank, bracket or line end, not too long."""
    try:
        address = checked(text)
    except InvalidAddress:
        return
    assert address.isascii()
    assert address.isprintable()
    assert address.count("@") == 1
    assert not set(address) & set(' <>,;:\\"()[]')
    assert len(address) <= ADDRESS_CHARACTERS
