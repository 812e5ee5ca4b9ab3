"""API tokens in the database: only their SHA-256 is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from ..access.checks import InvalidAccess
from ..access.model import Actor, Role
from ..errors import UsageError
from . import audit
from .connection import Connection


class UnknownToken(UsageError):
    """There is no such token."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, for people."""

    name: str
    role: Role
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    used_on: date | None


async def add(
    connection: Connection, name: str, role: Role, digest: bytes, actor: Actor, days: int | None = None
) -> None:
    """Make a token that lasts for so many days, or until it is revoked. Raises `InvalidAccess` where the name is taken.

    Cancelling it: done or not, never half.
    """
    try:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO api_token (name, role, digest, made_by, expires_at) "
                "VALUES ($1, $2, $3, $4, now() + make_interval(days => $5))",
                name,
                role.value,
                digest,
                actor.name,
                days,
            )
            await audit.write(connection, actor, "token.add", name, {"role": role.value, "days": days})
    except asyncpg.UniqueViolationError:
        raise InvalidAccess(
            "free name", name, f"one that no token has; `callhome token revoke {name}` makes it free"
        ) from None


async def revoke(connection: Connection, name: str, actor: Actor) -> None:
    """Let a token count for nothing from now on. Raises `UnknownToken`. Cancelling it: done or not, never half."""
    async with connection.transaction():
        if await connection.fetchval("DELETE FROM api_token WHERE name = $1 RETURNING id", name) is None:
            raise UnknownToken(f"there is no token {name!r}: `callhome token list` shows all")
        await audit.write(connection, actor, "token.revoke", name)


async def list_all(connection: Connection) -> list[Token]:
    """Return the tokens in the order of their names. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT name, role, made_by, created_at, expires_at, used_on FROM api_token ORDER BY name"
    )
    return [Token(**{**row, "role": Role(row["role"])}) for row in rows]
