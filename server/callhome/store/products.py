"""The catalogue: which products may call home. A change reaches every replica by NOTIFY."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..errors import UsageError
from .connection import Connection

CATALOG_CHANNEL: Final = "callhome_catalog"
# What a notification says where something else than a product has changed; no product has such a key.
RELEASES_CHANGED: Final = "@releases"
NOTICES_CHANGED: Final = "@notices"
LICENSES_CHANGED: Final = "@licenses"
# Keys stand in URLs, metrics' labels and file names: they need no quoting in any, and fit a ping's field.
# schema.sql says the same.
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Names stand in headings and mails' subjects.
_NAME_CHARACTERS: Final = 100
# What was given is quoted up to this length: enough to recognise it.
_QUOTED_CHARACTERS: Final = 80


class InvalidProduct(UsageError):
    """A product's ``field`` (``key`` or ``name``) is not as ``expected``."""

    def __init__(self, field: str, value: str, expected: str) -> None:
        self.field = field
        self.expected = expected
        super().__init__(f"{value[:_QUOTED_CHARACTERS]!r} is no product {field}: expected {expected}")


@dataclass(frozen=True, slots=True)
class Product:
    """A registered product; ``id`` is its number in this database."""

    id: int
    key: str
    name: str
    created_at: datetime


def check(key: str, name: str | None) -> None:
    """Raise `InvalidProduct` where `add` would."""
    if not _KEY.fullmatch(key):
        expected = (
            "1 to 64 of a-z, 0-9, dot, dash and underscore, "
            "beginning with a letter or digit, such as es or report-builder"
        )
        raise InvalidProduct("key", key, expected)
    if name is None:
        return
    if not name.isprintable() or not 0 < len(name) <= _NAME_CHARACTERS:
        raise InvalidProduct("name", name, f"1 to {_NAME_CHARACTERS} printable characters")


async def add(connection: Connection, key: str, name: str | None) -> tuple[bool, str]:
    """Register a product, or rename it; return whether it is new, and its name. Cancelling it: done or not, never half.

    Without a name, a new one has its key for it, and one that is there keeps its own. Raises `InvalidProduct`.
    """
    check(key, name)
    async with connection.transaction():
        row = await connection.fetchrow(
            "INSERT INTO product AS p (key, name) VALUES ($1, coalesce($2, $1)) "
            "ON CONFLICT (key) DO UPDATE SET name = coalesce($2, p.name) RETURNING xmax = 0 AS new, name",
            key,
            name,
        )
        await connection.execute("SELECT pg_notify($1, $2)", CATALOG_CHANNEL, key)
    assert row is not None, "it was inserted or updated"
    return row["new"], row["name"]


async def list_all(connection: Connection) -> list[Product]:
    """Return the products in the order of their keys. Cancelling it changes nothing."""
    rows = await connection.fetch("SELECT id, key, name, created_at FROM product ORDER BY key")
    return [Product(**row) for row in rows]
