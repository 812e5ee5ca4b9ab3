"""Installed copies that ping under faults: each keeps the id of a ping over its retries, and notes each answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

import orjson

from callhome.ingest.reasons import STATUS, Reason
from callhome.settings import Listen
from callhome.store.ids import new_id
from checker import Log, Sent
from crashes import when
from listener import Answer, Client, post
from running import PATIENCE_S, raw

# What is sent: mostly single pings; batches, a line of which may be bad; bad ones; and pings acknowledged long ago.
_KINDS: Final = {"single": 70, "batch": 15, "bad": 5, "again": 10}
# Of those that got no answer, so many are never sent again: their outcome stays open.
_GIVES_UP: Final = 0.1
_BATCH_LINES: Final = 12
_REMEMBERED: Final = 500


def body(ping: Sent) -> bytes:
    """Return a ping as it is sent, the same each time."""
    return orjson.dumps(
        {
            "id": str(ping.id),
            "install": ping.install,
            "product": ping.product,
            "version": ping.version,
            "users": ping.users,
        }
    )


class _Work(NamedTuple):
    """A request, the same each time it is sent, and the pings in it in the order of its lines."""

    request: bytes
    pings: list[Sent]
    is_batch: bool = False


@dataclass
class Copies:
    """``count`` copies that ping ``place()``, over new connections where they must; each rests ``rest_s`` in between.

    Every ping is of an install of its own, so that no limit of an install is met. ``seed`` makes the same requests in
    the same order for each copy.
    """

    place: Callable[[], Listen]
    seed: int
    count: int = 8
    rest_s: float = 0.01
    products: tuple[str, ...] = ("es", "fr")
    only_single: bool = False
    log: Log = field(default_factory=Log)
    _known: list[Sent] = field(default_factory=list)

    @asynccontextmanager
    async def pinging(self) -> AsyncIterator[None]:
        """The copies ping while this is entered; at its end each gets its last answer, or gives up."""
        stop = asyncio.Event()
        copies = [asyncio.create_task(self._copy(number, stop)) for number in range(self.count)]
        try:
            yield
        finally:
            stop.set()
            _, late = await asyncio.wait(copies, timeout=PATIENCE_S)
            for copy in late:
                copy.cancel()
            assert not late, "a copy got neither an answer nor the end of its connection"
        for copy in copies:
            copy.result()

    async def acked(self, more: int, patience_s: float = PATIENCE_S) -> None:
        """Wait until so many more pings were acknowledged."""
        wanted = self.log.acked + more

        await when(lambda: self.log.acked >= wanted, patience_s)

    async def _copy(self, number: int, stop: asyncio.Event) -> None:
        chance = random.Random(self.seed * 1_000 + number)
        work: _Work | None = None
        while not stop.is_set():
            try:
                async with raw(self.place()) as client:
                    while not stop.is_set():
                        work = work or self._work(chance)
                        answer = await self._ask(client, work)
                        if self._settle(work, answer):
                            work = None
                        await asyncio.sleep(self.rest_s)
                        if answer.closes:
                            break
            except (OSError, EOFError):
                if chance.random() < _GIVES_UP:
                    work = None
            await asyncio.sleep(self.rest_s)

    def _work(self, chance: random.Random) -> _Work:
        kinds = ["single"] if self.only_single else [*_KINDS]
        (kind,) = chance.choices(kinds, [_KINDS[kind] for kind in kinds])
        if kind == "again" and self._known:
            return _single(chance.choice(self._known))
        if kind == "batch":
            pings = [
                self._new(chance, users=-1 if chance.random() < 0.1 else None) for _ in range(_BATCH_LINES)
            ]
            return _Work(post(b"\n".join(map(body, pings)), path="/v1/pings"), pings, is_batch=True)
        return _single(self._new(chance, users=-1 if kind == "bad" else None))

    def _new(self, chance: random.Random, users: int | None) -> Sent:
        """Return a new ping; one with -1 users is to be refused."""
        if users is None:
            users = chance.randrange(100)
        version = f"{chance.randrange(5)}.{chance.randrange(5)}"
        install, product = f"install-{chance.getrandbits(64):016x}", chance.choice(self.products)
        return Sent(UUID(bytes=new_id()), install, product, version, users)

    async def _ask(self, client: Client, work: _Work) -> Answer:
        self.log.send(work.pings)
        try:
            return await client.send(work.request).answer()
        except (OSError, EOFError) as error:
            self.log.silence(work.pings, type(error).__name__)
            raise

    def _settle(self, work: _Work, answer: Answer) -> bool:
        """Write down what was answered; return whether there is nothing to send again."""
        self.log.statuses[answer.status] += 1
        told = orjson.loads(answer.body) if answer.body else {}
        if not work.is_batch or answer.status != 200:
            for ping in work.pings:
                self._note(ping, answer.status, told.get("reason", ""))
            return answer.status < 500 and answer.status not in (408, 429)
        refused = {line["line"]: line["reason"] for line in told["refused"]}
        for line, ping in enumerate(work.pings, 1):
            reason = refused.get(line, "")
            self._note(ping, STATUS[Reason(reason)] if reason else answer.status, reason)
        return True

    def _note(self, ping: Sent, status: int, reason: str) -> None:
        self.log.answer(ping, status, reason)
        if status < 300 and len(self._known) < _REMEMBERED:
            self._known.append(ping)


def _single(ping: Sent) -> _Work:
    return _Work(post(body(ping)), [ping])
