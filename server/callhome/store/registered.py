"""The registered product that somebody names, by its key."""

from __future__ import annotations

from typing import Final

from ..errors import UsageError
from .connection import Connection

# More names than these fill the terminal, and help nobody to find the one that was meant.
_NAMED: Final = 10
# What was given is quoted up to this length: enough to recognise it.
_QUOTED_CHARACTERS: Final = 80


class UnknownProduct(UsageError):
    """No product is registered with the ``key``; ``registered`` are those that are, in order."""

    def __init__(self, key: str, registered: list[str]) -> None:
        self.key = key
        self.registered = registered
        more = f" and {len(registered) - _NAMED} more" if len(registered) > _NAMED else ""
        there = f"registered are {', '.join(registered[:_NAMED])}{more}" if registered else "none is"
        super().__init__(
            f"product: {key[:_QUOTED_CHARACTERS]!r} isn't registered; {there}: `callhome product add KEY` registers one"
        )


async def product_id(connection: Connection, key: str) -> int:
    """Return the product's number. Raises `UnknownProduct`. Cancelling it changes nothing."""
    # All of them, some hundred at most: a key that isn't one might hold what can't be sent to PostgreSQL at all.
    ids = {
        row["key"]: row["id"] for row in await connection.fetch("SELECT id, key FROM product ORDER BY key")
    }
    if key not in ids:
        raise UnknownProduct(key, list(ids))
    found: int = ids[key]
    return found
