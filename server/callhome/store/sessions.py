"""Sessions in the database, the tries to begin one, and who shows what: a cookie or a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..access.model import Actor, Kind, Lifetimes, Principal, Role
from ..access.throttle import WAIT_MAX_S, slot_of, wait_s
from . import audit
from .accounts import Credentials
from .connection import Connection
from .statements import sql

# How exactly the last use of a session is known: a page that is looked at all day is written down every five minutes.
USED_S: Final = 300
# Failures of the day before don't count.
_FORGOTTEN_S: Final = 86_400


async def claim_try(connection: Connection, name: str) -> float:
    """Count a try to sign in by a name before it is looked at, by replicas at once too.

    Returns 0.0, or for how many seconds no try of that name is looked at. Cancelling it: counted or not.
    """
    slot = slot_of(name)
    async with connection.transaction():
        # The update changes nothing, but it locks the row.
        row = await connection.fetchrow(
            "INSERT INTO sign_in_try AS t (slot, failures) VALUES ($1, 0) "
            "ON CONFLICT (slot) DO UPDATE SET slot = excluded.slot "
            "RETURNING extract(epoch FROM next_at - clock_timestamp())::float8 AS left_s, "
            "CASE WHEN tried_at < now() - make_interval(secs => $2) THEN 0 ELSE failures END AS failures",
            slot,
            float(_FORGOTTEN_S),
        )
        assert row is not None, "it was inserted or updated"
        if row["left_s"] > 0:
            return min(float(row["left_s"]), WAIT_MAX_S)
        failures = row["failures"] + 1
        await connection.execute(
            "UPDATE sign_in_try SET failures = $2, tried_at = clock_timestamp(), "
            "next_at = clock_timestamp() + make_interval(secs => $3) WHERE slot = $1",
            slot,
            failures,
            float(wait_s(failures)),
        )
    return 0.0


async def refused(connection: Connection, name: str) -> None:
    """Write down that somebody failed to sign in by the name of an account; of no account there is nothing to write.

    What was typed is not kept where it is no name: it may have been a password. Cancelling it: done or not.
    """
    await connection.execute(sql("session_refused"), name)


async def begin(
    connection: Connection, name: str, found: Credentials, digest: bytes, old: bytes | None
) -> bool:
    """Begin a session, in place of an ``old`` one, unless the account was changed meanwhile; return whether it has.

    Cancelling it: done or not, never half.
    """
    async with connection.transaction():
        # FOR SHARE: a change of the account waits, and then ends this session too.
        unchanged = await connection.fetchval(
            "SELECT true FROM account WHERE id = $1 AND password = $2 AND role = $3 FOR SHARE",
            found.id,
            found.password,
            found.role.value,
        )
        if not unchanged:
            return False
        if old is not None:
            await connection.execute("DELETE FROM session WHERE id = $1", old)
        await connection.execute("INSERT INTO session (id, account) VALUES ($1, $2)", digest, found.id)
        await connection.execute("DELETE FROM sign_in_try WHERE slot = $1", slot_of(name))
        await audit.write(connection, Actor(Kind.ACCOUNT, name), "session.begin", name)
    return True


async def end(connection: Connection, digest: bytes) -> None:
    """End a session; one that is not there is none. Cancelling it: done or not, never half."""
    async with connection.transaction():
        name = await connection.fetchval(
            "DELETE FROM session s USING account a WHERE s.id = $1 AND a.id = s.account RETURNING a.name",
            digest,
        )
        if name is not None:
            await audit.write(connection, Actor(Kind.ACCOUNT, name), "session.end", name)


async def find(
    connection: Connection, lifetimes: Lifetimes, digests: Sequence[bytes]
) -> Mapping[bytes, Principal]:
    """Return who is behind what was shown, and write down that it was used. Cancelling it: written or not."""
    rows = await connection.fetch(sql("principal_find"), list(digests), *_seconds(lifetimes))
    if used := [row["digest"] for row in rows if row["kind"] == "account" and row["unused_s"] > USED_S]:
        await connection.execute("UPDATE session SET used_at = now() WHERE id = ANY ($1::bytea[])", used)
    if used := [row["digest"] for row in rows if row["kind"] == "token" and row["unused_s"] > 0]:
        await connection.execute(
            "UPDATE api_token SET used_on = (now() AT TIME ZONE 'UTC')::date WHERE digest = ANY ($1::bytea[])",
            used,
        )
    return {
        row["digest"]: Principal(
            Kind(row["kind"]), row["name"], Role(row["role"]), row["digest"], row["ends_s"]
        )
        for row in rows
    }


async def prune(connection: Connection, lifetimes: Lifetimes) -> int:
    """Delete sessions that are too old to count, and tries that are forgotten; return how many sessions.

    Cancelling it: done or not.
    """
    await connection.execute(
        "DELETE FROM sign_in_try WHERE tried_at < now() - make_interval(secs => $1)", float(2 * _FORGOTTEN_S)
    )
    done: str = await connection.execute(sql("session_prune"), *_seconds(lifetimes))
    return int(done.rpartition(" ")[2])


def _seconds(lifetimes: Lifetimes) -> tuple[float, float, float, float]:
    return lifetimes.viewer_idle_s, lifetimes.viewer_whole_s, lifetimes.idle_s, lifetimes.whole_s
