"""`callhome.ingest.heads`: a known head is taken as it was read, and nothing else is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.ingest.heads import HEAD_BYTES, HEADS, KnownHeads

HEAD = b"POST /v1/ping HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


@given(st.binary(max_size=40), st.integers(0, 8))
def test_only_whole_requests_with_the_very_head_are_known(noise: bytes, at: int) -> None:
    """Its body is returned for the learned head and 4 bytes; for anything changed, cut or behind it, None."""
    heads = KnownHeads()
    heads.learn(HEAD + b"body", 4)
    assert heads.body(HEAD + b"BODY") == b"BODY"
    changed = HEAD[:at] + noise + HEAD[at:]
    assert (heads.body(changed + b"body") is None) == (changed != HEAD)
    assert heads.body(HEAD + b"bod") is None
    assert heads.body(HEAD + b"body" + HEAD) is None
    assert heads.body(noise) is None


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"\r\n\r\n" + HEAD + b"body", 4),
        (HEAD + b"body" + HEAD + b"body", 4),
        (HEAD.replace(b"a", b"a" * HEAD_BYTES) + b"body", 4),
        (HEAD, 4),
        (b"", 0),
    ],
    ids=["empty lines before", "two requests", "too long", "no body", "nothing"],
)
def test_what_is_not_one_short_request_is_not_learned(data: bytes, length: int) -> None:
    """Only a head that ends where the body begins, and is short enough, is kept."""
    heads = KnownHeads()
    heads.learn(data, length)
    assert heads.body(data) is None
    assert heads.body(HEAD + b"body") is None


def test_it_does_not_grow_without_bound() -> None:
    """Heads that vary on purpose push the others out; those are learned again."""
    heads = KnownHeads()
    for number in range(3 * HEADS):
        heads.learn(HEAD.replace(b"a", b"%d" % number) + b"body", 4)
    assert len(heads._lengths) <= HEADS
    heads.learn(HEAD + b"body", 4)
    assert heads.body(HEAD + b"body") == b"body"
