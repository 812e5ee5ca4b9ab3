"""Likely cloned install ids: two machines that share one, told by what alternates. Pure.

An update changes an install's version once, a journey its country once, a VPN twice. Two machines with one id go on
alternating for as long as both are in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from .findings import CALM_DAYS, Case, Rule, State

# From the other value back to the first: nobody travels so fast, and nothing is updated and taken back so often.
WITHIN: Final = timedelta(minutes=10)
# Returns within a day that make it suspect: one can be a VPN switched on and off, or an update that failed.
SUSPECT_RETURNS: Final = 2
# Different days that confirm it.
CONFIRMING_DAYS: Final = 2
# A country that isn't known says nothing of where a machine is: one address of it may be known, the other not.
_NOWHERE: Final = "ZZ"


@dataclass(frozen=True, slots=True)
class Flip:
    """A ping with another country or version than the one before of the same install on the same UTC day."""

    at: datetime
    from_country: str
    to_country: str
    from_version: str
    to_version: str


@dataclass(frozen=True, slots=True)
class Alternation:
    """How often an install came back to its ``values`` on a UTC day; ``kind`` is country or version."""

    day: date
    kind: str
    returns: int
    values: tuple[str, ...]


def alternations(flips: Iterable[Flip]) -> list[Alternation]:
    """Return the suspect days among the flips of one install, in order, each by what alternates more on it."""
    by_day: dict[date, list[Flip]] = {}
    for flip in sorted(flips, key=lambda flip: flip.at):
        by_day.setdefault(flip.at.astimezone(UTC).date(), []).append(flip)
    suspect = []
    for day, of_day in by_day.items():
        worst = max(_country(day, of_day), _version(day, of_day), key=lambda found: found.returns)
        if worst.returns >= SUSPECT_RETURNS:
            suspect.append(worst)
    return suspect


def judge(suspect: Sequence[Alternation], today: date) -> Case | None:
    """Return the case of an install with these suspect days, in order; None where there is none within a week."""
    if not suspect or today - suspect[-1].day >= timedelta(days=CALM_DAYS):
        return None
    days = {found.day for found in suspect}
    return Case(
        rule=Rule.CLONED_INSTALL,
        state=State.CONFIRMED if len(days) >= CONFIRMING_DAYS else State.OPEN,
        measure=max(found.returns for found in suspect),
        allowed=SUSPECT_RETURNS - 1,
        first=suspect[0].day,
        last=suspect[-1].day,
    )


def _country(day: date, flips: Sequence[Flip]) -> Alternation:
    steps = [
        (flip.at, flip.from_country, flip.to_country)
        for flip in flips
        if flip.from_country != flip.to_country and _NOWHERE not in (flip.from_country, flip.to_country)
    ]
    return _alternation(day, "country", steps)


def _version(day: date, flips: Sequence[Flip]) -> Alternation:
    steps = [
        (flip.at, flip.from_version, flip.to_version)
        for flip in flips
        if flip.from_version != flip.to_version
    ]
    return _alternation(day, "version", steps)


def _alternation(day: date, kind: str, steps: Sequence[tuple[datetime, str, str]]) -> Alternation:
    """Count how often a step is taken back in time, each step once: there, back, there is one return."""
    returns, at, values = 0, 0, set[str]()
    while at + 1 < len(steps):
        (there, origin, other), (back, left, reached) = steps[at], steps[at + 1]
        if (left, reached) == (other, origin) and back - there <= WITHIN:
            returns += 1
            values |= {origin, other}
            at += 2
        else:
            at += 1
    return Alternation(day, kind, returns, tuple(sorted(values)))
