"""One ping as a row of PostgreSQL's binary COPY format.

A row is made once, where the ping is enriched, and is the same bytes in the waiting batch, in
``COPY`` and on the slow path. The columns stand in the order of ``PING_COLUMNS``; ``batch``, the
one value that is not known until the batch is written, is the last, so that a batch is one
``bytes.join`` away from its payload. Because a row begins with its id, sorting rows sorts by id.

Source: "Binary Format" in the PostgreSQL documentation of COPY; binary forms of the types as in
their ``*_recv`` functions (big-endian; dates and timestamps count from 2000-01-01 UTC).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import Final

PING_COLUMNS: Final = (
    "id", "install", "at", "day", "product", "users", "event", "verified", "weak", "country", "version", "build",
    "os", "os_version", "arch", "locale", "channel", "license", "license_last4", "extra", "batch",
)  # fmt: skip

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
# Field count, then each field of fixed size behind its length: id, install, at, day, product, users, event, verified,
# weak.
_FIXED: Final = Struct(">h i16s i16s iq ii ii ii ih i? i?")
_key_of: Final[Callable[[bytes], bytes]] = itemgetter(
    slice(0, 42)
)  # field count, id and install, each with its length
_product_of: Final[Callable[[bytes], bytes]] = itemgetter(slice(66, 70))
_DAY_US: Final = 86_400_000_000
_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01 in Unix microseconds
_EPOCH_DAYS: Final = 10_957

_pack: Final = _FIXED.pack
_COUNT: Final = len(PING_COLUMNS)


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    data = value.encode()
    return len(data).to_bytes(4, "big") + data


# What an install says of itself repeats from ping to ping, and from install to install: one look-up takes a tenth of
# the time of eight encodings. Bound: 4,096 × 2 × (8 × 64 characters × 4 bytes + overhead) ≈ 20 MB, with ASCII 6 MB.
@lru_cache(maxsize=4096)
def _texts(*values: str | None) -> bytes:
    return b"".join(map(_text, values))


def _jsonb(value: bytes) -> bytes:
    return (len(value) + 1).to_bytes(4, "big") + b"\x01" + value


def encode_license(license: bytes | None, last4: str | None) -> bytes:
    """Return the columns ``license`` and ``license_last4``, apart because keys repeat."""
    data = _NULL if license is None else len(license).to_bytes(4, "big") + license
    return data + _text(last4)


def encode_row(
    id: bytes,
    install: bytes,
    at_us: int,
    product: int,
    users: int,
    event: int,
    verified: bool,
    weak: bool,
    country: str,
    version: str,
    build: str,
    os: str,
    os_version: str | None,
    arch: str | None,
    locale: str | None,
    channel: str | None,
    licensed: bytes,
    extra: bytes | None,
) -> bytes:
    """Return the row of one ping, without its ``batch``.

    ``id`` and ``install`` are 16 bytes, ``at_us`` is in Unix microseconds, ``event`` is 0 start, 1 alive, 2 stop,
    ``licensed`` is what `encode_license` returns, ``extra`` is JSON. The column ``day`` follows from ``at_us``. It
    takes one parameter a column: a call with positions is what the hot path can afford.
    """
    fixed = _pack(
        _COUNT, 16, id, 16, install, 8, at_us - _EPOCH_US, 4, at_us // _DAY_US - _EPOCH_DAYS,
        4, product, 4, users, 2, event, 1, verified, 1, weak,
    )  # fmt: skip
    texts = _texts(country, version, build, os, os_version, arch, locale, channel)
    return fixed + texts + licensed + (_NULL if extra is None else _jsonb(extra))


def row_key(row: bytes) -> bytes:
    """Return what is unique in the table, a row's ``id`` and ``install``, in the row's own encoding."""
    return _key_of(row)


def row_id(row: bytes) -> bytes:
    """Return the 16 bytes of a row's ``id``."""
    return row[6:22]


def by_product(rows: Iterable[bytes]) -> Counter[int]:
    """Return how many of the rows each product has, by its number."""
    found = Counter(map(_product_of, rows))
    return Counter({int.from_bytes(number, "big"): count for number, count in found.items()})


def without_twins(rows: Sequence[bytes]) -> list[bytes]:
    """Return the rows sorted by id, one of each (id, install): the first in byte order."""
    ordered = sorted(rows)
    keys = list(map(_key_of, ordered))
    if len(set(keys)) == len(keys):
        return ordered
    return [row for i, row in enumerate(ordered) if i == 0 or keys[i] != keys[i - 1]]


def copy_payload(rows: Sequence[bytes], batch: bytes) -> bytes:
    """Return the whole COPY payload of rows that all belong to ``batch`` (16 bytes)."""
    field = (16).to_bytes(4, "big") + batch
    return b"".join((_HEADER, field.join(rows), field, _TRAILER)) if rows else _HEADER + _TRAILER
