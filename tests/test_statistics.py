"""What statistics say, from counts that are given."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from callhome.statistics import months, releases
from callhome.statistics.installs import ActiveDay, InstallSource
from callhome.statistics.model import SLICES, Count, Counts, Days, Dimension, Filters, Key, Measure, Window
from callhome.statistics.months import Month
from callhome.statistics.releases import Release

FIRST = date(2026, 1, 30)
DAYS = Days(FIRST, date(2026, 2, 2))
JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


def test_days_know_their_months_and_what_was_before() -> None:
    """As many days before, and the months that they reach."""
    assert (len(DAYS), list(DAYS.months())) == (4, [JANUARY, FEBRUARY])
    assert DAYS.before == Days(date(2026, 1, 26), date(2026, 1, 29))
    assert list(Days(FIRST, FIRST)) == [FIRST]


def test_single_days_are_points_and_windows_are_steps() -> None:
    """Of a day the number stands alone; of a window it is by how much the count changes, from the month's first on."""
    kept = [Month(JANUARY, [1, 30, 31], [5, 2, 1]), Month(FEBRUARY, [1, 2], [4, -3])]
    assert months.counts(kept, Window.DAY, DAYS) == [2, 1, 4, -3]
    assert months.counts(kept, Window.WEEK, DAYS) == [7, 8, 4, 1]


def test_what_is_not_known_is_no_nought() -> None:
    """Days of an unknown month have no count, those of a month without a row have nought."""
    kept = [Month(FEBRUARY, [1], [4])]
    assert months.counts(kept, Window.WEEK, DAYS, [JANUARY]) == [None, None, 4, 4]
    assert months.counts([], Window.DAY, DAYS) == [0, 0, 0, 0]


def test_others_are_what_is_left() -> None:
    """The total without those that are named; unknown where the total is."""
    named: dict[Key, Counts] = {("a", ""): [1, 2, None], ("b", ""): [1, 0, 3]}
    assert months.others([5, 2, None], named) == [3, 0, None]


def test_each_slice_is_what_its_name_says() -> None:
    """Filters and what is told apart name the slice that has it, or none."""
    assert Filters().slice() == "all"
    assert Filters(version="1").slice(Dimension.VERSION) == "version"
    assert Filters(version="1").slice(Dimension.BUILD) == "build"
    assert Filters(country="DE").slice(Dimension.OS) == "country_os"
    assert Filters(country="DE").slice(Dimension.BUILD) is None
    assert Filters("1", "DE", "linux").slice() is None
    assert len(set(SLICES.values())) == len(SLICES)


def active(ago: int, next_in: int | None = None, version: str = "1.0", users: int = 1) -> ActiveDay:
    """A day so many days before the last of `DAYS`."""
    day = DAYS.last - timedelta(days=ago)
    return ActiveDay(
        day, None if next_in is None else day + timedelta(days=next_in), version, "b", "DE", "linux", users, 2
    )


async def test_single_installs_are_counted_like_the_slices() -> None:
    """Each counts from its day on until its next, or until the window has gone by."""
    source = InstallSource([active(3, 2, "1.0", 5), active(1, None, "2.0", 7), active(9)], Filters())
    assert (await source.daily(Count(), DAYS))["", ""] == [1, 0, 1, 0]
    assert (await source.daily(Count(Measure.USERS, Window.WEEK), DAYS))["", ""] == [6, 5, 7, 7]
    by_version = await source.daily(Count(Measure.INSTALLS, Window.WEEK), DAYS, Dimension.VERSION)
    assert by_version == {("1.0", ""): [2, 1, 0, 0], ("2.0", ""): [0, 0, 1, 1]}
    ranked = await source.ranked(Dimension.BUILD, Window.MONTH, DAYS.last, limit=1)
    assert [(place.key, place.installs, place.users) for place in ranked.places] == [(("1.0", "b"), 1, 1)]
    assert (ranked.total, ranked.installs, ranked.users) == (2, 2, 8)
    narrowed = InstallSource([active(1, None, "2.0", 7), active(1)], Filters(version="2.0"))
    assert (await narrowed.daily(Count(Measure.LAUNCHES), DAYS))["", ""] == [0, 0, 2, 0]


A, B, C = (
    Release(version, day, True) for version, day in (("1.0", JANUARY), ("1.10", FIRST), ("1.9", FIRST))
)


def test_uptake_counts_newer_versions_too() -> None:
    """The share of a release or newer, and the days until it was half and nine tenths; by version, not by text."""
    curves: dict[str, Counts] = {"1.0": [10, 6, 4, 0], "1.9": [0, 4, 2, 1], "1.10": [0, 0, 4, 9]}
    found = releases.uptakes([A, B, C], curves, [10, 10, 10, 10], DAYS)
    assert [one.release.version for one in found] == ["1.10", "1.9", "1.0"]
    assert [(one.days_to_50, one.days_to_90, one.share_or_newer) for one in found] == [
        (3, 3, 0.9),
        (2, 3, 1.0),
        (None, None, 1.0),
    ]
    assert [one.installs for one in found] == [9, 1, 0]


def test_uptake_of_nothing_is_none() -> None:
    """Without installs there is no share; a release that nobody runs yet has none."""
    (one,) = releases.uptakes([B], {}, [0, 0, 0, None], DAYS)
    assert (one.share, one.share_or_newer, one.days_to_50, one.installs) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("installs", "age"),
    [
        ({}, None),
        ({"1.0": 1}, 30.0),
        ({"1.0": 1, "1.10": 1}, 15.5),
        ({"1.0": 1, "1.10": 2}, 1.0),
        ({"9.9": 3}, None),
    ],
)
def test_the_median_age_is_by_installs(installs: dict[str, int], age: float | None) -> None:
    """Half of the installs run something at least as old; between two, their mean."""
    assert releases.median_age([A, B], installs, date(2026, 1, 31)) == age


def test_behind_counts_the_newer_releases() -> None:
    """So many releases are newer than what runs; what is no version can't be compared; equal ones count once."""
    same = Release("1.10.0", FIRST, True)
    installs = {"1.0": 5, "1.9.5": 2, "1.10": 3, "2.0-dev": 1, "nightly": 4}
    assert releases.behind([A, B, C, same], installs) == {0: 4, 1: 2, 2: 5, None: 4}


def test_only_releases_put_others_behind() -> None:
    """The registered; without any, versions that a hundredth of the installs run: no invented 999.9."""
    seen = [Release("1.0", FIRST, False), Release("999.9", FIRST, False)]
    assert releases.counted_as_released([A, *seen], {"1.0": 1}) == [A]
    assert releases.counted_as_released(seen, {"1.0": 990, "999.9": 1}) == seen[:1]
    assert releases.counted_as_released(seen, {}) == []
