"""The wire forms of a ping, each with the row or the refusal it must become, and a reader of rows.

``json.toml`` holds bodies of ``POST /v1/ping``, ``legacy.toml`` query strings and forms of old requests.
A case has a ``name``; a ``body``, or a ``query`` and a ``form``, as text in ``encoding`` (UTF-8 unless it
says so); and ``row`` or ``refused``. A row tells the columns that differ from ``DEFAULTS``.
"""

from __future__ import annotations

import struct
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from callhome.store.encoding import PING_COLUMNS

Case = dict[str, Any]

# What the cases are written for.
SECRET: Final = b"the secret of the wire forms"
PRODUCT_IDS: Final = {"es": 7}
ADDRESS: Final = "203.0.113.9"
COUNTRY: Final = "DE"
NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)

# A row with nothing but a product and a version; an id is made for it.
DEFAULTS: Final = {
    "at": NOW, "day": NOW.date(), "product": 7, "users": 1, "event": 0, "verified": True, "weak": False,
    "country": COUNTRY, "build": "", "os": "", "os_version": None, "arch": None, "locale": None,
    "channel": None, "license": None, "license_last4": None, "extra": None,
}  # fmt: skip

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_INTEGERS: Final = ("product", "users", "event")
_BYTES: Final = ("install", "license")


def cases(form: str) -> list[Case]:
    """Return the cases of a wire form, its texts as bytes."""
    found = tomllib.loads((Path(__file__).parent / f"{form}.toml").read_text(encoding="utf-8"))["case"]
    for case in found:
        for part in ("body", "query", "form"):
            if part in case:
                case[part] = case[part].encode(case.get("encoding", "utf-8"))
    return list(found)


def read_row(row: bytes) -> dict[str, Any]:
    """Return the columns of a row in PostgreSQL's binary COPY format, bytes as hexadecimal digits."""
    (count,) = struct.unpack_from(">h", row)
    assert count == len(PING_COLUMNS)
    columns: dict[str, Any] = {}
    at = 2
    for name in PING_COLUMNS[:-1]:  # without batch, which is not in a row
        (size,) = struct.unpack_from(">i", row, at)
        data = row[at + 4 : at + 4 + size] if size >= 0 else None
        at += 4 + max(size, 0)
        columns[name] = None if data is None else _value(name, data)
    assert at == len(row)
    return columns


def _value(name: str, data: bytes) -> object:
    number = int.from_bytes(data, "big", signed=True)
    if name == "id":
        return str(UUID(bytes=data))
    if name in _BYTES:
        return data.hex()
    if name in _INTEGERS:
        return number
    if name in ("verified", "weak"):
        return bool(number)
    if name == "at":
        return _EPOCH + timedelta(microseconds=number)
    if name == "day":
        return date(2000, 1, 1) + timedelta(days=number)
    assert name != "extra" or data[:1] == b"\x01"
    return data.removeprefix(b"\x01").decode()
