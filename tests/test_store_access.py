"""Accounts, sessions, tokens and the audit trail in a real PostgreSQL, and the line to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from callhome.access import keys, passwords
from callhome.access.checks import InvalidAccess
from callhome.access.model import Lifetimes, Role
from callhome.access.throttle import FREE_TRIES, WAIT_MAX_S, slot_of
from callhome.store import accounts, audit, sessions, tokens
from callhome.store.connection import Connection, StoreUnavailable, connect
from callhome.store.line import Line
from signed import BY, PASSWORD, TOKEN, cookie_of

LIFETIMES = Lifetimes(3_600, 86_400, 864_000, 8_640_000)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a fresh database."""
    connection = await connect(database, "tests")
    yield connection
    await connection.close()


async def trail(connection: Connection) -> list[tuple[str, str, str]]:
    """Who did what to what, the first first, without what the tests' own token left."""
    found = await audit.newest(connection)
    return [(each.actor.name, each.action, each.target) for each in reversed(found) if each.target != "tests"]


async def signed_in(connection: Connection, *shown: str) -> list[str]:
    """The names of those who are signed in, of what was shown."""
    found = await sessions.find(connection, LIFETIMES, [keys.digest(each) for each in shown])
    return sorted(each.name for each in found.values())


async def test_an_account_from_its_making_to_its_removal(connection: Connection) -> None:
    """It is made, listed, changed and removed; each change ends its sessions and stands in the trail."""
    cookie = await cookie_of(connection, "ada", Role.VIEWER)
    assert await signed_in(connection, cookie, TOKEN) == ["ada", "tests"]
    assert await accounts.change(connection, "ada", BY, role=Role.ADMIN) == 1
    assert await signed_in(connection, cookie) == []
    (ada,) = await accounts.list_all(connection)
    assert (ada.name, ada.role, ada.sessions) == ("ada", Role.ADMIN, 0)
    await accounts.change(connection, "ada", BY, password="another hash")
    found = await accounts.credentials(connection, "ada")
    assert found is not None
    assert found.password == "another hash"
    await accounts.remove(connection, "ada", BY)
    assert await accounts.credentials(connection, "ada") is None
    assert await trail(connection) == [
        ("tests", "account.add", "ada"),
        ("ada", "session.begin", "ada"),
        ("tests", "account.role", "ada"),
        ("tests", "account.password", "ada"),
        ("tests", "account.remove", "ada"),
    ]


async def test_a_name_is_there_once_and_an_unknown_one_is_told(connection: Connection) -> None:
    """A second account or token of a name is refused, as is what is done to none; nothing is written of either."""
    await accounts.add(connection, "ada", Role.VIEWER, "hash", BY)
    before = await audit.newest(connection)
    with pytest.raises(InvalidAccess, match="user change"):
        await accounts.add(connection, "ada", Role.ADMIN, "hash", BY)
    with pytest.raises(InvalidAccess, match="token revoke tests"):
        await tokens.add(connection, "tests", Role.ADMIN, b"x" * 32, BY)
    for work in (
        accounts.remove(connection, "eve", BY),
        accounts.change(connection, "eve", BY, role=Role.ADMIN),
    ):
        with pytest.raises(accounts.UnknownAccount, match="no account 'eve'; there are ada"):
            await work
    with pytest.raises(tokens.UnknownToken, match="token list"):
        await tokens.revoke(connection, "none", BY)
    assert await audit.newest(connection) == before


async def test_secrets_are_nowhere_in_the_database(connection: Connection) -> None:
    """Neither password, cookie nor token is stored, nor what was typed as the name of nobody."""
    cookie = await cookie_of(connection, "ada", Role.VIEWER)
    await sessions.refused(connection, "a password in the wrong field")
    await sessions.refused(connection, "ada")
    kept = ""
    for table in ("account", "session", "api_token", "sign_in_try", "audit"):
        kept += str(await connection.fetch(f"SELECT * FROM {table}"))
    for secret in (PASSWORD, cookie, TOKEN, "wrong field"):
        assert secret not in kept
    assert (await trail(connection))[-1] == ("", "session.refused", "ada")


async def test_a_token_from_its_making_to_its_end(connection: Connection) -> None:
    """It counts until it is over or revoked, and the day of its last use is known."""
    shown = keys.new_token()
    await tokens.add(connection, "script", Role.ANALYST, keys.digest(shown), BY, days=3)
    assert [each.used_on for each in await tokens.list_all(connection)] == [None, None]
    found = await sessions.find(connection, LIFETIMES, [keys.digest(shown)])
    assert [each.role for each in found.values()] == [Role.ANALYST]
    listed = {each.name: each for each in await tokens.list_all(connection)}
    today = await connection.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    assert (listed["script"].used_on, listed["tests"].used_on) == (today, None)
    assert listed["script"].expires_at is not None
    await connection.execute("UPDATE api_token SET expires_at = now()")
    assert await signed_in(connection, shown, TOKEN) == []
    await connection.execute("UPDATE api_token SET expires_at = NULL")
    await tokens.revoke(connection, "script", BY)
    assert await signed_in(connection, shown, TOKEN) == ["tests"]


@pytest.mark.parametrize(
    ("role", "idle_s", "whole_s"), [("viewer", 864_000, 8_640_000), ("admin", 3_600, 86_400)]
)
async def test_sessions_end_by_themselves(
    connection: Connection, role: str, idle_s: int, whole_s: int
) -> None:
    """Without use after one time and at the latest after another; use is written down, and pruning deletes the rest."""
    cookie = await cookie_of(connection, "ada", Role(role))

    async def after(unused_s: float, since_s: float) -> list[str]:
        await connection.execute(
            "UPDATE session SET used_at = now() - make_interval(secs => $1), "
            "begun_at = now() - make_interval(secs => $2)",
            float(unused_s),
            float(since_s),
        )
        return await signed_in(connection, cookie)

    assert await after(idle_s - 60, whole_s - 60) == ["ada"]
    assert await connection.fetchval("SELECT now() - used_at < interval '1 minute' FROM session")
    assert await sessions.prune(connection, LIFETIMES) == 0
    assert await after(idle_s + 1, 0) == []
    assert await after(0, whole_s + 1) == []
    assert await sessions.prune(connection, LIFETIMES) == 1


async def test_a_session_begins_anew_only_for_an_account_as_it_was_checked(connection: Connection) -> None:
    """The old session ends with the new one's begin; where the account changed meanwhile, none begins."""
    old = await cookie_of(connection, "ada", Role.VIEWER)
    found = await accounts.credentials(connection, "ada")
    assert found is not None
    new = keys.new_session()
    assert await sessions.begin(connection, "ada", found, keys.digest(new), keys.digest(old))
    assert await signed_in(connection, old, new) == ["ada"]
    assert await connection.fetchval("SELECT count(*) FROM session") == 1
    await accounts.rehash(connection, found, "another hash of it")
    assert not await sessions.begin(connection, "ada", found, keys.digest(keys.new_session()), None)
    await accounts.rehash(connection, found, "too late")
    assert await connection.fetchval("SELECT password FROM account") == "another hash of it"
    await sessions.end(connection, keys.digest(new))
    await sessions.end(connection, keys.digest(new))
    assert (await trail(connection))[-1] == ("ada", "session.end", "ada")


async def test_tries_of_a_name_are_counted_by_all_replicas_at_once(database: str) -> None:
    """Of many tries at the same moment over two connections so many are looked at as are free, and no more."""
    one, two = await connect(database, "one"), await connect(database, "two")

    async def tries(connection: Connection) -> list[float]:
        return [await sessions.claim_try(connection, "ada") for _ in range(10)]

    waits = [*await asyncio.gather(tries(one), tries(two))]
    looked_at = [wait_s for each in waits for wait_s in each if not wait_s]
    assert len(looked_at) == FREE_TRIES
    assert all(0 < wait_s <= WAIT_MAX_S for each in waits for wait_s in each if wait_s)
    assert await sessions.claim_try(one, "eve") == 0
    await one.execute("UPDATE sign_in_try SET next_at = now(), failures = 1000")
    assert await sessions.claim_try(one, "ada") == 0
    assert WAIT_MAX_S - 5 < await sessions.claim_try(two, "ada") <= WAIT_MAX_S
    await one.execute("UPDATE sign_in_try SET next_at = now(), tried_at = now() - interval '25 hours'")
    assert [await sessions.claim_try(one, "ada") for _ in range(FREE_TRIES)] == [0] * FREE_TRIES
    await one.execute("UPDATE sign_in_try SET tried_at = now() - interval '3 days'")
    await sessions.prune(two, LIFETIMES)
    assert await one.fetchval("SELECT count(*) FROM sign_in_try") == 0
    await one.close()
    await two.close()


async def test_who_signs_in_starts_anew(connection: Connection) -> None:
    """Tries that failed are forgotten with the one that succeeds; the slot of a name is the same for all."""
    for _ in range(3):
        await sessions.claim_try(connection, "ada")
    assert await connection.fetchval("SELECT failures FROM sign_in_try WHERE slot = $1", slot_of("ada")) == 3
    await cookie_of(connection, "ada", Role.VIEWER)
    assert await connection.fetchval("SELECT count(*) FROM sign_in_try") == 0


async def test_the_trail_is_asked_for_by_time_actor_and_action(connection: Connection) -> None:
    """The newest come first; a first word stands for all actions that begin with it; what is old is deleted."""
    await cookie_of(connection, "ada", Role.VIEWER)
    newest = await audit.newest(connection, limit=1)
    assert [each.action for each in newest] == ["session.begin"]
    assert [each.target for each in await audit.newest(connection, action="account")] == ["ada"]
    assert [each.action for each in await audit.newest(connection, actor="ada")] == ["session.begin"]
    assert await audit.newest(connection, since=newest[0].at, action="token.add") == []
    await connection.execute("UPDATE audit SET at = now() - interval '31 days' WHERE action = 'account.add'")
    assert await audit.prune(connection, 30) == 1
    assert await audit.prune(connection, 30) == 0


async def test_a_line_is_opened_again_after_a_loss(database: str) -> None:
    """What was cut off is an error to its caller; a moment later there is another connection."""
    line = Line(database, "tests")

    async def pid(connection: Connection) -> Any:
        return await connection.fetchval("SELECT pg_backend_pid()")

    first = await line.do(pid)
    assert await line.do(pid) == first
    with pytest.raises(StoreUnavailable):
        await line.do(lambda connection: connection.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        await line.do(pid)
    async with asyncio.timeout(30):
        while True:
            try:
                assert await line.do(pid) != first
                break
            except StoreUnavailable:
                await asyncio.sleep(0.1)
    line.close()
    line.close()


async def test_work_that_is_left_leaves_no_transaction(database: str) -> None:
    """Who is cancelled in the middle changes nothing, and the next one has a connection of its own."""
    line = Line(database, "tests")
    begun = asyncio.Event()

    async def half(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO sign_in_try (slot, failures) VALUES (1, 1)")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(line.do(half))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await line.do(lambda connection: connection.fetchval("SELECT count(*) FROM sign_in_try")) == 0
    line.close()


async def test_where_no_database_is_the_line_says_so_at_once(unused_tcp_port: int) -> None:
    """The first hears that nothing answers, those right after it that it was so a moment ago."""
    line = Line(f"postgresql://x:y@127.0.0.1:{unused_tcp_port}/z", "tests")
    for said in ("no connection", "a moment ago"):
        with pytest.raises(StoreUnavailable, match=said):
            await line.do(lambda connection: connection.execute("SELECT 1"))


async def test_a_hash_is_no_plain_text(connection: Connection) -> None:
    """What is stored of a password is argon2id, as PHC strings have it; the table takes no other role or name."""
    await cookie_of(connection, "ada", Role.VIEWER)
    assert (await connection.fetchval("SELECT password FROM account")).startswith("$argon2id$")
    assert passwords.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$" + "A" * 43)
    for name, role in (("Ada", "viewer"), ("eve", "root")):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "INSERT INTO account (name, role, password) VALUES ($1, $2, '')", name, role
            )
