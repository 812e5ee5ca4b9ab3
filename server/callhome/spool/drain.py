"""Drains a whole spool that nothing is appended to: what `callhome spool drain` does with a folder that was left."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Final

from ..store.connection import StoreUnavailable
from ..store.encoding import row_key
from ..store.writer import BatchWriter, Written
from .spool import Spool
from .stock import Spooled

# As many as a server commits at once by default.
BATCH_PINGS: Final = 5_000
# A commit takes milliseconds; one that takes longer stands behind a lock or on a frozen database.
_COMMIT_S: Final = 30.0
# A database that restarts is back within this; whoever started the command is told then.
PATIENCE_S: Final = 60.0
# The first pause and the longest.
_PAUSE_S: Final = (0.1, 5.0)


@dataclass(slots=True)
class Drained:
    """What became of the pings of a spool: stored, stored before, or refused by the database and quarantined."""

    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0


async def drain(
    spool: Spool,
    writer: BatchWriter,
    drained: Drained,
    *,
    batch_pings: int = BATCH_PINGS,
    patience_s: float = PATIENCE_S,
) -> None:
    """Write all that is in the spool, the oldest first, and count it in ``drained``.

    Raises `StoreUnavailable` where the database has taken nothing for ``patience_s``, `CallhomeError` where the spool
    can't be read. Then, and after cancelling it, the rest is in the spool, perhaps with a batch that is stored already.
    """
    while spooled := await spool.oldest(batch_pings):
        written = await _write(writer, spooled, patience_s)
        drained.stored += written.stored
        drained.duplicates += written.duplicates
        if written.refused:
            drained.quarantined += sum(row_key(row) in written.refused for row in spooled.rows)
        await spool.settled(spooled)


async def _write(writer: BatchWriter, spooled: Spooled, patience_s: float) -> Written:
    give_up_s = time.monotonic() + patience_s
    pause_s, longest_s = _PAUSE_S
    while True:
        replay = not spooled.is_fresh or bool(spooled.attempts)
        try:
            async with asyncio.timeout(_COMMIT_S):
                return await writer.write(spooled.rows, replay=replay, attempts=spooled.attempts)
        except (StoreUnavailable, TimeoutError) as error:
            if time.monotonic() + pause_s > give_up_s:
                if isinstance(error, StoreUnavailable):
                    raise
                raise StoreUnavailable(
                    f"the database has not committed a batch within {_COMMIT_S:g} s"
                ) from error
        await asyncio.sleep(random.uniform(0, pause_s))
        pause_s = min(2 * pause_s, longest_s)
