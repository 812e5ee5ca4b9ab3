"""Counts how licenses are used, and finds their misuse, while the server runs.

Every replica runs one; an advisory lock lets one at a time do the work. What the rollup touched waits in the
database, so a replica that ends leaves nothing half done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from math import inf
from typing import Final, Self

from ..licenses import clones
from ..licenses.findings import Case, Rule, judge
from ..persistent import Persistent, cut_after
from ..store import license_usage, misuse
from ..store.connection import Connection, connect
from ..store.docket import Docket, Key, Subject, tell_verdicts

# Licenses counted in one transaction: a second for customers of fifty installs with a window of thirty days.
LICENSES_AT_ONCE: Final = 200
# People look at usage in minutes, not milliseconds; and counting may have a sixth of the database's time.
_PAUSE_S: Final = 5.0
_PAUSE_SHARE: Final = 5.0
# While clients stand in line for their commits, counting waits; after two minutes it goes on until it has caught up.
_CROWDED_S: Final = 120.0
_CROWDED_LOOK_S: Final = 1.0
# After so long without a pause there is one, though licenses wait to be counted.
_WORK_S: Final = 2.0
# Flips show a clone after days; all of the last weeks are read each time.
_CLONES_S: Final = 60.0
_PRUNE_S: Final = 86_400.0
# One transaction, of licenses with millions of installs at the most; and a day's pruning.
_STEP_S: Final = 300.0
# Anybody can make an install look cloned: beyond so many open findings no more are opened.
_CLONES_OPEN: Final = 1_000

_OF_LICENSES: Final = tuple(rule for rule in Rule if rule is not Rule.CLONED_INSTALL)


class LicenseJob:
    """One replica's part in counting licenses. An async context manager.

    ``today`` returns the UTC day; without it, the database's clock tells, since replicas' clocks differ.
    """

    def __init__(
        self,
        dsn: str,
        *,
        retention_days: int,
        today: Callable[[], date] | None = None,
        is_crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._retention_days = retention_days
        self._clock = today
        self._is_crowded = is_crowded
        self.session = Persistent("licenses", partial(connect, dsn, "licenses"), self._work)
        self._touched_day: date | None = None
        self._clones_due_s = 0.0
        self._prune_due_s = 0.0

    async def __aenter__(self) -> Self:
        """Begin. Cancelling it begins nothing."""
        await self.session.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop at once; what was not committed is done by the next. Cancelling it stops all the same."""
        await self.session.__aexit__()

    async def _work(self, connection: Connection) -> None:
        caught_up_s = -inf
        while True:
            if self._is_crowded() and time.monotonic() - caught_up_s < _CROWDED_S:
                await asyncio.sleep(_CROWDED_LOOK_S)
                continue
            begun_s = time.monotonic()
            more = True
            while more and time.monotonic() - begun_s < _WORK_S:
                with cut_after(connection, _STEP_S):
                    more = await self._step(connection)
                self.session.went_well()
            ended_s = time.monotonic()
            if not more:
                caught_up_s = ended_s
            await asyncio.sleep(max(_PAUSE_S, min(_CROWDED_S, _PAUSE_SHARE * (ended_s - begun_s))))

    async def _step(self, connection: Connection) -> bool:
        """Do a share of the work; return whether licenses are left to count."""
        today = await self._today(connection)
        if today != self._touched_day:
            await license_usage.touch_due(connection, today)
            self._touched_day = today
        more = await count_some(connection, today)
        now_s = time.monotonic()
        if not more and now_s >= self._clones_due_s:
            self._clones_due_s = now_s + _CLONES_S  # before: a look that is cut is not begun again at once
            await look_for_clones(connection, today)
        if not more and now_s >= self._prune_due_s:
            await license_usage.prune(connection, today, self._retention_days)
            self._prune_due_s = time.monotonic() + _PRUNE_S
        return more

    async def _today(self, connection: Connection) -> date:
        return await license_usage.utc_day(connection) if self._clock is None else self._clock()


async def look(connection: Connection, today: date) -> None:
    """Count all that waits, up to the UTC day ``today``, and settle the findings; where another is at it, nothing.

    Cancelling it leaves the rest for the next time.
    """
    await license_usage.touch_due(connection, today)
    while await count_some(connection, today):
        pass
    await look_for_clones(connection, today)


async def count_some(connection: Connection, today: date) -> bool:
    """Count some licenses that wait and settle their findings, in one transaction; return whether more may wait.

    Cancelling it rolls it back.
    """
    async with connection.transaction():
        if not await license_usage.is_alone(connection):
            return False
        touched = await license_usage.take(connection, today, LICENSES_AT_ONCE)
        if touched:
            await license_usage.count(connection, touched, today)
            await _settle(connection, [one.license for one in touched], today)
    return bool(touched)


async def _settle(connection: Connection, licenses: Sequence[int], today: date) -> None:
    """Open, confirm and close the findings of these licenses, as their usage says now."""
    measured = await misuse.measures(connection, licenses, today)
    if measured:
        docket = await Docket.taken(connection, today, _OF_LICENSES, [one.license.id for one in measured])
        for one in measured:
            cases = judge(one)
            for rule in _OF_LICENSES:
                await docket.settle(
                    rule,
                    Subject(one.license.product, license=one.license.id),
                    cases.get(rule),
                    partial(misuse.evidence_on_license, connection, one.license, today=today),
                )
    await tell_verdicts(connection, licenses)


async def look_for_clones(connection: Connection, today: date) -> None:
    """Settle the findings of likely cloned installs, in one transaction. Cancelling it rolls it back."""
    async with connection.transaction():
        if not await license_usage.is_alone(connection):
            return
        docket = await Docket.taken(connection, today, [Rule.CLONED_INSTALL])
        looked_at = set[Key]()
        async for install, product, flips in misuse.suspects(connection, today):
            subject, suspect = Subject(product, install=install), clones.alternations(flips)
            case = clones.judge(suspect, today)
            looked_at.add(subject.key)
            if len(docket) >= _CLONES_OPEN and not docket.has(Rule.CLONED_INSTALL, subject):
                continue
            await docket.settle(
                Rule.CLONED_INSTALL,
                subject,
                case,
                partial(_evidence_on_install, suspect, flips),
            )
        await docket.close_others(Rule.CLONED_INSTALL, looked_at)


async def _evidence_on_install(
    suspect: Sequence[clones.Alternation], flips: Sequence[clones.Flip], case: Case
) -> misuse.Evidence:
    return misuse.evidence_on_install(case, suspect, flips)
