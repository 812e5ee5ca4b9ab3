"""The fleet: a process of its own that calls home as installed copies do, first for the past, at once for the present.

It says on its standard output what was answered, a JSON object a line, and ends with its standard input: so it never
outlives the process that started it.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from itertools import accumulate
from typing import Final
from urllib.parse import urlencode

import orjson

from .addresses import by_country
from .caller import Answer, Caller
from .history import Batch, Writer, batches, pings_by_day
from .story import OLD_VERSION, Install, hour_weight, installs
from .world import countries

# Most batches are a small country's day: some are on their way, and some are committed together.
_HISTORY_CALLERS: Final = 6
# At the usual milliseconds of an answer, a hundred pings a second keep one connection busy.
_PINGS_OF_CALLER: Final = 50.0
# What an install sends in the history, on average: so many installs there are for so many pings.
_PINGS_OF_INSTALL: Final = 44
# The clock moves on, and with it who is awake.
_CLOCK_S: Final = 60.0
# How soon everybody calls once the past is there.
_WAIT_S: Final = 2.0
# Two machines with one id call in turns.
_CLONE_TURNS: Final = 6
OLD_PATH: Final = "/update/check.php"
# The names that old copies have for the fields of a ping.
OLD_FIELDS: Final = {
    "prod": "product",
    "ver": "version",
    "guid": "install",
    "serial": "license",
    "seats": "users",
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What a fleet is to do: fill ``fill_from`` to ``fill_to`` (days of the story), and ``rate`` pings a second now.

    ``begins`` is day 0 of the story, in ISO form; ``days`` and ``pings`` are those of the whole history.
    """

    host: str
    port: int
    begins: str
    days: int
    pings: int
    fill_from: int
    fill_to: int
    rate: float
    seed: int

    def to_json(self) -> str:
        """As an argument of the process."""
        return orjson.dumps(asdict(self)).decode()


def installs_of(orders: Orders) -> list[Install]:
    """All installs of a fleet with these orders: the same in each process."""
    addresses = by_country()
    world = [country for country in countries() if country.code in addresses]
    return installs(max(len(world), orders.pings // _PINGS_OF_INSTALL), orders.days, world, orders.seed)


class Fleet:
    """All installs, and what they send."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._begins = date.fromisoformat(orders.begins)
        self._addresses = by_country()
        self._installs = installs_of(orders)
        self._writer = Writer(self._installs)
        self._random = random.Random()
        self._answered = 0
        self._past_is_sent = asyncio.Event()

    async def send_past(self) -> None:
        """Send the history, day by day. Cancelling it leaves the rest unsent."""
        orders = self._orders
        counts = pings_by_day(self._begins, orders.days, orders.pings)
        _tell(expected=sum(counts[orders.fill_from : orders.fill_to]))
        async with AsyncExitStack() as stack:
            callers = asyncio.Queue[Caller]()
            for _ in range(_HISTORY_CALLERS):
                callers.put_nowait(await stack.enter_async_context(Caller(orders.host, orders.port)))
            async with asyncio.TaskGroup() as sending:
                for day in range(orders.fill_from, orders.fill_to):
                    # In a thread: a day takes a tenth of a second, and what is on its way goes on meanwhile.
                    for batch in await asyncio.to_thread(self._write_day, day, counts[day]):
                        caller = await callers.get()
                        sending.create_task(self._send_batch(callers, caller, batch))
        self._past_is_sent.set()
        _tell(past="sent", answered=self._answered)

    def _write_day(self, day: int, pings: int) -> list[Batch]:
        rng = random.Random(f"{self._orders.seed} {day}")
        return batches(self._installs, self._writer, self._begins, day, pings, rng)

    async def _send_batch(self, callers: asyncio.Queue[Caller], caller: Caller, batch: Batch) -> None:
        address = self._random.choice(self._addresses[batch.country])
        try:
            answer = await caller.post("/v1/pings", batch.body, "application/x-ndjson", address)
        finally:
            callers.put_nowait(caller)
        said = orjson.loads(answer.body) if answer.status == 200 else {}
        if said.get("stored") != batch.pings:
            _tell(refused=answer.body[:1000].decode("utf-8", "replace"))
            return
        self._answered += batch.pings
        _tell(answered=self._answered)

    async def send_present(self) -> None:
        """Send single pings at the rate, from those who are awake. Cancelling it stops at once."""
        rate = self._orders.rate
        due = asyncio.Queue[int](maxsize=100)
        async with asyncio.TaskGroup() as sending:
            for _ in range(max(2, round(rate / _PINGS_OF_CALLER))):
                sending.create_task(self._send_due(due))
            clock_s = 0.0
            next_s = time.monotonic()
            awake: list[int] = []
            cumulative: list[float] = []
            while True:
                if time.monotonic() > clock_s:
                    awake, cumulative = self._awake()
                    clock_s = time.monotonic() + (_CLOCK_S if self._past_is_sent.is_set() else _WAIT_S)
                await due.put(self._random.choices(awake, cum_weights=cumulative)[0])
                next_s = max(next_s + self._random.expovariate(rate), time.monotonic() - 1)
                await asyncio.sleep(max(0.0, next_s - time.monotonic()))

    def _awake(self) -> tuple[list[int], list[float]]:
        """Who is installed today, and how likely each is to start at this hour, summed up."""
        now = datetime.now(UTC)
        hour, day = now.hour + now.minute / 60, (now.date() - self._begins).days
        # A past ping of somebody who has called home today costs the rollup three times as much as one in order: until
        # the past is there, only those call who have none.
        since = 0 if self._past_is_sent.is_set() else self._orders.fill_to
        there = [
            number
            for number, install in enumerate(self._installs)
            if install.is_there(day) and install.first_day >= since
        ]
        weights = [
            self._installs[number].eagerness * hour_weight(self._installs[number].country, hour)
            for number in there
        ]
        return there, list(accumulate(weights))

    async def _send_due(self, due: asyncio.Queue[int]) -> None:
        async with Caller(self._orders.host, self._orders.port) as caller:
            while True:
                number = await due.get()
                install = self._installs[number]
                address = self._address(install)
                if install.is_old:
                    _check(await caller.get(f"{OLD_PATH}?{old_query(install)}", address))
                    continue
                day = (datetime.now(UTC).date() - self._begins).days
                for turn in range(_CLONE_TURNS if install.is_cloned else 1):
                    at_ms, bits = int(time.time() * 1000), self._random.getrandbits(74)
                    body = self._writer.ping(number, day, at_ms, bits, behind=turn % 2)
                    _check(await caller.post("/v1/ping", body, "application/json", address))

    def _address(self, install: Install) -> str:
        return self._random.choice(self._addresses[install.country.code])


def old_query(install: Install) -> str:
    """What an old copy sends: its own names, in latin-1."""
    fields = {
        "prod": install.product.key,
        "ver": OLD_VERSION,
        "guid": install.id,
        "seats": str(install.users),
    }
    if install.license:
        fields["serial"] = install.license.key
    return urlencode(fields, encoding="latin-1")


def _check(answer: Answer) -> None:
    if not 200 <= answer.status < 300:
        _tell(refused=answer.body[:1000].decode("utf-8", "replace"))


def _tell(**what: object) -> None:
    print(orjson.dumps(what).decode(), flush=True)


async def _until_alone(work: Awaitable[object]) -> None:
    """Run until standard input ends: whoever started this has gone. Raises what ``work`` raises before."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(reader.read())
    await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
    if not gone.done():
        await task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _main(orders: Orders) -> None:
    fleet = Fleet(orders)
    # A hundred thousand objects that stay: looking through them for cycles costs a tenth of the time.
    gc.freeze()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.send_present())
            group.create_task(fleet.send_past())

    await _until_alone(both())


if __name__ == "__main__":
    asyncio.run(_main(Orders(**orjson.loads(sys.argv[1]))))
