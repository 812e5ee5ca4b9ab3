"""The audit trail: who has changed what. Written on the connection, and so in the transaction, of the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from ..access.model import Actor, Kind
from .connection import Connection

# One statement, so that a trail that was left alone for years is not one long transaction.
_PRUNED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the trail; ``action`` is dotted, such as ``account.add``."""

    at: datetime
    actor: Actor
    action: str
    target: str
    details: Mapping[str, Any]


async def write(
    connection: Connection, actor: Actor, action: str, target: str, details: Mapping[str, Any] | None = None
) -> None:
    """Write a line; ``details`` may hold no secret and no address. Cancelling it: done or not."""
    await connection.execute(
        "INSERT INTO audit (kind, actor, action, target, details) VALUES ($1, $2, $3, $4, $5)",
        actor.kind.value,
        actor.name,
        action,
        target,
        orjson.dumps(details or {}).decode(),
    )


async def newest(
    connection: Connection,
    *,
    since: datetime | None = None,
    actor: str | None = None,
    action: str | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Return the newest lines, the latest first; ``action`` may be its first part, such as ``account``.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(
        "SELECT at, kind, actor, action, target, details FROM audit "
        "WHERE ($1::timestamptz IS NULL OR at >= $1) AND ($2::text IS NULL OR actor = $2) "
        "AND ($3::text IS NULL OR action = $3 OR split_part(action, '.', 1) = $3) ORDER BY id DESC LIMIT $4",
        since,
        actor,
        action,
        limit,
    )
    return [
        Entry(
            row["at"],
            Actor(Kind(row["kind"]), row["actor"]),
            row["action"],
            row["target"],
            orjson.loads(row["details"]),
        )
        for row in rows
    ]


async def prune(connection: Connection, days: int) -> int:
    """Delete lines of more than so many days ago, a share of them; return how many. Cancelling it: done or not."""
    done: str = await connection.execute(
        "DELETE FROM audit WHERE id IN "
        "(SELECT id FROM audit WHERE at < now() - make_interval(days => $1) ORDER BY at LIMIT $2)",
        days,
        _PRUNED_AT_ONCE,
    )
    return int(done.rpartition(" ")[2])
