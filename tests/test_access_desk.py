"""`callhome.access.desk`: signing in and out, over a real PostgreSQL, on one replica and on two."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from callhome.access import desk as module
from callhome.access import keys, passwords, throttle
from callhome.access.desk import Begun, Desk, Reason, Refusal
from callhome.access.gate import Gate
from callhome.access.model import Lifetimes, Role
from callhome.errors import CallhomeError
from callhome.store import accounts, sessions
from callhome.store.connection import Connection, connect
from callhome.store.line import Line
from signed import BY, PASSWORD

LIFETIMES = Lifetimes(3_600, 86_400, 864_000, 8_640_000)
WRONG = Refusal(Reason.WRONG)


class Replica:
    """A desk and a gate of their own on one database."""

    def __init__(self, dsn: str) -> None:
        self.line = Line(dsn, "tests")
        self.gate = Gate(
            lambda digests: self.line.do(partial(sessions.find, lifetimes=LIFETIMES, digests=digests))
        )
        self.desk = Desk(self.line, self.gate, LIFETIMES)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database with the account ``ada``."""
    connection = await connect(database, "tests")
    await accounts.add(connection, "ada", Role.ADMIN, passwords.hashed(PASSWORD), BY)
    yield connection
    await connection.close()


@pytest.fixture
async def replicas(database: str, connection: Connection) -> AsyncIterator[list[Replica]]:
    """Two replicas."""
    found = [Replica(database), Replica(database)]
    yield found
    for each in found:
        each.line.close()


async def test_who_signs_in_is_known_to_all_replicas(replicas: list[Replica]) -> None:
    """The name may be typed with capitals and blanks; each time there is a new session."""
    one, two = replicas
    begun = await one.desk.sign_in(" Ada ", PASSWORD, 1, None)
    assert isinstance(begun, Begun)
    assert (begun.role, begun.lasts_s) == (Role.ADMIN, 86_400)
    assert begun.cookie not in repr(begun)
    who = await two.gate.who(keys.digest(begun.cookie))
    assert who is not None
    assert (who.name, who.role) == ("ada", Role.ADMIN)
    again = await two.desk.sign_in("ada", PASSWORD, 1, keys.digest(begun.cookie))
    assert isinstance(again, Begun)
    assert again.cookie != begun.cookie
    assert await two.gate.who(keys.digest(begun.cookie)) is None
    await one.desk.sign_out(keys.digest(again.cookie))
    assert await one.gate.who(keys.digest(again.cookie)) is None


@pytest.mark.parametrize("name", ["ada", "nobody", "", "a\0b", "x" * 1_000])
async def test_a_wrong_password_and_an_unknown_name_get_the_same(replicas: list[Replica], name: str) -> None:
    """The answer is the same, and so is the work: as many statements, and one hash."""
    one, _ = replicas
    checked: list[str | None] = []
    verify = one.desk._passwords.verify

    async def counted(stored: str | None, password: str) -> bool:
        checked.append(stored)
        return await verify(stored, password)

    one.desk._passwords.verify = counted  # type: ignore[method-assign]
    works: list[object] = []
    do = one.line.do

    async def noted(work: partial[object]) -> object:
        works.append(work.func)
        return await do(work)  # type: ignore[arg-type]

    one.line.do = noted  # type: ignore[method-assign, assignment]
    assert await one.desk.sign_in(name, "wrong", 1, None) == WRONG
    assert len(checked) == 1
    assert works == [sessions.claim_try, accounts.credentials, sessions.refused]


async def test_guesses_are_slowed_down_over_all_replicas(
    replicas: list[Replica], connection: Connection
) -> None:
    """After some wrong ones even the right password waits, on the other replica too; other names don't."""
    one, two = replicas
    for number in range(throttle.FREE_TRIES):
        assert await replicas[number % 2].desk.sign_in("ada", "wrong", number, None) == WRONG
    for replica in replicas:
        refused = await replica.desk.sign_in("ada", PASSWORD, 77, None)
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.retry_after_s) == (Reason.SLOW_DOWN, 1)
    assert await two.desk.sign_in("eve", "wrong", 78, None) == WRONG
    await connection.execute("UPDATE sign_in_try SET next_at = now()")
    assert isinstance(await one.desk.sign_in("ada", PASSWORD, 77, None), Begun)


async def test_a_name_that_nobody_has_is_slowed_down_as_well(replicas: list[Replica]) -> None:
    """Waiting tells nothing of whether there is such an account."""
    one, _ = replicas
    outcomes = [await one.desk.sign_in("nobody", "wrong", number, None) for number in range(6)]
    assert outcomes == [WRONG] * throttle.FREE_TRIES + [Refusal(Reason.SLOW_DOWN, 1)]


async def test_a_network_that_fails_too_often_waits(
    replicas: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are tried in turn from one network: it waits, nothing is asked of the database, and others go on."""
    monkeypatch.setattr(throttle, "NETWORK_FAILURES", 2)
    one, _ = replicas
    outcomes = [await one.desk.sign_in(f"name{number}", "wrong", 5, None) for number in range(3)]
    assert outcomes[:2] == [WRONG, WRONG]
    assert isinstance(outcomes[2], Refusal)
    assert outcomes[2].reason is Reason.SLOW_DOWN
    assert isinstance(await one.desk.sign_in("ada", PASSWORD, 6, None), Begun)


async def test_a_password_is_hashed_anew_when_the_parameters_change(
    replicas: list[Replica], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who signs in with an old hash has a new one afterwards, and stays signed in."""
    monkeypatch.setattr(module, "is_outdated", lambda stored: True)
    before = await connection.fetchval("SELECT password FROM account")
    begun = await replicas[0].desk.sign_in("ada", PASSWORD, 1, None)
    assert isinstance(begun, Begun)
    assert await connection.fetchval("SELECT password FROM account") != before
    assert await replicas[0].gate.who(keys.digest(begun.cookie))
    assert isinstance(await replicas[0].desk.sign_in("ada", PASSWORD, 1, None), Begun)


async def test_without_the_database_nobody_signs_in_and_nothing_is_counted(unused_tcp_port: int) -> None:
    """Who tries hears when to come back; it is no failure of theirs."""
    replica = Replica(f"postgresql://x:y@127.0.0.1:{unused_tcp_port}/z")
    for _ in range(throttle.NETWORK_FAILURES + 5):
        assert await replica.desk.sign_in("ada", PASSWORD, 1, None) == Refusal(Reason.LATER, 10)


async def test_who_is_recognised_otherwise_enters_without_a_password(replicas: list[Replica]) -> None:
    """The demo's visitor gets a session of its account; of no account there is none."""
    begun = await replicas[0].desk.enter("ada")
    who = await replicas[1].gate.who(keys.digest(begun.cookie))
    assert who is not None
    assert who.name == "ada"
    with pytest.raises(CallhomeError, match="no account 'eve'"):
        await replicas[0].desk.enter("eve")
