"""The verdict on a license: eight of them, one at a time, in their order; the days at which it changes."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.licenses.model import Terms, Verdict
from callhome.licenses.verdict import verdict

OWN, OTHER = 1, 2
TODAY = date(2026, 11, 25)


def day(offset: int | None) -> date | None:
    """Return the day so many days from today; None for None."""
    return None if offset is None else TODAY + timedelta(days=offset)


def terms(
    starts: int | None = None,
    ends: int | None = None,
    grace_days: int = 14,
    revoked_on: int | None = None,
    is_over: bool = False,
) -> Terms:
    """Return terms whose days are given as offsets from today."""
    return Terms(OWN, day(starts), day(ends), grace_days, day(revoked_on), is_over)


@pytest.mark.parametrize(
    ("found", "product", "expected"),
    [
        (None, OWN, "unknown"),
        (terms(), OWN, "ok"),
        (terms(starts=-10, ends=10), OWN, "ok"),
        (terms(revoked_on=-1), OWN, "revoked"),
        (terms(), OTHER, "wrong_product"),
        (terms(starts=1), OWN, "not_yet_valid"),
        (terms(ends=-15), OWN, "expired"),
        (terms(ends=-1), OWN, "grace"),
        (terms(is_over=True), OWN, "over_seats"),
    ],
)
def test_each_verdict_has_its_case(found: Terms | None, product: int, expected: str) -> None:
    """Each of the eight is given where only its reason holds."""
    assert verdict(found, product, TODAY) == expected


@pytest.mark.parametrize(
    ("found", "product", "expected"),
    [
        # Each line has the reasons of all below it that can hold at the same time.
        (terms(starts=1, revoked_on=0, is_over=True), OTHER, "revoked"),
        (terms(ends=-99, revoked_on=0, is_over=True), OTHER, "revoked"),
        (terms(starts=1, is_over=True), OTHER, "wrong_product"),
        (terms(ends=-99, is_over=True), OTHER, "wrong_product"),
        (terms(ends=-1, is_over=True), OTHER, "wrong_product"),
        (terms(starts=1, is_over=True), OWN, "not_yet_valid"),
        (terms(ends=-99, is_over=True), OWN, "expired"),
        (terms(ends=-1, is_over=True), OWN, "grace"),
        (terms(starts=-9, ends=9, is_over=True), OWN, "over_seats"),
        (terms(starts=5, ends=-20), OWN, "not_yet_valid"),
    ],
)
def test_of_several_the_first_in_order_is_given(found: Terms, product: int, expected: str) -> None:
    """Where several reasons hold, the one that none of the others could heal is given."""
    assert verdict(found, product, TODAY) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (terms(starts=1), "not_yet_valid"),
        (terms(starts=0), "ok"),
        (terms(ends=0), "ok"),
        (terms(starts=0, ends=0), "ok"),
        (terms(ends=-1), "grace"),
        (terms(ends=-14), "grace"),
        (terms(ends=-15), "expired"),
        (terms(ends=-1, grace_days=0), "expired"),
        (terms(ends=0, grace_days=0), "ok"),
        (terms(revoked_on=1), "ok"),
        (terms(revoked_on=0), "revoked"),
    ],
)
def test_days_belong_to_their_spans(found: Terms, expected: str) -> None:
    """First and last day are valid, the last day of grace is one of grace, and the day of revoking is revoked."""
    assert verdict(found, OWN, TODAY) == expected


DAYS = st.none() | st.dates()


@given(
    st.none() | st.builds(Terms, st.integers(1, 2), DAYS, DAYS, st.integers(0, 366), DAYS, st.booleans()),
    st.integers(1, 2),
    st.dates(),
)
def test_any_license_has_one_verdict(found: Terms | None, product: int, today: date) -> None:
    """Whatever the terms, on whatever day there is: one verdict, and never an error."""
    said = verdict(found, product, today)
    assert said in Verdict
    assert (said is Verdict.UNKNOWN) == (found is None)


@given(
    st.builds(Terms, st.just(OWN), DAYS, DAYS, st.integers(0, 366), st.none()),
    st.dates(max_value=date(9999, 12, 30)),
)
def test_time_only_goes_forward(found: Terms, today: date) -> None:
    """From one day to the next a license goes from not yet valid over ok and grace to expired, never back."""
    order = ["not_yet_valid", "ok", "grace", "expired"]
    now, next_day = (order.index(verdict(found, OWN, at)) for at in (today, today + timedelta(days=1)))
    assert now <= next_day
