"""The batch body: what is unpacked and what is refused, within bounds; and its lines."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.ingest import lines
from callhome.ingest.lines import PIECE_BYTES
from callhome.ingest.reasons import Reason, Refused

LIMIT_BYTES = 8 << 20
PACKED = gzip.compress(b"one\ntwo\n" * 100)


def unpack(body: bytes, packed: bool, limit_bytes: int) -> bytes:
    """Return what is unpacked, step by step, as a whole."""
    return b"".join(lines.unpack(body, packed, limit_bytes))


def split(*pieces: bytes) -> list[bytes]:
    """Return the lines of a body that comes in pieces, at most 10."""
    steps = lines.split_lines(pieces, 10)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return list(done.value)


@given(st.binary(max_size=1000))
def test_gzip_is_unpacked(body: bytes) -> None:
    """What was packed comes out, and what was not packed is left alone."""
    assert unpack(gzip.compress(body), True, 1000) == body
    assert unpack(body, False, 1000) == body


@pytest.mark.parametrize("packed", [True, False])
def test_limit_holds_to_the_byte(packed: bool) -> None:
    """A body as large as the limit is taken, one byte more is refused."""
    for size, taken in ((1000, True), (1001, False)):
        body = gzip.compress(b"x" * size) if packed else b"x" * size
        if taken:
            assert len(unpack(body, packed, 1000)) == size
        else:
            with pytest.raises(Refused) as caught:
                unpack(body, packed, 1000)
            assert caught.value.reason is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        (b"", 0),
        (b"plain text", None),
        (PACKED[:-1], len(PACKED) - 1),
        (PACKED[:12], 12),
        (PACKED[:-8] + bytes(8), None),
        (PACKED + b"x", len(PACKED)),
        (PACKED + PACKED, len(PACKED)),
        (b"\x78\x9c" + PACKED[2:], None),
    ],
    ids=["empty", "plain", "a byte short", "cut", "checksum", "trailing byte", "two members", "zlib"],
)
def test_broken_gzip_is_refused(body: bytes, offset: int | None) -> None:
    """Corrupt, truncated, continued and foreign data are refused, with the byte where that can be told."""
    with pytest.raises(Refused) as caught:
        unpack(body, True, LIMIT_BYTES)
    assert (caught.value.reason, caught.value.offset) == (Reason.BAD_ENCODING, offset)
    assert caught.value.status == 400


def test_bomb_is_refused_in_bounded_memory() -> None:
    """A body of 1 MiB that unpacks to 1 GiB is refused, and takes no 20 MB."""
    bomb = gzip.compress(bytes(1 << 30), 1)[: 1 << 20]
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as caught:
            unpack(bomb, True, LIMIT_BYTES)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.status == 413
    assert LIMIT_BYTES <= peak_bytes < 20_000_000


@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 4 * PIECE_BYTES])
def test_it_is_unpacked_in_small_steps(size: int) -> None:
    """No step unpacks more than a piece, and all of them together are the body."""
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    pieces = list(lines.unpack(gzip.compress(body), True, size))
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert b"".join(pieces) == body


@given(st.binary(max_size=100), st.integers(0, 200))
def test_any_bytes_are_unpacked_or_refused(body: bytes, limit_bytes: int) -> None:
    """No bytes raise anything but a refusal, and nothing above the limit comes out."""
    for candidate in (body, PACKED[: len(body)] + body):
        with suppress(Refused):
            assert len(unpack(candidate, True, limit_bytes)) <= limit_bytes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\n", [b"a", b"b"]),
        (b"a\n\n \t\r\nb", [b"a", b"", b"", b"b"]),
        (b"\n", [b""]),
        (b" a \rb\n\xe2\x80\xa8\n", [b" a \rb", b"\xe2\x80\xa8"]),
    ],
)
def test_body_is_split_at_line_feeds_only(body: bytes, expected: list[bytes]) -> None:
    """Lines end with LF or CRLF; blank ones stay as empty ones, so that the numbers of lines hold."""
    assert split(body) == expected


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b" "])).map(b"".join), st.lists(st.integers(0, 20)))
def test_it_does_not_matter_how_lines_are_cut(body: bytes, cuts: list[int]) -> None:
    """A body in pieces has the lines, or is refused, as in one piece."""
    pieces = [body[start:end] for start, end in pairwise([*sorted({0, *cuts} - {len(body)}), len(body)])]
    whole = [line.rstrip(b" \r") for line in body.removesuffix(b"\n").split(b"\n")] if body else []
    if len(whole) <= 10:
        assert split(*pieces) == whole
    else:
        with pytest.raises(Refused):
            split(*pieces)


@pytest.mark.parametrize("last", [b"", b"\n", b"\r\n"])
def test_number_of_lines_is_bounded(last: bytes) -> None:
    """As many lines as the limit are taken, one more is refused, with or without an end of the last."""
    assert len(split(b"\n".join([b"x"] * 10) + last)) == 10
    with pytest.raises(Refused) as caught:
        split(b"\n".join([b"x"] * 11) + last)
    assert (caught.value.reason, caught.value.status) == (Reason.TOO_MANY_LINES, 413)


def test_blank_lines_count() -> None:
    """A body of line feeds alone is refused at its first piece."""
    with pytest.raises(Refused):
        next(lines.split_lines(iter([b"\n" * 11]), 10))
