"""`callhome.licenses.findings`: what is open, confirmed and over, as tables of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from callhome.licenses.findings import (
    Case,
    Cause,
    DayUse,
    Measures,
    Rule,
    Standing,
    State,
    goes_on,
    is_known,
    judge,
    may_be_shared,
    why_over,
)
from callhome.licenses.model import Counts, License, Use

TODAY = date(2026, 11, 25)
LICENSE = License(
    id=1, last4="7F3Q", customer="Office", product=1, seats=10, counts=Counts.INSTALL, use=Use.NAMED, window_days=30,
    starts=None, ends=date(2026, 11, 1), grace_days=14, overage=Decimal("1.25"), revoked_on=None,
)  # fmt: skip


def use(days: int, most: int, last: int = 0) -> DayUse:
    """Something on so many days in a row, the last of them so many days ago."""
    end = TODAY - timedelta(days=last)
    return DayUse(days, most, end - timedelta(days=days - 1), end)


def measures(overage: str | None = "1.25", **uses: Any) -> Measures:
    terms = replace(LICENSE, overage=None if overage is None else Decimal(overage))
    return Measures(terms, TODAY, **uses)


@pytest.mark.parametrize(
    ("given", "state", "cause"),
    [
        pytest.param({}, None, None, id="nothing"),
        pytest.param({"used": use(1, 13)}, State.OPEN, Cause.UNKNOWN, id="today: what is held isn't known yet"),
        pytest.param({"used": use(2, 13)}, State.OPEN, Cause.TURNOVER, id="never held"),
        pytest.param({"used": use(30, 99)}, State.OPEN, Cause.TURNOVER, id="never held, for a month"),
        pytest.param({"used": use(3, 13), "held": use(2, 13, 1)}, State.OPEN, Cause.UNKNOWN, id="held on two days"),
        pytest.param({"used": use(4, 13), "held": use(3, 13, 1)}, State.CONFIRMED, Cause.UNKNOWN, id="on three"),
        pytest.param({"used": use(9, 13, 6), "held": use(3, 13, 9)}, State.CONFIRMED, Cause.UNKNOWN, id="six days ago"),
        pytest.param({"used": use(9, 13, 7), "held": use(3, 13, 9)}, None, None, id="a week ago"),
        pytest.param({"used": use(9, 13), "held": use(3, 13), "overage": None}, None, None, id="unlimited"),
        pytest.param(
            {"used": use(9, 37), "held": use(3, 37, 1), "new_countries": 4},
            State.CONFIRMED, Cause.SHARED_KEY, id="three times the seats, four new countries",
        ),
        pytest.param(
            {"used": use(9, 37), "new_countries": 4}, State.OPEN, Cause.SHARED_KEY, id="the same, never held at once"
        ),
        pytest.param(
            {"used": use(9, 37), "held": use(1, 37), "new_countries": 3}, State.OPEN, Cause.UNKNOWN, id="three"
        ),
        pytest.param(
            {"used": use(9, 36), "held": use(1, 36), "new_countries": 9}, State.OPEN, Cause.UNKNOWN, id="no more"
        ),
    ],
)  # fmt: skip
def test_over_seats(given: dict[str, Any], state: State | None, cause: Cause | None) -> None:
    """More seats than allowed: opened at once, confirmed when held on three days, with the likely cause."""
    case = judge(measures(**given)).get(Rule.OVER_SEATS)
    assert (case and case.state, case and case.cause) == (state, cause)
    if case is not None:
        used, held = given["used"], given.get("held", DayUse())
        assert (case.measure, case.allowed, case.held) == (used.most, 12, held.most)
        assert (case.first, case.last, case.terms) == (used.first, used.last, "12")


@pytest.mark.parametrize("name", ["expired", "revoked", "elsewhere"])
@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (use(1, 3), State.OPEN),
        (use(2, 3), State.OPEN),
        (use(3, 3), State.CONFIRMED),
        (use(3, 3, 6), State.CONFIRMED),
        (use(9, 3, 7), None),
    ],
)
def test_use_that_was_not_sold(name: str, seen: DayUse, state: State | None) -> None:
    """After the end, after the revocation, with another product: opened at once, confirmed on the third day."""
    rule = {"expired": Rule.EXPIRED_USE, "revoked": Rule.REVOKED_USE, "elsewhere": Rule.WRONG_PRODUCT}[name]
    given: dict[str, Any] = {name: seen}
    cases = judge(measures(**given))
    assert {found: case.state for found, case in cases.items()} == ({} if state is None else {rule: state})
    assert all((case.measure, case.allowed, case.held) == (3, 0, 0) for case in cases.values())


def test_rules_are_judged_apart() -> None:
    """One license can break several rules at once."""
    cases = judge(measures(used=use(2, 13), expired=use(3, 1), revoked=use(1, 1), elsewhere=use(1, 1)))
    assert set(cases) == set(Rule) - {Rule.CLONED_INSTALL}


@pytest.mark.parametrize(
    ("overage", "most", "expected"), [("1", 31, True), ("1", 30, False), (None, 999, False)]
)
def test_countries_matter_far_beyond_the_seats(overage: str | None, most: int, expected: bool) -> None:
    """They are asked for from more than three times the seats on, never where any number is allowed."""
    assert may_be_shared(measures(overage, used=use(1, most))) is expected


CASE = Case(Rule.OVER_SEATS, State.OPEN, 13, 12, TODAY, TODAY, "12", Cause.UNKNOWN, 13)
STANDING = Standing(State.OPEN, 13, 13, Cause.UNKNOWN, "12", TODAY)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({}, {}),
        ({"state": State.CONFIRMED}, {"state": State.CONFIRMED}),
        ({"measure": 15}, {"measure": 15}),
        ({"held": 14}, {"held": 14}),
        ({"cause": Cause.SHARED_KEY}, {"cause": Cause.SHARED_KEY}),
        ({"cause": Cause.TURNOVER}, {}),
    ],
)
def test_a_finding_keeps_the_worst(before: dict[str, Any], expected: dict[str, Any]) -> None:
    """What was confirmed or shared stays so, the highest numbers stay, another cause may change."""
    assert goes_on(replace(STANDING, **before), CASE) == replace(CASE, **expected)


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        (None, False),
        (STANDING, True),
        (replace(STANDING, measure=14), True),
        (replace(STANDING, measure=12), False),
        (replace(STANDING, held=12), False),
        (replace(STANDING, terms="10"), False),
    ],
)
def test_what_a_person_closed_stays_closed(closed: Standing | None, expected: bool) -> None:
    """Unless the measure, or what is held at once, is more than then, or the terms are others."""
    assert is_known(closed, CASE) is expected


@pytest.mark.parametrize(("days", "said"), [(7, "not seen for 7 days"), (6, "the license allows it now")])
def test_the_note_says_why_it_is_over(days: int, said: str) -> None:
    """A finding closes by itself after a week without it, or at once under other terms."""
    assert why_over(replace(STANDING, last=TODAY - timedelta(days=days)), TODAY).startswith(said)
