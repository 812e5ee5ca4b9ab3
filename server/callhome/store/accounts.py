"""Accounts in the database. What changes one ends its sessions and stands in the audit trail, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg

from ..access.checks import InvalidAccess
from ..access.model import Actor, Role
from ..errors import UsageError
from . import audit
from .connection import Connection

# What is told of the accounts that are there: as many as fit a line.
_NAMED: Final = 5


class UnknownAccount(UsageError):
    """There is no such account; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account, for people; ``sessions`` is how many browsers are signed in, those that are too old among them."""

    name: str
    role: Role
    created_at: datetime
    password_at: datetime
    used_at: datetime | None
    sessions: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is needed to sign somebody in."""

    id: int
    role: Role
    password: str = field(repr=False)


async def add(connection: Connection, name: str, role: Role, password: str, actor: Actor) -> None:
    """Make an account; ``password`` is its hash. Raises `InvalidAccess` where the name is taken.

    Cancelling it: done or not, never half.
    """
    try:
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO account (name, role, password) VALUES ($1, $2, $3)", name, role.value, password
            )
            await audit.write(connection, actor, "account.add", name, {"role": role.value})
    except asyncpg.UniqueViolationError:
        raise InvalidAccess(
            "free name", name, "one that no account has; `callhome user change` changes one that is there"
        ) from None


async def change(
    connection: Connection, name: str, actor: Actor, *, role: Role | None = None, password: str | None = None
) -> int:
    """Give an account another role or password (its hash), and end its sessions; return how many those were.

    Raises `UnknownAccount`. Cancelling it: done or not, never half.
    """
    async with connection.transaction():
        row = await connection.fetchrow("SELECT id, role FROM account WHERE name = $1 FOR UPDATE", name)
        if row is None:
            raise await _unknown(connection, name)
        if role is not None:
            await connection.execute("UPDATE account SET role = $2 WHERE id = $1", row["id"], role.value)
            roles = {"from": row["role"], "to": role.value}
            await audit.write(connection, actor, "account.role", name, roles)
        if password is not None:
            await connection.execute(
                "UPDATE account SET password = $2, password_at = now() WHERE id = $1", row["id"], password
            )
            await audit.write(connection, actor, "account.password", name)
        done: str = await connection.execute("DELETE FROM session WHERE account = $1", row["id"])
        return int(done.rpartition(" ")[2])


async def remove(connection: Connection, name: str, actor: Actor) -> None:
    """Remove an account, and end its sessions. Raises `UnknownAccount`. Cancelling it: done or not, never half."""
    async with connection.transaction():
        if await connection.fetchval("DELETE FROM account WHERE name = $1 RETURNING id", name) is None:
            raise await _unknown(connection, name)
        await audit.write(connection, actor, "account.remove", name)


async def list_all(connection: Connection) -> list[Account]:
    """Return the accounts in the order of their names. Cancelling it changes nothing."""
    rows = await connection.fetch(
        "SELECT a.name, a.role, a.created_at, a.password_at, max(s.used_at) AS used_at, count(s.id) AS sessions "
        "FROM account a LEFT JOIN session s ON s.account = a.id GROUP BY a.id ORDER BY a.name"
    )
    return [Account(**{**row, "role": Role(row["role"])}) for row in rows]


async def credentials(connection: Connection, name: str) -> Credentials | None:
    """Return what is needed to sign an account in, None where there is none. Cancelling it changes nothing."""
    row = await connection.fetchrow("SELECT id, role, password FROM account WHERE name = $1", name)
    return None if row is None else Credentials(row["id"], Role(row["role"]), row["password"])


async def rehash(connection: Connection, found: Credentials, password: str) -> None:
    """Keep the same password under another hash, unless it was changed meanwhile. Cancelling it: done or not."""
    await connection.execute(
        "UPDATE account SET password = $3 WHERE id = $1 AND password = $2", found.id, found.password, password
    )


async def _unknown(connection: Connection, name: str) -> UnknownAccount:
    rows = await connection.fetch("SELECT name FROM account ORDER BY name LIMIT $1", _NAMED + 1)
    names = ", ".join(row["name"] for row in rows[:_NAMED]) + (" …" if len(rows) > _NAMED else "")
    return UnknownAccount(
        f"there is no account {name!r}; {f'there are {names}' if rows else 'there is none'}: "
        "`callhome user list` shows all"
    )
