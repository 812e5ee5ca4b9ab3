"""Compares what clients were told of their pings with what is in the table. Pure, but for reading that table.

The promise: what was acknowledged is stored exactly once, as it was sent; nothing else is stored that nobody sent, and
nothing that was refused. A ping whose answer never came may be stored or not, but once at most.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

from callhome.pseudonyms import INSTALL, keyed

# So many are named in a complaint; the others are counted.
_NAMED: Final = 5


class Sent(NamedTuple):
    """A ping as its client knows it."""

    id: UUID
    install: str
    product: str = "es"
    version: str = "1.0"
    users: int = 1


class Stored(NamedTuple):
    """A row of the table ``ping``, as far as a client could know it."""

    id: UUID
    install: bytes
    product: str
    version: str
    users: int


@dataclass(slots=True)
class Fate:
    """What a client knows of one of its pings: how often it was sent, acknowledged, and refused for good."""

    sent: int = 0
    acked: int = 0
    refused: int = 0
    last: str = "no answer"

    def __str__(self) -> str:
        return f"sent {self.sent} times, acknowledged {self.acked}, refused {self.refused}; last: {self.last}"


@dataclass
class Log:
    """The log of all clients: each ping and its fate, and the statuses of all answers."""

    fates: defaultdict[Sent, Fate] = field(default_factory=lambda: defaultdict(Fate))
    statuses: Counter[int] = field(default_factory=Counter)
    acked: int = 0
    unanswered: int = 0

    def send(self, pings: Iterable[Sent]) -> None:
        """Pings are about to be sent: from now on they may be stored."""
        for ping in pings:
            self.fates[ping].sent += 1

    def answer(self, ping: Sent, status: int, reason: str = "") -> None:
        """A ping was answered, by itself or as a line of a batch: 2xx, refused for good (4xx), or not taken now."""
        fate = self.fates[ping]
        fate.last = f"{status} {reason}".strip()
        if 200 <= status < 300:
            fate.acked += 1
            self.acked += 1
        elif 400 <= status < 500 and status not in (408, 429):
            fate.refused += 1

    def silence(self, pings: Iterable[Sent], why: str) -> None:
        """The connection ended before the answer: nobody knows."""
        self.unanswered += 1
        for ping in pings:
            self.fates[ping].last = why


@dataclass(frozen=True)
class Account:
    """All pings that clients made: each is in one of the three (``stored`` holds acknowledged and unanswered ones)."""

    made: int
    stored: int
    refused: int
    neither: int

    def __str__(self) -> str:
        return f"{self.made} made = {self.stored} stored + {self.refused} refused + {self.neither} neither"


def check(log: Log, rows: Iterable[Stored], secret: str) -> list[str]:
    """Return what is wrong, in words that name the pings: nothing, if the promise was kept."""
    hashed = _hasher(secret)
    table: dict[tuple[UUID, bytes], list[Stored]] = defaultdict(list)
    for row in rows:
        table[row.id, row.install].append(row)
    problems: dict[str, list[str]] = defaultdict(list)
    for ping, fate in log.fates.items():
        found = table.pop((ping.id, hashed(ping.install)), [])
        for kind in _wrong(ping, fate, found):
            problems[kind].append(f"ping {ping.id} of {ping.install} ({fate}), stored {len(found)} times")
    for (id_, install), found in table.items():
        problems["STRANGER: stored, but sent by nobody"].append(
            f"ping {id_} of install {install.hex()}, stored {len(found)} times"
        )
    return [_told(kind, named) for kind, named in sorted(problems.items())]


def _wrong(ping: Sent, fate: Fate, found: list[Stored]) -> Iterator[str]:
    if fate.acked and not found:
        yield "LOST: acknowledged, but not stored"
    if len(found) > 1:
        yield "TWIN: stored more than once"
    if fate.refused and found:
        yield "REFUSED: refused, but stored"
    if any(row[2:] != ping[2:] for row in found):
        yield "CHANGED: stored otherwise than sent"


def _told(kind: str, named: list[str]) -> str:
    more = f", and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{kind} ({len(named)}): " + "; ".join(named[:_NAMED]) + more


def account(log: Log, rows: Iterable[Stored], secret: str) -> Account:
    """Return where the clients' pings are."""
    hashed = _hasher(secret)
    keys = {(row.id, row.install) for row in rows}
    stored = {ping for ping in log.fates if (ping.id, hashed(ping.install)) in keys}
    refused = sum(fate.refused > 0 for ping, fate in log.fates.items() if ping not in stored)
    made = len(log.fates)
    return Account(made, len(stored), refused, made - len(stored) - refused)


def _hasher(secret: str) -> Callable[[str], bytes]:
    hash_install = keyed(secret.encode(), INSTALL)
    return lambda install: hash_install(install.encode())


async def stored(connection: Any) -> list[Stored]:
    """Return the whole table."""
    rows: list[Mapping[str, Any]] = await connection.fetch(
        "SELECT ping.id, install, product.key, version, users FROM ping JOIN product ON product.id = ping.product"
    )
    return [Stored(*row.values()) for row in rows]
