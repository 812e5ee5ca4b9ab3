"""Findings for people: listed, shown, and closed with a note."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import UsageError
from ..licenses.findings import CALLHOME, Cause, Rule, State
from .connection import Connection
from .docket import tell_verdicts

# schema.sql says the same.
NOTE_CHARACTERS: Final = 2_000
_BY_CHARACTERS: Final = 100
# A person rather waits than reads that somebody else was faster; a job that is at it has its own limit.
_LOCK_MS: Final = 60_000
# PostgreSQL's integer.
_HIGHEST_ID: Final = 2**31 - 1


class UnknownFinding(UsageError):
    """There is no finding with this number."""


class ClosedAlready(UsageError):
    """The finding was closed before."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding for people. ``product`` is the product's key, ``install`` the pseudonym in hexadecimal digits.

    ``license``, ``customer`` and ``last4`` are None where it is about an install; ``evidence`` is as `misuse` made it.
    """

    id: int
    rule: Rule
    state: State
    cause: Cause
    measure: int
    allowed: int
    product: str
    license: int | None
    customer: str | None
    last4: str | None
    install: str | None
    opened_at: datetime
    confirmed_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    note: str | None
    updated_at: datetime
    evidence: Mapping[str, Any]


_SELECT: Final = (
    "SELECT f.id, f.rule, f.state, f.cause, f.measure, f.allowed, p.key AS product, f.license, l.customer, l.last4, "
    "encode(f.install, 'hex') AS install, f.opened_at, f.confirmed_at, f.closed_at, f.closed_by, f.note, f.updated_at, "
    "f.evidence FROM finding f JOIN product p ON p.id = f.product LEFT JOIN license l ON l.id = f.license "
)


async def list_all(
    connection: Connection, states: Collection[State], license: str | None = None
) -> list[Finding]:
    """Return the findings in these states, the confirmed first, then the newest.

    ``license`` is the number of a license, or the last four characters of its key; None: all. Cancelling it changes
    nothing.
    """
    rows = await connection.fetch(
        _SELECT
        + "WHERE f.state = ANY ($1::text[]) AND ($2::text IS NULL OR l.id::text = $2 OR l.last4 = $2) "
        "ORDER BY array_position(ARRAY['confirmed', 'open', 'closed'], f.state), f.id DESC",
        list(states),
        license,
    )
    return [_finding(row) for row in rows]


async def find(connection: Connection, id: int) -> Finding:
    """Return a finding. Raises `UnknownFinding`. Cancelling it changes nothing."""
    row = await connection.fetchrow(_SELECT + "WHERE f.id = $1", id) if 0 < id <= _HIGHEST_ID else None
    if row is None:
        raise UnknownFinding(f"there is no finding {id}: `callhome findings list` shows their numbers")
    return _finding(row)


def _finding(row: Any) -> Finding:
    values = {**row, "rule": Rule(row["rule"]), "state": State(row["state"]), "cause": Cause(row["cause"])}
    return Finding(**{**values, "evidence": json.loads(row["evidence"])})


def check_closing(note: str, by: str) -> None:
    """Raise `UsageError` where `close` would without looking into the database."""
    if not 0 < len(note) <= NOTE_CHARACTERS or not all(char.isprintable() or char == "\n" for char in note):
        raise UsageError(
            f"note: expected 1 to {NOTE_CHARACTERS} printable characters that say why it is closed"
        )
    if not by.isprintable() or not 0 < len(by) <= _BY_CHARACTERS or by == CALLHOME:
        raise UsageError(
            f"by: expected 1 to {_BY_CHARACTERS} printable characters, the name of whoever closes it; "
            f"{CALLHOME!r} stands for what closes by itself"
        )


async def close(connection: Connection, id: int, note: str, by: str) -> Finding:
    """Close a finding for a reason, and return it: it isn't opened again unless its measure exceeds what it is now.

    Raises `UsageError` for a note or name that isn't fit, `UnknownFinding` and `ClosedAlready`. Cancelling it: done or
    not, never half.
    """
    check_closing(note, by)
    async with connection.transaction():
        before = await find(connection, id)
        # In the order of the job that counts licenses, which may be at it for some seconds: else each could wait for
        # the other.
        await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MS}")
        await connection.execute("SELECT FROM license_state WHERE license = $1 FOR UPDATE", before.license)
        done = await connection.fetchval(
            "UPDATE finding SET state = 'closed', closed_at = now(), closed_by = $2, note = $3, updated_at = now() "
            "WHERE id = $1 AND state <> 'closed' RETURNING true",
            id,
            by,
            note,
        )
        if not done:
            raise ClosedAlready(f"finding {id} is closed already: `callhome findings show {id}` says why")
        if before.license is not None:
            await tell_verdicts(connection, [before.license])
        return await find(connection, id)
