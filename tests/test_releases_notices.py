"""`callhome.releases.notices`: which notices are told, and when that changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from callhome.releases.model import Level, Notice, Release, Severity
from callhome.releases.notices import MOST_TOLD, matching, next_change

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def notice(
    id: int = 1,
    *,
    product: int | None = 1,
    level: Level = Level.INFO,
    versions: tuple[str | None, str | None] = (None, None),
    starts_at: datetime = NOW - HOUR,
    ends_at: datetime | None = None,
) -> Notice:
    """A notice that is told, unless it says otherwise."""
    return Notice(id, product, "Hello", level, None, *versions, starts_at, ends_at)


def release(day: date) -> Release:
    """A release of that day."""
    return Release(1, 1, "1.0", "stable", day, Severity.NORMAL, None, None, 100, None)


@pytest.mark.parametrize(
    ("one", "is_told"),
    [
        (notice(), True),
        (notice(product=None), True),
        (notice(product=2), False),
        (notice(versions=("5.10", None)), True),
        (notice(versions=("5.10.1", None)), False),
        (notice(versions=(None, "5.10.0")), True),
        (notice(versions=(None, "5.9")), False),
        (notice(versions=("5.9", "5.11")), True),
        (notice(versions=("5.10", "5.10")), True),
        (notice(starts_at=NOW), True),
        (notice(starts_at=NOW + HOUR), False),
        (notice(ends_at=NOW + HOUR), True),
        (notice(ends_at=NOW), False),
    ],
)
def test_product_version_and_time_decide(one: Notice, is_told: bool) -> None:
    """Versions include both ends, as numbers; a notice begins with its begin and is over at its end."""
    assert matching([one], 1, "5.10", NOW) == ([one] if is_told else [])


def test_the_most_urgent_are_told_first() -> None:
    """The most urgent is first, then the one that began last, then the one registered last; ten at most."""
    told = [
        notice(1),
        notice(2, level=Level.CRITICAL),
        notice(3, starts_at=NOW),
        notice(4, level=Level.WARNING),
        notice(5),
    ]
    assert [each.id for each in matching(told, 1, "1.0", NOW)] == [2, 4, 3, 5, 1]
    many = [notice(id, level=Level.CRITICAL if id % 2 else Level.INFO) for id in range(3 * MOST_TOLD)]
    shown = matching(many, 1, "1.0", NOW)
    assert len(shown) == MOST_TOLD
    assert {each.level for each in shown} == {Level.CRITICAL}


TOMORROW = date(2026, 11, 26)


@pytest.mark.parametrize(
    ("releases", "notices", "expected"),
    [
        ([], [], None),
        ([release(NOW.date())], [notice()], None),
        ([release(TOMORROW), release(TOMORROW + timedelta(days=9))], [], datetime(2026, 11, 26, tzinfo=UTC)),
        ([], [notice(starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)], NOW + HOUR),
        ([release(TOMORROW)], [notice(ends_at=NOW + HOUR)], NOW + HOUR),
        ([], [notice(starts_at=NOW), notice(ends_at=NOW)], None),
        ([release(date.max)], [], datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_the_next_change_is_told(
    releases: list[Release], notices: list[Notice], expected: datetime | None
) -> None:
    """It is the first day of a release, begin or end of a notice that is still to come; None if there is none."""
    assert next_change(releases, notices, NOW) == expected


def test_answers_differ_on_both_sides_of_a_change() -> None:
    """A moment before the change all is as now; at that moment it is not."""
    one = notice(starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)
    moment, states = NOW, []
    while (change := next_change([], [one], moment)) is not None:
        before = matching([one], 1, "1.0", change - timedelta(microseconds=1))
        states.append((bool(before), bool(matching([one], 1, "1.0", change))))
        moment = change
    assert states == [(False, True), (True, False)]
