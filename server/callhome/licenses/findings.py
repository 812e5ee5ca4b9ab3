"""Findings: what is open, confirmed and over of the misuse of a license, from how it was used. Pure.

A finding is opened when its measure is exceeded on a day, confirmed when that has lasted, and closed by itself when it
has been over for a week. ``docs/licenses.md`` has the rules in words, and why they are so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from .model import License

# Days without it after which a finding is over: whoever works on five days of the week has shown up by then.
CALM_DAYS: Final = 7
# Different days on which it must have been for a finding to be confirmed: neither one day's mishap nor a move from one
# machine to another, with both in use over midnight, lasts so long.
CONFIRMING_DAYS: Final = 3
# Far enough back for three days of use of somebody who works one day a week.
LOOK_BACK_DAYS: Final = 30
# A key that is known to strangers is used far beyond its seats, in countries where it never was.
SHARED_FACTOR: Final = 3
SHARED_COUNTRIES: Final = 3
# Who closes a finding that is over.
CALLHOME: Final = "callhome"


class Rule(StrEnum):
    """What a finding says: the first four of a license, the last of an install."""

    OVER_SEATS = "over_seats"
    EXPIRED_USE = "expired_use"
    REVOKED_USE = "revoked_use"
    WRONG_PRODUCT = "wrong_product"
    CLONED_INSTALL = "cloned_install"


class State(StrEnum):
    """How far a finding has come."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class Cause(StrEnum):
    """What a finding likely comes from."""

    UNKNOWN = ""
    TURNOVER = "turnover"
    SHARED_KEY = "shared_key"


@dataclass(frozen=True, slots=True)
class DayUse:
    """On how many different days something was, at most how much on a day, and on which day first and last."""

    days: int = 0
    most: int = 0
    first: date | None = None
    last: date | None = None

    def is_recent(self, today: date) -> bool:
        """Whether it was within the last week, today included."""
        return self.last is not None and today - self.last < timedelta(days=CALM_DAYS)


@dataclass(frozen=True, slots=True)
class Measures:
    """How a license was used, on verified days of installs alone, up to the UTC day ``today``.

    ``used`` and ``held`` are the days of the window on which seats used, and seats held, exceed what is allowed. The
    others are days of the last thirty: ``expired`` and ``revoked`` those with use after the license's end and grace,
    and from its revocation on (seats), ``elsewhere`` those with installs of other products.
    """

    license: License
    today: date
    used: DayUse = field(default_factory=DayUse)
    held: DayUse = field(default_factory=DayUse)
    expired: DayUse = field(default_factory=DayUse)
    revoked: DayUse = field(default_factory=DayUse)
    elsewhere: DayUse = field(default_factory=DayUse)
    new_countries: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """What should stand in a finding. ``terms`` is what it is measured against, as text: others make another case.

    ``measure`` is the most of the rule's measure (seats, installs, returns), ``held`` the most seats held where they
    are more than allowed, ``first`` and ``last`` the UTC days of it.
    """

    rule: Rule
    state: State
    measure: int
    allowed: int
    first: date
    last: date
    terms: str = ""
    cause: Cause = Cause.UNKNOWN
    held: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """A finding as it stands, as far as it matters to what becomes of it. ``last`` is the day of the last evidence."""

    state: State
    measure: int
    held: int
    cause: Cause
    terms: str
    last: date


def may_be_shared(measures: Measures) -> bool:
    """Whether so many seats are used that it matters in how many new countries they are."""
    allowed = measures.license.allowed
    return allowed is not None and measures.used.most > SHARED_FACTOR * allowed


def judge(measures: Measures) -> Mapping[Rule, Case]:
    """Return the case of each rule that the license breaks now; a rule without one has nothing to say."""
    found = {}
    terms, today = measures.license, measures.today
    if terms.allowed is not None and measures.used.is_recent(today):
        found[Rule.OVER_SEATS] = _over_seats(measures, terms.allowed)
    for rule, use, bound in (
        (Rule.EXPIRED_USE, measures.expired, f"{terms.ends} + {terms.grace_days}"),
        (Rule.REVOKED_USE, measures.revoked, str(terms.revoked_on)),
        (Rule.WRONG_PRODUCT, measures.elsewhere, str(terms.product)),
    ):
        if use.is_recent(today):
            found[rule] = _case(rule, use, state=_state(use), terms=bound)
    return found


def _over_seats(measures: Measures, allowed: int) -> Case:
    cause = Cause.UNKNOWN
    if may_be_shared(measures) and measures.new_countries > SHARED_COUNTRIES:
        cause = Cause.SHARED_KEY
    elif (
        not measures.held.days and measures.used.first != measures.today
    ):  # what is held today, tomorrow tells
        cause = Cause.TURNOVER
    case = _case(Rule.OVER_SEATS, measures.used, state=_state(measures.held), terms=str(allowed))
    return replace(case, allowed=allowed, cause=cause, held=measures.held.most)


def _case(rule: Rule, use: DayUse, *, state: State, terms: str) -> Case:
    assert use.first is not None, "it is recent"
    assert use.last is not None, "it is recent"
    return Case(rule, state, use.most, 0, use.first, use.last, terms)


def _state(use: DayUse) -> State:
    return State.CONFIRMED if use.days >= CONFIRMING_DAYS else State.OPEN


def goes_on(standing: Standing, case: Case) -> Case:
    """Return what a finding that isn't closed says now: what was confirmed stays so, and the worst is kept.

    A key that was found to be shared stays so, too: its countries are known by then.
    """
    return replace(
        case,
        state=State.CONFIRMED if standing.state is State.CONFIRMED else case.state,
        measure=max(standing.measure, case.measure),
        cause=Cause.SHARED_KEY if standing.cause is Cause.SHARED_KEY else case.cause,
        held=max(standing.held, case.held),
    )


def is_known(dismissed: Standing | None, case: Case) -> bool:
    """Whether a person has closed a finding that said as much: then it isn't opened again.

    Under other terms, or with a higher measure, it is another matter; also where more seats are held at once than
    were then, so that a closed case of turnover doesn't hide real overuse.
    """
    if dismissed is None or dismissed.terms != case.terms:
        return False
    return case.measure <= dismissed.measure and case.held <= dismissed.held


def why_over(standing: Standing, today: date) -> str:
    """Return the note on a finding that is closed because its rule has no case any more."""
    if today - standing.last >= timedelta(days=CALM_DAYS):
        return f"not seen for {CALM_DAYS} days"
    return "the license allows it now, or it is counted anew"
