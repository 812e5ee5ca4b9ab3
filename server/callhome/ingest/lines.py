"""The body of the batch route: bounded decompression, and lines. Both go step by step, see ``turns.py``."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from .reasons import Reason, Refused

# zlib: a window of 32 KiB, and a gzip header and trailer, no other container.
_GZIP_WBITS: Final = zlib.MAX_WBITS | 16
# Unpacked and split in one step: about a millisecond.
PIECE_BYTES: Final = 256 << 10


def unpack(body: bytes, gzip: bool, limit_bytes: int) -> Iterator[bytes]:
    """Yield the body in pieces, decompressed if ``gzip``; raise :class:`Refused` if broken or above ``limit_bytes``.

    One gzip member, whole and with nothing behind it: many small ones would cost a copy of the rest for each.
    Memory: one piece and what is left of the body; a bomb is cut at the limit.
    """
    if not gzip:
        _check_size(len(body), limit_bytes)
        yield body
        return
    member = zlib.decompressobj(_GZIP_WBITS)
    rest, unpacked_bytes = body, 0
    while not member.eof:
        try:
            piece = member.decompress(rest, PIECE_BYTES)
        except zlib.error:
            raise Refused(Reason.BAD_ENCODING, "expected gzip") from None
        rest = member.unconsumed_tail
        if not (piece or rest or member.eof):
            raise Refused(Reason.BAD_ENCODING, "expected gzip to its end", offset=len(body))
        unpacked_bytes += len(piece)
        _check_size(unpacked_bytes, limit_bytes)
        yield piece
    if member.unused_data:
        end = len(body) - len(member.unused_data)
        raise Refused(Reason.BAD_ENCODING, "expected nothing behind the gzip member", offset=end)


def split_lines(pieces: Iterable[bytes], max_lines: int) -> Generator[None, None, list[bytes]]:
    """Return the lines of a newline-delimited body; blank ones are ``b""``, so index + 1 is a line's number.

    Yields after each piece. Lines end with ``\\n`` or ``\\r\\n``, the last one needs no end. Blank lines count
    towards ``max_lines``, beyond which it raises :class:`Refused`: they cost memory too.
    """
    lines: list[bytes] = []
    begun: list[bytes] = []  # parts of the line whose end is not there yet
    for piece in pieces:
        first, *others = piece.split(b"\n", max_lines + 1)
        begun.append(first)
        if others:
            lines.append(b"".join(begun))
            lines += others[:-1]
            begun = others[-1:]
            _check_lines(len(lines), max_lines)
        yield
    if last := b"".join(begun):
        lines.append(last)
        _check_lines(len(lines), max_lines)
    return [line.rstrip(b" \t\r") for line in lines]


def _check_size(unpacked_bytes: int, limit_bytes: int) -> None:
    if unpacked_bytes > limit_bytes:
        raise Refused(Reason.BODY_TOO_LARGE, f"expected at most {limit_bytes} bytes, unpacked")


def _check_lines(lines: int, max_lines: int) -> None:
    if lines > max_lines:
        raise Refused(Reason.TOO_MANY_LINES, f"expected at most {max_lines} lines")
