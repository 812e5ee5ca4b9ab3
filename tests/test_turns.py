"""Long work in short turns: in order, a little of each turn of the loop, and never more for many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from callhome.ingest.turns import Turns


class Loop:
    """Runs what is to be called soon, one turn after the other, and says how many that took."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.turn = 0

    def run(self) -> int:
        """Run until nothing is left."""
        while self.soon:
            self.turn += 1
            now, self.soon = self.soon, []
            for callback in now:
                callback()
        return self.turn


@pytest.mark.parametrize("works", [1, 2, 50])
def test_all_work_together_has_a_share_of_each_turn(works: int) -> None:
    """However many there are, a turn of the loop runs so many steps; each work ends before the next begins."""
    loop, ticks = Loop(), count()
    turns = Turns(lambda callback: loop.soon.append(callback), 10, lambda: next(ticks))
    ran: list[tuple[int, int]] = []

    def work(number: int) -> Iterator[None]:
        for _ in range(20):
            ran.append((loop.turn, number))
            yield

    for number in range(works):
        turns.join(work(number))
    loop.run()
    assert [number for _, number in ran] == [number for number in range(works) for _ in range(20)]
    in_turn = [[turn for turn, _ in ran].count(turn) for turn in range(1, loop.turn + 1)]
    assert max(in_turn) <= 10
    assert min(in_turn[:-1]) >= 8


async def test_work_that_joins_later_runs_too() -> None:
    """On a real loop, work of no step, of many, and work that joins when all was done comes to its end."""
    turns = Turns(asyncio.get_running_loop().call_soon, 0.0001)
    ended: list[int] = []

    def work(steps: int) -> Iterator[None]:
        for _ in range(steps):
            yield
        ended.append(steps)

    for steps in (0, 5_000, 1):
        turns.join(work(steps))
    assert not ended
    async with asyncio.timeout(5):
        while len(ended) < 3:
            await asyncio.sleep(0)
        turns.join(work(2))
        while len(ended) < 4:
            await asyncio.sleep(0)
    assert ended == [0, 5_000, 1, 2]
