"""Server and PostgreSQL are killed, and the line between them is cut, at random times under load: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import pytest

import dying
from copies import Copies
from crashes import TESTS, World, when

# How often each fault comes, of a hundred.
FAULTS: Final = {
    "server killed": 25,
    "PostgreSQL killed": 20,
    "both killed": 15,
    "line cut before COMMIT": 12,
    "line cut after COMMIT": 12,
    "all lines cut": 6,
    "backends frozen": 5,
    "server killed while it starts": 5,
}
# Spooling begins after this, so that a frozen backend costs a test no more.
SPOOL_AFTER_S: Final = "0.3"
# A busy machine needs half a minute from the kill of both to the first answer.
PATIENCE_S: Final = 180.0
_FROZEN_S: Final = 2.0
# A loop of more faults says how far it is.
SHOWN_FROM: Final = 50


class Faults:
    """Does one fault after the other to a world under load; ``done`` counts them."""

    def __init__(self, world: World, copies: Copies, chance: random.Random) -> None:
        self.done: Counter[str] = Counter()
        self._world = world
        self._copies = copies
        self._chance = chance
        self._do: dict[str, Callable[[], Awaitable[object]]] = {
            "server killed": world.server.kill,
            "PostgreSQL killed": self._kill_postgres,
            "both killed": self._kill_both,
            "line cut before COMMIT": lambda: self._cut_at("before"),
            "line cut after COMMIT": lambda: self._cut_at("after"),
            "all lines cut": self._cut,
            "backends frozen": self._freeze,
            "server killed while it starts": self._kill_a_start,
        }

    async def one(self) -> None:
        """Wait for a random moment under load, then do a random fault."""
        await self._copies.acked(self._chance.randrange(40), PATIENCE_S)
        await asyncio.sleep(self._chance.random() * 0.05)  # any moment, also one without an answer
        (name,) = self._chance.choices([*FAULTS], [*FAULTS.values()])
        print(name)  # shown where it fails
        await self._do[name]()
        self.done[name] += 1

    async def _kill_postgres(self) -> None:
        await self._world.postgres.kill()
        await self._world.postgres.start()

    async def _kill_both(self) -> None:
        await asyncio.gather(self._world.server.kill(), self._world.postgres.kill())
        await self._world.postgres.start()

    async def _kill_a_start(self) -> None:
        await self._world.server.kill()
        await asyncio.sleep(self._chance.random())
        await self._world.server.kill()

    async def _cut_at(self, moment: str) -> None:
        line = self._world.line
        wanted = line.cuts + 1
        line.cut_at_commit("before" if moment == "before" else "after")

        await when(lambda: line.cuts >= wanted, PATIENCE_S)

    async def _cut(self) -> None:
        self._world.line.cut()

    async def _freeze(self) -> None:
        async with self._world.frozen_writers():
            if (
                self._world.spool is None
            ):  # a frozen session may hold what all others need: then nothing is taken
                await asyncio.sleep(_FROZEN_S)
            else:
                await self._copies.acked(20, PATIENCE_S)


@pytest.mark.parametrize(
    ("kills", "seed", "spool"),
    [
        (20, None, True),
        *(pytest.param(100, n, True, marks=pytest.mark.long) for n in range(1, 13)),
        pytest.param(100, 13, False, marks=pytest.mark.long),
    ],
)
@pytest.mark.fault(18, 19, 20, 21)
async def test_no_acknowledged_ping_is_lost_or_doubled(
    kills: int,
    seed: int | None,
    spool: bool,
    open_tmp_path: Path,
    unused_tcp_port_factory: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows 18 to 21: through kills of both, cut lines and frozen backends, what was acknowledged is stored once."""
    seed = seed or int(os.environ.get("CRASH_SEED", time.time_ns() % 10**6))
    ports = [unused_tcp_port_factory() for _ in range(3)]
    begun_s = time.monotonic()

    def tell(text: str) -> None:
        with capsys.disabled() if kills > SHOWN_FROM else nullcontext():
            print(f"\nseed {seed}, {time.monotonic() - begun_s:.0f} s: {text}", flush=True)

    tell("begun")
    environ = {"CALLHOME_SPOOL_AFTER_S": SPOOL_AFTER_S, "CALLHOME_COMMIT_S": "3" if not spool else "10"}
    async with World.build(open_tmp_path, ports, spool=spool, **environ) as world:
        copies = Copies(lambda: world.server.place, seed)
        faults = Faults(world, copies, random.Random(seed))
        async with copies.pinging():
            for number in range(1, kills + 1):
                await faults.one()
                if number % 50 == 0:
                    tell(f"{number} of {kills} faults, {copies.log.acked} pings acknowledged")
            await copies.acked(50, PATIENCE_S)
        await world.settled()
        assert await world.server.finish() == 0
        said = await world.verdict(copies.log)
        assert "Traceback" not in world.server.log.read_text()
    named = ", ".join(f"{name}: {count}" for name, count in sorted(faults.done.items()))
    tell(f"{named}; {world.server.starts} starts; {said}")


@pytest.mark.fault(18)
async def test_a_kill_at_every_step_loses_nothing(
    open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """Row 18: a server killed at each step of the way into table or spool, and out of it, loses and doubles none."""
    ports = [unused_tcp_port_factory() for _ in range(3)]
    async with World.build(open_tmp_path, ports, CALLHOME_SPOOL_AFTER_S=SPOOL_AFTER_S) as world:
        copies, server, line = Copies(lambda: world.server.place, seed=18), world.server, world.line

        async def die_at(step: str, times: int = 1) -> None:
            try:
                await server.run_to_its_death(str(TESTS / "dying.py"), step, str(times))
            except TimeoutError:
                pytest.fail(f"it never came to this step: {step}")

        async with copies.pinging():
            for times, step in enumerate(dying.TABLE_STEPS + dying.REPLAY_STEPS, 1):
                await die_at(step, times)
            with line.away():
                for step in dying.SPOOL_STEPS:
                    await die_at(step)
            for step in dying.DRAIN_STEPS:
                with line.away():
                    death = asyncio.create_task(die_at(step))
                    await server.started()
                    await server.ready()
                    await copies.acked(30, PATIENCE_S)
                await death
            await copies.acked(30, PATIENCE_S)
        await world.settled()
        assert await server.finish() == 0
        await world.verdict(copies.log)
        assert server.ends.count(-signal.SIGKILL) >= len(dying.STEPS)
