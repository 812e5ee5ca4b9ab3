"""`callhome.store.deliveries`: a delivery has one owner at a time, and a late owner can't finish it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import pytest

from callhome.store.deliveries import TRIES, Claim, Expired, Queue, pause_s
from running import connected
from subscriptions import Connection, due

LEASE_S: Final = 60.0


@pytest.fixture(params=["delivery", "alert_delivery"])
def table(request: pytest.FixtureRequest) -> Any:
    """Each of the two queues."""
    return request.param


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to a database without deliveries."""
    async with connected(database) as one:
        yield one


async def waiting(connection: Connection, table: str, count: int) -> None:
    """Put so many deliveries into a queue."""
    if table == "delivery":
        report = await due(connection)
        parent = await connection.fetchval(
            "INSERT INTO report_run (report, due, first_day, last_day) VALUES ($1, now(), current_date, current_date) "
            "RETURNING id",
            report.id,
        )
        insert = "INSERT INTO delivery (run, address, message_id) SELECT $1, 'r' || n, 'm' || n"
    else:
        alert = await connection.fetchval(
            "INSERT INTO alert (name, rule) VALUES ('a', 'silence') RETURNING id"
        )
        parent = await connection.fetchval(
            "INSERT INTO alert_event (alert, event, subject, details) VALUES ($1, 'e', 's', '{}') RETURNING id",
            alert,
        )
        insert = "INSERT INTO alert_delivery (event, channel, target, message_id) SELECT $1, 'mail', 'r' || n, 'm' || n"
    await connection.execute(f"{insert} FROM generate_series(1, $2) n", parent, count)


async def row(connection: Connection, table: str) -> Any:
    """The only delivery."""
    return await connection.fetchrow(f"SELECT *, next_try_at <= now() AS is_due FROM {table}")


async def run_out(connection: Connection, table: str) -> None:
    """Let all claims have run out."""
    await connection.execute(f"UPDATE {table} SET next_try_at = now() - interval '1 s'")


async def claimed(connection: Connection, table: Any) -> tuple[Queue, Claim]:
    """A queue with one delivery, which is claimed."""
    await waiting(connection, table, 1)
    queue = Queue(table)
    (claim,) = await queue.claim(connection, 5, LEASE_S)
    return queue, claim


async def test_each_delivery_is_claimed_once(table: Any, database: str, connection: Connection) -> None:
    """However many claim at once, each delivery has one owner, and nobody waits for another."""
    await waiting(connection, table, 50)
    queue = Queue(table)

    async def claim_all() -> Sequence[Claim]:
        found: list[Claim] = []
        async with connected(database) as own:
            while claims := await queue.claim(own, 3, LEASE_S):
                assert len(claims) <= 3
                found += claims
        return found

    claims = [claim for found in await asyncio.gather(*(claim_all() for _ in range(4))) for claim in found]
    assert len(claims) == len({claim.id for claim in claims}) == 50
    assert {claim.tries for claim in claims} == {1}


async def test_a_delivery_goes_its_way(table: Any, connection: Connection) -> None:
    """Waiting, claimed, sending, sent: each step is recorded, and a sent one is done with."""
    queue, claim = await claimed(connection, table)
    assert (await row(connection, table))["state"] == "claimed"
    assert await queue.begin(connection, claim, LEASE_S)
    assert (await row(connection, table))["state"] == "sending"
    assert await queue.record(connection, claim, "sent", "250 taken")
    found = await row(connection, table)
    assert (found["state"], found["outcome"], found["tries"]) == ("sent", "250 taken", 1)
    assert found["sent_at"] is not None
    await run_out(connection, table)
    assert await queue.claim(connection, 5, LEASE_S) == []
    assert await queue.expire(connection) == []
    assert not await queue.begin(connection, claim, LEASE_S)
    assert not await queue.resend(connection, claim.id)


async def test_a_claim_that_ran_out_may_not_begin(table: Any, connection: Connection) -> None:
    """Once a claim has run out its owner may not send the last line, taken over or not; the next owner may."""
    queue, claim = await claimed(connection, table)
    await run_out(connection, table)
    assert not await queue.begin(connection, claim, LEASE_S)
    assert await queue.expire(connection) == [Expired(claim.id, "waiting")]
    (second,) = await queue.claim(connection, 5, LEASE_S)
    assert (second.id, second.tries) == (claim.id, 2)
    assert not await queue.begin(connection, claim, LEASE_S)
    assert not await queue.record(connection, claim, "sent", "250 taken")
    assert await queue.begin(connection, second, LEASE_S)


async def test_who_may_have_sent_is_uncertain_but_may_still_tell(table: Any, connection: Connection) -> None:
    """A claim that runs out while sending leaves it uncertain, never waiting; its owner's late word still counts."""
    queue, claim = await claimed(connection, table)
    await queue.begin(connection, claim, LEASE_S)
    await run_out(connection, table)
    assert await queue.expire(connection) == [Expired(claim.id, "uncertain")]
    assert await queue.claim(connection, 5, LEASE_S) == []
    assert await queue.record(connection, claim, "sent", "250 taken")
    assert (await row(connection, table))["state"] == "sent"


async def test_only_a_person_sends_an_uncertain_one_again(table: Any, connection: Connection) -> None:
    """An uncertain delivery waits again when it is said so; then its first owner's late word counts no more."""
    queue, claim = await claimed(connection, table)
    await queue.begin(connection, claim, LEASE_S)
    await queue.record(connection, claim, "uncertain", "no answer")
    assert await queue.resend(connection, claim.id)
    assert not await queue.record(connection, claim, "sent", "250 taken")
    (second,) = await queue.claim(connection, 5, LEASE_S)
    assert second.tries == 1


async def test_a_failed_try_waits_for_the_next(table: Any, connection: Connection) -> None:
    """What is to be tried later is not due until then."""
    queue, claim = await claimed(connection, table)
    assert await queue.record(connection, claim, "waiting", "451 later", pause_s=3_600)
    assert await queue.claim(connection, 5, LEASE_S) == []
    assert not (await row(connection, table))["is_due"]
    await run_out(connection, table)
    (second,) = await queue.claim(connection, 5, LEASE_S)
    assert second.tries == 2


async def test_what_is_given_back_was_not_tried(table: Any, connection: Connection) -> None:
    """A try that had nothing to do with the delivery does not count, one by one or all of an owner at once."""
    queue, claim = await claimed(connection, table)
    assert await queue.give_back(connection, claim, "no server", 0)
    assert not await queue.give_back(connection, claim, "no server", 0)
    (second,) = await queue.claim(connection, 5, LEASE_S)
    assert second.tries == 1
    await queue.give_back_all(connection, [claim.name])
    assert (await row(connection, table))["state"] == "claimed"
    await queue.give_back_all(connection, [second.name])
    found = await row(connection, table)
    assert (found["state"], found["tries"], found["is_due"]) == ("waiting", 0, True)


async def test_what_is_being_sent_is_not_given_back_with_the_rest(table: Any, connection: Connection) -> None:
    """An owner who ends gives back what it has not sent, and leaves what it may have sent as it is."""
    queue, claim = await claimed(connection, table)
    await queue.begin(connection, claim, LEASE_S)
    await queue.give_back_all(connection, [claim.name])
    assert (await row(connection, table))["state"] == "sending"


async def test_one_that_kills_its_owners_is_given_up(table: Any, connection: Connection) -> None:
    """A delivery whose owners always vanish is given up after its tries."""
    queue, claim = await claimed(connection, table)
    await connection.execute(f"UPDATE {table} SET tries = $1", TRIES)
    await run_out(connection, table)
    assert await queue.expire(connection) == [Expired(claim.id, "failed")]


def test_pauses_grow_to_four_hours() -> None:
    """A minute, then twice as long each time, four hours at most, give or take a quarter; three days in all."""
    for tries, seconds in ((1, 60), (2, 120), (5, 960), (9, 14_400), (24, 14_400)):
        found = [pause_s(tries) for _ in range(50)]
        assert all(0.75 * seconds <= each <= 1.25 * seconds for each in found)
        assert len(set(found)) > 40
    days = sum(min(60 * 2 ** (tries - 1), 14_400) for tries in range(1, TRIES)) / 86_400
    assert 2.5 < days < 3.5
