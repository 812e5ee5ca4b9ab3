"""`callhome.access.gate`: who is remembered, what a flood costs, and what happens while the database is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import pytest

from callhome.access import gate as module
from callhome.access.gate import Gate, Unsure
from callhome.access.keys import digest
from callhome.access.model import Kind, Principal, Role
from callhome.errors import CallhomeError

ADA = Principal(Kind.ACCOUNT, "ada", Role.ADMIN, digest("ada"))


class Registry:
    """What the gate asks: those who count, whether it can be reached, and what it was asked."""

    def __init__(self, *there: Principal) -> None:
        self.there = {each.digest: each for each in there}
        self.is_away = False
        self.asked: list[int] = []
        self.at_once = 0

    async def find(self, digests: Sequence[bytes]) -> Mapping[bytes, Principal]:
        """As the store does."""
        self.at_once += 1
        assert self.at_once == 1
        self.asked.append(len(digests))
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.is_away:
            raise CallhomeError("away")
        return {each: self.there[each] for each in digests if each in self.there}


async def test_who_is_known_is_not_asked_for_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within some seconds one answer counts for all; then a revoked one is seen to be."""
    registry = Registry(ADA)
    gate = Gate(registry.find)
    assert [await gate.who(ADA.digest) for _ in range(10)] == [ADA] * 10
    assert registry.asked == [1]
    del registry.there[ADA.digest]
    assert await gate.who(ADA.digest) == ADA
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    assert await gate.who(ADA.digest) is None
    monkeypatch.undo()
    assert await gate.who(ADA.digest) is None


async def test_who_signs_out_here_is_out_at_once() -> None:
    """What was ended here is asked for again."""
    registry = Registry(ADA)
    gate = Gate(registry.find)
    assert await gate.who(ADA.digest)
    del registry.there[ADA.digest]
    gate.forget(ADA.digest)
    assert await gate.who(ADA.digest) is None


async def test_a_flood_of_invented_ones_is_one_query_at_a_time_and_leaves_nothing() -> None:
    """However many come at once, they are asked for together, and none is remembered."""
    registry = Registry(ADA)
    gate = Gate(registry.find)
    invented = [digest(str(number)) for number in range(900)]
    found = await asyncio.gather(*(gate.who(each) for each in [*invented, ADA.digest, ADA.digest]))
    assert found == [None] * 900 + [ADA, ADA]
    assert len(registry.asked) <= 6
    assert list(gate._known) == [ADA.digest]
    assert not gate._waiting


async def test_too_many_at_once_are_told_so() -> None:
    """Beyond those that may wait, a stranger hears that it can't be said now, and who is known goes on."""
    registry = Registry(ADA)
    gate = Gate(registry.find)
    await gate.who(ADA.digest)
    flood = [asyncio.create_task(gate.who(digest(str(number)))) for number in range(module.WAITING_MAX + 50)]
    assert await gate.who(ADA.digest) == ADA
    done = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(each, Unsure) for each in done) == 50


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was asked for longest ago is forgotten first."""
    monkeypatch.setattr(module, "KNOWN_MAX", 3)
    people = [Principal(Kind.TOKEN, str(n), Role.VIEWER, digest(str(n))) for n in range(10)]
    gate = Gate(Registry(*people).find)
    for each in people:
        await gate.who(each.digest)
    assert list(gate._known) == [each.digest for each in people[-3:]]


async def test_while_the_database_is_away_who_was_signed_in_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who are known go on for a day; of others it can't be said."""
    registry = Registry(ADA)
    gate = Gate(registry.find)
    await gate.who(ADA.digest)
    registry.is_away = True
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    assert await gate.who(ADA.digest) == ADA
    assert await gate.ended([ADA.digest, digest("x")]) == set()
    with pytest.raises(Unsure):
        await gate.who(digest("x"))
    monkeypatch.setattr(module, "AWAY_S", 0.0)
    with pytest.raises(Unsure):
        await gate.who(ADA.digest)
    assert await gate.ended([ADA.digest]) == {ADA.digest}


async def test_a_silent_database_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that doesn't come is none; closing tells those who still wait."""
    monkeypatch.setattr(module, "ANSWER_S", 0.05)

    async def never(_digests: Sequence[bytes]) -> Mapping[bytes, Principal]:
        await asyncio.Event().wait()
        return {}

    gate = Gate(never)
    with pytest.raises(Unsure):
        await gate.who(ADA.digest)
    monkeypatch.setattr(module, "ANSWER_S", 30.0)
    waiting = asyncio.create_task(gate.who(digest("x")))
    await asyncio.sleep(0)
    await gate.close()
    with pytest.raises(Unsure, match="stops"):
        await waiting
    await gate.close()


async def test_what_is_over_counts_for_nothing_though_it_is_known() -> None:
    """A token that ends is over at its second, not when it is asked for next."""
    over = Principal(Kind.TOKEN, "x", Role.VIEWER, digest("x"), time.time() + 0.05)
    registry = Registry(over)
    gate = Gate(registry.find)
    assert await gate.who(over.digest)
    await asyncio.sleep(0.06)
    assert await gate.who(over.digest) is None
    registry.is_away = True
    assert await gate.ended([over.digest]) == {over.digest}


async def test_those_who_have_ended_are_found() -> None:
    """Of many who look at a map, those whose session ended are told from the others."""
    people = [Principal(Kind.ACCOUNT, str(n), Role.VIEWER, digest(str(n))) for n in range(500)]
    registry = Registry(*people)
    gate = Gate(registry.find)
    del registry.there[people[3].digest]
    assert await gate.ended([each.digest for each in people]) == {people[3].digest}
    assert len(registry.asked) == 3
