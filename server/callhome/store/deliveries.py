"""Deliveries: mails (and alerts) that leave once each, whichever replica sends them and wherever one is killed.

The states of a delivery, in the tables ``delivery`` and ``alert_delivery``:

    waiting -> claimed -> sending -> sent
       ^          |          |-----> failed     the server refused it, or it was tried too often
       |          |          '-----> uncertain  nobody knows whether it arrived; only a person sends it again
       '----------'  (a claim ran out, or the try failed before the mail's last line)

A claim is a random name with an end. Whoever claimed records ``sending`` before the mail's last line leaves, and that
is refused once the claim has ended: so a mail whose claim went to another replica is never finished by the first one.

To use it for a table of one's own: `Queue(table)` with the columns of ``delivery`` from ``state`` on. Rows are
inserted as ``waiting``. A loop calls `expire` every few seconds and `claim` for as many rows as it can send at once;
for each it awaits `begin` when all but the last line is sent (or just before a request that has no last line, which
the receiver then must be able to tell from a repeated one), and `record` with what became of it.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .connection import Connection
from .delivery_sql import TEXTS, Texts

# With the pauses below, about three days: as long as mail servers themselves try (RFC 5321, 4.5.4.1: 4 to 5 days).
TRIES: Final = 24
# A minute after the first try, then twice as long each time, and four hours at most.
_PAUSE_S: Final = (60.0, 14_400.0)

State = Literal["waiting", "sent", "failed", "uncertain"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send a delivery, for a while; ``tries`` counts this try too."""

    id: int
    name: uuid.UUID
    tries: int


@dataclass(frozen=True, slots=True)
class Expired:
    """A delivery whose claim ran out, and what it is now: waiting, failed or uncertain."""

    id: int
    state: str


def pause_s(tries: int) -> float:
    """Return after how many seconds to try again, with jitter, when so many tries have failed."""
    first_s, longest_s = _PAUSE_S
    return min(longest_s, first_s * 2.0 ** min(tries - 1, 20)) * random.uniform(0.75, 1.25)


class Queue:
    """The deliveries of one table. Each method is one statement; none needs a transaction."""

    def __init__(self, table: Literal["delivery", "alert_delivery"]) -> None:
        self._texts: Texts = TEXTS[table]

    async def claim(self, connection: Connection, count: int, lease_s: float) -> list[Claim]:
        """Claim up to so many that are due, for so many seconds. Cancelled, they may stay so until those are over."""
        name = uuid.uuid4()
        rows = await connection.fetch(self._texts.claim, count, name, lease_s)
        return [Claim(row["id"], name, row["tries"]) for row in rows]

    async def begin(self, connection: Connection, claim: Claim, lease_s: float) -> bool:
        """Record that the last line is about to leave; False if the claim has ended: then it must not.

        What isn't recorded within ``lease_s`` seconds from now is uncertain. Cancelled, it is done or not.
        """
        return await connection.fetchval(self._texts.begin, claim.id, claim.name, lease_s) is not None

    async def record(
        self, connection: Connection, claim: Claim, state: State, outcome: str, *, pause_s: float = 0.0
    ) -> bool:
        """Record what became of it: ``outcome`` says so in words; ``waiting`` tries again after ``pause_s``.

        It may come late, also when the claim has run out meanwhile; False if somebody else has it now. It may be
        repeated. Cancelled, it is done or not.
        """
        values = (claim.id, claim.name, state, outcome, pause_s)
        return await connection.fetchval(self._texts.record, *values) is not None

    async def give_back(self, connection: Connection, claim: Claim, outcome: str, pause_s: float) -> bool:
        """Let it wait again, as if it had not been tried: what was wrong had nothing to do with it.

        False if somebody else has it now. Cancelled, it is done or not.
        """
        return (
            await connection.fetchval(self._texts.give_back, claim.id, claim.name, outcome, pause_s)
            is not None
        )

    async def give_back_all(self, connection: Connection, names: Sequence[uuid.UUID]) -> None:
        """Give back what is claimed under these names, and not sending. Cancelled, it is done or not."""
        await connection.execute(self._texts.give_back_all, names)

    async def expire(self, connection: Connection) -> list[Expired]:
        """End the claims that have run out: what was not sending waits again, the rest is uncertain.

        Cancelled, it is done or not.
        """
        rows = await connection.fetch(self._texts.expire, TRIES)
        return [Expired(row["id"], row["state"]) for row in rows]

    async def resend(self, connection: Connection, id: int) -> bool:
        """Send an uncertain or failed one once more, since a person says so; False if it is neither.

        Cancelled, it is done or not.
        """
        return await connection.fetchval(self._texts.resend, id) is not None
