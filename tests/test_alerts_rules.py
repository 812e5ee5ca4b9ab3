"""`callhome.alerts.rules`: what each rule tells, look by look: nothing twice, too early or for the past."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from callhome.alerts import rules
from callhome.alerts.facts import Adoption, Confirmed, DayCount, OverLicense, Product, Released, Seen, Watch
from callhome.alerts.model import Alert, Event, Kind, Numbers, Rule
from callhome.alerts.rules import Gate, Judged

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TODAY = NOW.date()
ES = Product("es", "Example Server")
HOUR_S = 3_600
MINUTE = timedelta(minutes=1)


@dataclass
class Looks:
    """Looks at one alert: its state between them, as JSON keeps it, and what it has told in which minute."""

    judge: Callable[[dict[str, Any], Gate, datetime, Any], Judged]
    cooldown_s: int = 0

    def __post_init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.told: list[tuple[int, Event]] = []

    def at(self, minute: int, fact: Any) -> list[str]:
        """Look in a minute, and return the names of what is told; no name is told twice, as in the database."""
        now = NOW + minute * MINUTE
        cooling = {event.subject for at, event in self.told if (minute - at) * 60 < self.cooldown_s}
        judged = self.judge(self.state, Gate(cooling, self.cooldown_s), now, fact)
        self.state = json.loads(json.dumps(judged.state))
        names = [event.name for _, event in self.told]
        assert not [event.name for event in judged.events if event.name in names], "told twice"
        self.told += [(minute, event) for event in judged.events]
        return [event.subject for event in judged.events]


def over(*licenses: int) -> list[OverLicense]:
    return [OverLicense(number, "7K2F", "Example Inc.", ES, 12, 10) for number in licenses]


# Name -> cool-down in seconds, then minute, licenses that are over, and the licenses that are told of.
OVER: dict[str, tuple[int, list[tuple[int, list[int], list[int]]]]] = {
    "over at the first look": (0, [(0, [1], []), (1, [1], []), (2, [1, 2], [2])]),
    "once as long as it lasts": (0, [(0, [], []), (1, [1], [1]), (2, [1], []), (999, [1], [])]),
    "again after it was within": (0, [(0, [], []), (1, [1], [1]), (2, [], []), (3, [1], [1])]),
    "over at first, then within, then over": (0, [(0, [1], []), (1, [], []), (2, [1], [1])]),
    "flapping within the cool-down": (
        HOUR_S,
        [(0, [], []), (1, [1], [1]), (2, [], []), (3, [1], []), (4, [], []), (5, [1], []), (60, [1], [])],
    ),
    "still over when the cool-down ends": (
        HOUR_S,
        [(0, [], []), (1, [1], [1]), (2, [], []), (3, [1], []), (60, [1], []), (61, [1], [1]), (62, [1], [])],
    ),
    "another license within the cool-down": (HOUR_S, [(0, [], []), (1, [1], [1]), (2, [1, 2], [2])]),
}


@pytest.mark.parametrize("name", OVER)
def test_license_over(name: str) -> None:
    """A license is told of once for each time that it comes over its seats, at most once in a cool-down."""
    cooldown_s, looks = OVER[name]
    watched = Looks(lambda state, gate, now, fact: rules.license_over(fact, state, gate, now), cooldown_s)
    for minute, licenses, expected in looks:
        told = watched.at(minute, over(*licenses))
        assert told == [f"license {number}" for number in expected], (name, minute)


def test_license_over_has_the_numbers() -> None:
    """The event has what is to be told: whose license, how many seats, since when."""
    judged = rules.license_over(over(7), {"over": {}}, Gate(), NOW)
    (event,) = judged.events
    assert event.details == {
        "product": "es",
        "product_name": "Example Server",
        "license": 7,
        "last4": "7K2F",
        "customer": "Example Inc.",
        "seats_used": 12,
        "allowed": 10,
        "since": NOW.isoformat(),
    }


def test_finding_confirmed() -> None:
    """Findings of one license wait for each other's cool-down; those of another license or install don't."""
    one = Confirmed(1, "over_seats", "", ES, 7, "7K2F", "Example Inc.", None, 14, 10)
    found = [
        one,
        replace(one, finding=2),
        replace(one, finding=3, license=8),
        replace(one, finding=4, rule="cloned_install", license=None, last4=None, customer=None, install="ab"),
    ]
    events = rules.finding_confirmed(found, Gate((), HOUR_S))
    assert [event.name for event in events] == ["finding 1", "finding 3", "finding 4"]
    assert [event.subject for event in events] == ["license 7", "license 8", "install ab"]
    assert rules.finding_confirmed([found[1]], Gate({"license 7"}, HOUR_S)) == ()
    assert len(rules.finding_confirmed(found, Gate())) == 4


def adopted(percent: float, total: int = 1_000, version: str = "5.10", day: date = TODAY) -> Adoption:
    return Adoption(Released(ES, version, day, 100), round(total * percent / 100), total)


# Name -> cool-down in seconds, then minute, percent (or percent and total), and the percentages told of.
ADOPTED: dict[str, tuple[int, list[tuple[int, float, int, list[int]]]]] = {
    "past it at the first look": (0, [(0, 93.0, 1_000, []), (1, 94.0, 1_000, [])]),
    "past the first at the first look": (0, [(0, 60.0, 1_000, []), (1, 90.0, 1_000, [90])]),
    "each once": (
        0,
        [
            (0, 0.0, 1_000, []), (1, 49.9, 1_000, []), (2, 50.0, 1_000, [50]), (3, 51.0, 1_000, []),
            (4, 95.0, 1_000, [90]),
        ],
    ),
    "flapping": (0, [(0, 40.0, 1_000, []), (1, 50.0, 1_000, [50]), (2, 49.0, 1_000, []), (3, 50.0, 1_000, [])]),
    "flapping about where it was at first": (
        0,
        [(0, 50.0, 1_000, []), (1, 49.0, 1_000, []), (2, 50.0, 1_000, [])],
    ),
    "both at once": (0, [(0, 10.0, 1_000, []), (1, 92.0, 1_000, [90]), (2, 93.0, 1_000, [])]),
    "the second within the cool-down": (
        HOUR_S,
        [(0, 10.0, 1_000, []), (1, 55.0, 1_000, [50]), (2, 92.0, 1_000, []), (61, 93.0, 1_000, [90])],
    ),
    "fewer installs than asked for": (0, [(0, 0.0, 9, []), (1, 100.0, 9, []), (2, 100.0, 10, [90])]),
    "no installs at all": (0, [(0, 0.0, 0, []), (1, 0.0, 0, [])]),
}  # fmt: skip


@pytest.mark.parametrize("name", ADOPTED)
def test_release_adopted(name: str) -> None:
    """Each release is told of once for each percentage, the highest if it reaches several at once."""
    numbers = Numbers(percent=(50, 90), least=10)
    cooldown_s, looks = ADOPTED[name]
    watched = Looks(
        lambda state, gate, now, fact: rules.release_adopted(fact, numbers, state, gate), cooldown_s
    )
    for minute, percent, total, expected in looks:
        watched.at(minute, [adopted(percent, total)])
        told = [event.details["percent"] for at, event in watched.told if at == minute]
        assert told == expected, (name, minute)


def test_a_release_that_is_registered_late_is_not_told_of() -> None:
    """A release that is past a percentage when it is first seen is history, also long after the alert's first look."""
    numbers = Numbers(percent=(50,), least=1)
    watched = Looks(lambda state, gate, now, fact: rules.release_adopted(fact, numbers, state, gate))
    assert watched.at(0, [adopted(10)]) == []
    assert watched.at(1, [adopted(10), adopted(80, version="5.9")]) == []
    assert watched.at(2, [adopted(60), adopted(85, version="5.9")]) == ["es 5.10"]


def test_a_withdrawn_release_is_forgotten() -> None:
    """What is remembered is bounded by the releases that there are."""
    numbers = Numbers(percent=(50,), least=1)
    judged = rules.release_adopted([adopted(10)], numbers, {}, Gate())
    assert rules.release_adopted([], numbers, judged.state, Gate()).state == {"releases": {}}


# Name -> day of the release before today, then days from today, percent, and whether it is told.
SLOW: dict[str, tuple[int, list[tuple[int, float, bool]]]] = {
    "over at the first look": (30, [(0, 10.0, False), (1, 10.0, False)]),
    "the last day is not over yet": (0, [(0, 1.0, False), (6, 1.0, False), (7, 1.0, False), (8, 1.0, True)]),
    "once": (0, [(0, 1.0, False), (8, 1.0, True), (9, 1.0, False), (99, 1.0, False)]),
    "there in time": (0, [(0, 1.0, False), (8, 80.0, False), (9, 20.0, False)]),
    "released before the alert was made": (5, [(0, 1.0, False), (2, 1.0, False), (3, 1.0, True)]),
    "not looked at for weeks": (0, [(0, 1.0, False), (40, 1.0, True)]),
}


@pytest.mark.parametrize("name", SLOW)
def test_release_slow(name: str) -> None:
    """A release that isn't there when its days are over is told of once, and never if it was there then."""
    numbers = Numbers(percent=(80,), days=7, least=10)
    before, looks = SLOW[name]
    watched = Looks(lambda state, gate, now, fact: rules.release_slow(fact, numbers, state, gate, now.date()))
    for days, percent, expected in looks:
        told = watched.at(days * 1_440, [adopted(percent, day=TODAY - timedelta(days=before))])
        assert told == (["es 5.10"] if expected else []), (name, days)


def test_a_slow_release_of_few_installs_is_judged_once_they_are_enough() -> None:
    """With fewer installs than asked for nothing is said of a release; it is judged when there are more."""
    numbers = Numbers(percent=(80,), days=7, least=10)
    watched = Looks(lambda state, gate, now, fact: rules.release_slow(fact, numbers, state, gate, now.date()))
    assert watched.at(0, [adopted(0, 9)]) == []
    assert watched.at(9 * 1_440, [adopted(0, 9)]) == []
    assert watched.at(10 * 1_440, [adopted(0, 10)]) == ["es 5.10"]


@pytest.mark.parametrize(
    ("judged", "now", "until", "expected"),
    [
        (None, "2026-11-25T12:00", "2026-11-25T12:00", None),
        ("2026-11-23", "2026-11-25T12:00", "2026-11-25T12:00", "2026-11-24"),
        ("2026-11-24", "2026-11-25T23:59", "2026-11-25T23:59", None),
        ("2026-11-23", "2026-11-25T00:59", "2026-11-25T00:59", None),
        ("2026-11-23", "2026-11-25T01:00", "2026-11-25T01:00", "2026-11-24"),
        ("2026-11-23", "2026-11-25T12:00", "2026-11-25T00:30", None),
        ("2026-11-01", "2026-11-25T12:00", "2026-11-25T12:00", "2026-11-24"),
    ],
)
def test_a_day_is_judged_once_it_is_over_and_counted(
    judged: str | None, now: str, until: str, expected: str | None
) -> None:
    """A day is judged an hour after its end and once what came in it is counted; none on an alert's first day."""
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, until)]
    found = rules.day_to_judge({} if judged is None else {"judged": judged}, *moments)
    assert (found and found.isoformat()) == expected


@pytest.mark.parametrize(
    ("installs", "before", "is_told"),
    [
        (500, (1_000, 1_000, 1_000, 1_000), True),
        (501, (1_000, 1_000, 1_000, 1_000), False),
        (0, (1_000, 900, 1_100, 1_000), True),
        # One of the four weeks was odd itself: the median doesn't care.
        (900, (10, 1_000, 1_000, 1_000), False),
        (400, (10, 1_000, 1_000, 1_000), True),
        # Too few to say anything.
        (10, (99, 99, 99, 99), False),
        (50, (100, 100, 100, 100), True),
        (1_000, (400, 500, 500, 600), True),
        (999, (400, 500, 500, 600), False),
        (99, (1, 1, 1, 1), False),
        (100, (0, 0, 0, 0), True),
        (0, (0, 0, 0, 0), False),
        # A product that is younger than four weeks.
        (1, (1_000, 1_000, 1_000), False),
    ],
)
def test_installs_changed(installs: int, before: tuple[int, ...], is_told: bool) -> None:
    """A day is told of that has half the usual installs or fewer, or twice as many or more, unless they are few."""
    numbers = Numbers(drop_percent=50, jump_percent=100, least=100)
    day, state = TODAY - timedelta(days=1), {"judged": "2026-11-23"}
    judged = rules.installs_changed([DayCount(ES, installs, before)], day, numbers, state, Gate(), NOW)
    assert [event.name for event in judged.events] == (["es on 2026-11-24"] if is_told else [])
    assert judged.state == {"judged": "2026-11-24"}


def test_a_changed_day_waits_for_the_cool_down_as_long_as_it_is_the_last() -> None:
    """Within the cool-down a day is kept, and told when that is over, unless it is no longer the last day."""
    numbers = Numbers(drop_percent=50, jump_percent=100, least=100)
    count, day = [DayCount(ES, 1, (1_000,) * 4)], TODAY - timedelta(days=1)
    cooling = Gate({"es"}, HOUR_S)
    held = rules.installs_changed(count, day, numbers, {"judged": "2026-11-23"}, cooling, NOW)
    assert held.events == ()
    state = json.loads(json.dumps(held.state))
    told = rules.installs_changed([], None, numbers, state, Gate((), HOUR_S), NOW)
    assert [event.name for event in told.events] == ["es on 2026-11-24"]
    assert told.state == {"judged": "2026-11-24"}
    later = rules.installs_changed([], None, numbers, state, Gate(), NOW + timedelta(days=1))
    assert later == Judged((), {"judged": "2026-11-24"})


def test_the_first_look_judges_no_day() -> None:
    """An alert that is made today has nothing to say of yesterday."""
    numbers = Numbers(drop_percent=50, jump_percent=100, least=100)
    assert rules.installs_changed([], None, numbers, {}, Gate(), NOW) == Judged((), {"judged": "2026-11-24"})


@dataclass(frozen=True)
class Quiet:
    """When the last ping came, since when it is watched, and until when all is counted; minutes from `NOW`."""

    last: int | None
    since: int = 0
    until: int | None = None


# Name -> cool-down in seconds, then minute, what is so, whether it is told.
SILENCE: dict[str, tuple[int, list[tuple[int, Quiet, bool]]]] = {
    "once": (
        0,
        [(0, Quiet(0), False), (9, Quiet(0), False), (10, Quiet(0), True), (11, Quiet(0), False)],
    ),
    "again after pings have come": (
        0,
        [(10, Quiet(0), True), (11, Quiet(11), False), (20, Quiet(11), False), (21, Quiet(11), True)],
    ),
    "long silent at the first look": (
        0,
        [(0, Quiet(-999), False), (9, Quiet(-999), False), (10, Quiet(-999), True)],
    ),
    "the server was away": (
        0,
        [(60, Quiet(0, since=59), False), (68, Quiet(0, since=59), False), (69, Quiet(0, since=59), True)],
    ),
    "told before the server was away": (0, [(10, Quiet(0), True), (60, Quiet(0, since=45), False)]),
    "the rollup is behind": (0, [(30, Quiet(0, until=9), False), (31, Quiet(30), False)]),
    "never a ping": (0, [(99, Quiet(None), False)]),
    "flapping": (
        HOUR_S,
        [
            (10, Quiet(0), True), (11, Quiet(11), False), (21, Quiet(11), False), (30, Quiet(30), False),
            (69, Quiet(30), False), (70, Quiet(30), True),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SILENCE)
@pytest.mark.parametrize("product", [ES, None])
def test_silence(name: str, product: Product | None) -> None:
    """Ten minutes without a ping are told once, unless pings could not have come or been counted."""

    def judge(state: dict[str, Any], gate: Gate, now: datetime, fact: Quiet) -> Judged:
        seen_at = None if fact.last is None else NOW + fact.last * MINUTE
        until = now if fact.until is None else NOW + fact.until * MINUTE
        watch = Watch(NOW + fact.since * MINUTE, until)
        return rules.silence([Seen(product, seen_at)], Numbers(minutes=10), state, gate, watch)

    cooldown_s, looks = SILENCE[name]
    watched = Looks(judge, cooldown_s)
    for minute, fact, expected in looks:
        told = watched.at(minute, fact)
        assert told == (["es" if product else "any product"] if expected else []), (name, minute)


@pytest.mark.parametrize(("count", "told", "rest"), [(0, 0, 0), (20, 20, 0), (21, 20, 2), (500, 20, 481)])
def test_what_nobody_would_read_is_told_in_one(count: int, told: int, rest: int) -> None:
    """Of more than twenty events at once, the last message tells how many more there are; all are recorded."""
    alert = Alert(3, "seats", Rule.LICENSE_OVER, None, Numbers(), (), None, "en", 0, NOW)
    events: Sequence[Event] = [Event(f"e{number}", f"s{number}") for number in range(count)]
    singly, others = rules.shortened(alert, events, NOW)
    assert (len(singly), len(others)) == (told, rest)
    if rest:
        last = singly[-1]
        assert (last.kind, last.details["count"]) == (Kind.MORE, rest)
        assert last.details["subjects"] == [event.subject for event in others][:10]
        assert [*singly[:-1], *others] == events
