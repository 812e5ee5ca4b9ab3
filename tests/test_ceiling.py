"""Distinct installs of a network within an hour."""

from __future__ import annotations

import logging

import pytest

from callhome.ingest.ceiling import HOUR_S, Ceiling, site_of

NINE_S = 1_795_338_000.0  # 09:00 UTC


def ceiling(per_site: int = 2, tracked: int = 100, now_s: float = NINE_S) -> Ceiling:
    """Return a ceiling whose clock is set."""
    made = Ceiling(per_site, tracked)
    made.refresh(now_s)
    return made


def test_site_is_the_network() -> None:
    """A /24 or a /56 is one site, its neighbour another, and no address has a site of its own."""
    office = bytes([203, 0, 113, 9])
    assert site_of(office) == site_of(bytes([203, 0, 113, 200])) != site_of(bytes([203, 0, 114, 9]))
    wide = bytes.fromhex("20010db8000102ff") + bytes(8)
    assert site_of(wide) == site_of(wide[:7] + bytes(9)) != site_of(wide[:6] + bytes(10))
    assert len({site_of(b""), site_of(office), site_of(wide)}) == 3


def test_ceiling_counts_each_network_by_itself() -> None:
    """A network takes as many installs as it may have, is full then, and keeps no other from taking its own."""
    counted = ceiling()
    assert [counted.enter(number, site) for number, site in ((1, 7), (2, 7), (3, 8))] == [True] * 3
    assert (counted.seen, counted.full) == ({1, 2, 3}, {7})


def test_next_clock_hour_begins_anew() -> None:
    """At the full hour, and not before, every network may bring as many again."""
    counted = ceiling(1, now_s=NINE_S + 1)
    counted.enter(1, 7)
    counted.refresh(NINE_S + HOUR_S - 0.01)
    assert counted.full == {7}
    counted.refresh(NINE_S + HOUR_S)
    assert (counted.seen, counted.full) == (set(), set())
    assert counted.enter(1, 7)


def test_clock_may_step_back() -> None:
    """A clock that is set back makes it another hour, and nothing worse."""
    counted = ceiling(1)
    counted.enter(1, 7)
    counted.refresh(NINE_S - HOUR_S)
    assert counted.enter(1, 7)


def test_nothing_is_kept_of_the_hour_before() -> None:
    """What was remembered is freed in the moments after the hour, a bounded number at a time."""
    counted = ceiling(1, 30_000)
    for number in range(20_000):
        assert counted.enter(number, number)
    left: list[int] = []
    for _ in range(5):
        counted.refresh(NINE_S + HOUR_S)
        left.append(len(counted._left) + len(counted._left_counts))
    assert left == [30_000, 20_000, 10_000, 0, 0]


def test_those_that_cannot_be_remembered_are_beyond_it(caplog: pytest.LogCaptureFixture) -> None:
    """With all places taken no install of any network is within the ceiling; the log says so once an hour."""
    counted = ceiling(2, 3)
    with caplog.at_level(logging.WARNING):
        assert [counted.enter(number, number) for number in range(6)] == [True] * 3 + [False] * 3
        assert (len(counted.seen), len(caplog.records)) == (3, 1)
        counted.refresh(NINE_S + HOUR_S)
        assert [counted.enter(number, number) for number in range(6)] == [True] * 3 + [False] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_no_ceiling_remembers_nothing() -> None:
    """Without a ceiling every install is within it, and nothing is kept."""
    counted = ceiling(0, 0)
    assert all(counted.enter(number, 7) for number in range(1_000))
    assert not counted.seen
