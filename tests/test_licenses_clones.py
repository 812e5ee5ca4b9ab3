"""`callhome.licenses.clones`: two machines with one id are told from updates, journeys and VPNs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from callhome.licenses.clones import Alternation, Flip, alternations, judge
from callhome.licenses.findings import State

DAY = date(2026, 11, 25)
NINE = datetime(2026, 11, 25, 9, tzinfo=UTC)


def flips(visits: str) -> list[Flip]:
    """Of pings such as ``DE1 FR1+6``: country, version, and minutes since the one before (1 unless given)."""
    found, at, before = [], NINE, ""
    for visit in visits.split():
        what, _, minutes = visit.partition("+")
        at += timedelta(minutes=int(minutes or 1))
        if before and what != before:
            found.append(Flip(at, before[:2], what[:2], before[2:], what[2:]))
        before = what
    return found


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        pytest.param("DE1", None, id="nothing"),
        pytest.param("DE1 DE2 DE2", None, id="an update"),
        pytest.param("DE1 DE2 DE1", None, id="an update taken back"),
        pytest.param("DE1 DE2 DE1 DE2", None, id="and made again"),
        pytest.param("DE1 FR1 FR1", None, id="a journey"),
        pytest.param("DE1 FR1 DE1", None, id="a VPN switched on and off"),
        pytest.param("DE1 FR1 DE1+60 FR1+60 DE1+60 FR1+60", None, id="twice, hours apart"),
        pytest.param("DE1 FR1 DE1+11 FR1+11 DE1+11 FR1+11 DE1+11", None, id="every eleven minutes"),
        pytest.param("DE1 FR1 DE1+10 FR1+10 DE1+10", ("country", 2, ("DE", "FR")), id="every ten minutes"),
        pytest.param("DE1 FR1 DE1 FR1 DE1 FR1 DE1", ("country", 3, ("DE", "FR")), id="each step counts once"),
        pytest.param("DE1 DE2 DE1 DE2 DE1", ("version", 2, ("1", "2")), id="two versions"),
        pytest.param("DE1 FR2 DE1 FR2 DE1", ("country", 2, ("DE", "FR")), id="both"),
        pytest.param("DE1 FR1 DE1 DE2 FR2 DE2", ("country", 2, ("DE", "FR")), id="an update meanwhile"),
        pytest.param("DE1 FR1 CH1 DE1 FR1 CH1 DE1", None, id="round and round: no return"),
        pytest.param("DE1 ZZ1 DE1 ZZ1 DE1", None, id="a country that isn't known"),
    ],
)
def test_what_alternates(visits: str, expected: tuple[str, int, tuple[str, ...]] | None) -> None:
    """A day is suspect where country or version comes back twice, each time within ten minutes."""
    found = alternations(reversed(flips(visits)))
    assert found == ([Alternation(DAY, *expected)] if expected else [])


def test_days_are_apart() -> None:
    """A return over midnight is none, and each day is judged by its own."""
    late = [
        Flip(
            flip.at.replace(hour=23, minute=57) + timedelta(minutes=number),
            flip.from_country,
            flip.to_country,
            "1",
            "1",
        )
        for number, flip in enumerate(flips("DE1 FR1 DE1 FR1 DE1 FR1 DE1"))
    ]
    assert alternations(late) == []
    next_day = [
        Flip(flip.at + timedelta(days=1), flip.from_country, flip.to_country, "1", "1") for flip in late[:4]
    ]
    assert [found.day for found in alternations(flips("DE1 FR1 DE1 FR1 DE1") + next_day)] == [DAY]


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        ((), None),
        ((0,), State.OPEN),
        ((6,), State.OPEN),
        ((7,), None),
        ((1, 0), State.CONFIRMED),
        ((20, 6), State.CONFIRMED),
        ((20, 7), None),
    ],
)
def test_suspect_days_become_a_case(ago: tuple[int, ...], expected: State | None) -> None:
    """One suspect day opens it, a second confirms it, a week without one ends it."""
    suspect = [Alternation(DAY - timedelta(days=days), "country", 2 + days, ("DE", "FR")) for days in ago]
    case = judge(suspect, DAY)
    assert (case and case.state) == expected
    if case is not None:
        assert (case.measure, case.allowed) == (2 + max(ago), 1)
        assert (case.first, case.last) == (suspect[0].day, suspect[-1].day)
