"""What guests see of the counters: nothing from which a number below the floor can be had."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.live.counters import Counters, CountryCounts, Dirty
from callhome.live.suppression import GuestView, suppressed
from callhome.live.wire import Stamp, decode
from callhome.store.live import Snapshot

TODAY = dt.date(2026, 11, 22)
STAMP = Stamp("e1", 7, dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC))
FLOOR = 5
FEW = [None] * 6
ROWS = [
    ("es", "DE", 6, 7, 8, 60, 70, 80),
    ("es", "FR", 4, 40, 44, 5, 50, 55),
    ("es", "FJ", 1, 3, 9, 4, 12, 19),
]
BUILDS = [("es", "1.0", "", 60), ("es", "2.0", "b", 5), ("es", "3.0", "secret", 4)]


def loaded(rows: list[Any] = ROWS, builds: list[Any] = BUILDS) -> Counters:
    """Counters with these rows."""
    counters = Counters()
    counters.load(Snapshot(1, TODAY, {"es": "Example Server"}, list(rows), list(builds)))
    return counters


def change(counters: Counters, rows: list[Any], builds: list[Any] = BUILDS) -> Dirty:
    """Load other rows; what has changed."""
    return counters.load(Snapshot(counters.seq + 1, TODAY, {"es": "Example Server"}, rows, builds))


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ((5, 1, 2, 5, 3, 4), (5, 1, 2, 5, 3, 4)),
        ((4, 9, 9, 5, 3, 4), (None, None, None, 5, 3, 4)),
        ((0, 0, 0, 5, 3, 4), (None, None, None, 5, 3, 4)),
        ((4, 9, 9, 4, 9, 9), (None,) * 6),
        # Counts of today can't be more than those of 30 days; if they were, nothing would be shown all the same.
        ((9, 9, 9, 4, 9, 9), (None,) * 6),
    ],
)
def test_numbers_of_few_installs_are_left_out(counts: tuple[int, ...], shown: tuple[int | None, ...]) -> None:
    """A window with fewer installs than the floor has no number, of users and launches neither."""
    assert suppressed(CountryCounts(*counts), FLOOR) == shown


def test_a_floor_of_nothing_hides_nothing() -> None:
    """With 0 every number of a country is shown."""
    assert suppressed(CountryCounts(0, 0, 0, 1, 2, 3), 0) == (0, 0, 0, 1, 2, 3)


def test_the_snapshot_has_the_documented_form() -> None:
    """Rows with null for what is few; builds in use by the floor or more, in order, without numbers."""
    assert orjson.loads(GuestView(loaded(), FLOOR).snapshot(STAMP)) == {
        "type": "snapshot",
        "epoch": "e1",
        "seq": 7,
        "at": "2026-11-22T09:00:00Z",
        "today": "2026-11-22",
        "floor": FLOOR,
        "products": [{"key": "es", "name": "Example Server"}],
        "countries": [
            ["es", "DE", 6, 7, 8, 60, 70, 80],
            ["es", "FJ", *FEW],
            ["es", "FR", None, None, None, 5, 50, 55],
        ],
        "builds": [],
        "top": [["es", [["1.0", ""], ["2.0", "b"]]]],
    }


def test_what_guests_do_not_see_is_no_change_to_them() -> None:
    """A ping where there are few, or with a build of few, alters nothing."""
    counters = loaded()
    view = GuestView(counters, FLOOR)
    before = view.snapshot(STAMP)
    rows = [*ROWS[:2], ("es", "FJ", 3, 30, 90, 3, 30, 90)]
    assert not view.update(
        change(counters, rows, [("es", "1.0", "", 61), *BUILDS[1:2], ("es", "4.0", "", 1)])
    )
    assert view.snapshot(STAMP) == before


def test_a_change_has_what_guests_see_change() -> None:
    """A country that passes the floor, one that is gone, another order of builds."""
    counters = loaded()
    view = GuestView(counters, FLOOR)
    dirty = change(counters, [ROWS[0], ("es", "FJ", 2, 2, 2, 5, 5, 5)], [BUILDS[0], ("es", "2.0", "b", 61)])
    said = orjson.loads(view.change(STAMP, view.update(dirty)))
    assert said["countries"] == [["es", "FJ", None, None, None, 5, 5, 5], ["es", "FR", *[0] * 6]]
    assert (said["top"], said["builds"]) == ([["es", [["2.0", "b"], ["1.0", ""]]]], [])


def test_a_new_day_and_a_gone_product_are_told() -> None:
    """Guests learn of both; without builds, a product has an empty list."""
    counters = loaded()
    view = GuestView(counters, FLOOR)
    dirty = counters.load(Snapshot(2, TODAY + dt.timedelta(1), {}, [], []))
    said = orjson.loads(view.change(STAMP, view.update(dirty)))
    assert (said["today"], said["products"]) == ("2026-11-23", [{"key": "es", "name": None}])
    assert said["top"] == [["es", []]]


def test_programs_that_know_no_floor_read_nothing_as_nothing() -> None:
    """`callhome watch` without a token goes on, with 0 for what it isn't told."""
    seen = decode(GuestView(loaded(), FLOOR).snapshot(STAMP)).snapshot()
    assert seen.countries[1:] == [("es", "FJ", *[0] * 6), ("es", "FR", 0, 0, 0, 5, 50, 55)]


numbers = st.tuples(*[st.integers(0, 9)] * 6)
worlds = st.dictionaries(st.sampled_from(["DE", "FR", "FJ", "US"]), numbers.filter(any), max_size=4)
builds = st.dictionaries(st.sampled_from(["1", "2", "3", "4", "5"]), st.integers(1, 9), max_size=5)


@given(st.lists(st.tuples(worlds, builds), min_size=1, max_size=5))
def test_following_is_the_same_as_beginning_anew_and_the_hidden_makes_no_difference(
    states: list[tuple[dict[str, tuple[int, ...]], dict[str, int]]],
) -> None:
    """After any changes guests see what a new view shows, and that is a function of what is not hidden."""
    counters = loaded([], [])
    view = GuestView(counters, FLOOR)
    for world, used in states:
        rows = [("es", code, *counts) for code, counts in world.items()]
        view.update(change(counters, rows, [("es", version, "", count) for version, count in used.items()]))
    world, used = states[-1]
    # The same world, with other numbers wherever they are hidden.
    other = []
    for code, counts in world.items():
        shown = suppressed(CountryCounts(*counts), FLOOR)
        other.append(("es", code, *(1 if count is None else count for count in shown)))
    order = sorted((-count, version) for version, count in used.items() if count >= FLOOR)
    told = [("es", version, "", 100 - place) for place, (_, version) in enumerate(order)]
    assert view.snapshot(STAMP) == GuestView(loaded(other, told), FLOOR).snapshot(STAMP)
