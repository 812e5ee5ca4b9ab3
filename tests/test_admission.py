"""Rates of installs, and of all; and who is known to be there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from callhome.ingest.admission import CALM_SHARE, CHARGED, SLOTS, Admission, Budget
from callhome.ingest.ceiling import Ceiling
from callhome.ingest.reasons import Reason, Refused

SITE = 77
KNOWN = b"a registered key"


@dataclass
class Clock:
    """A clock that a test moves on."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def refusal(ask: Callable[[], object]) -> Refused | None:
    """Return the refusal that something ends with, if it does."""
    try:
        ask()
    except Refused as refused:
        return refused
    return None


@dataclass
class Gate:
    """An admission, its clock, and what became of pings."""

    pings_s: float = 1.0
    burst: int = 1_000
    ceiling: int = 0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Make the admission."""
        counted = Ceiling(self.ceiling, 100_000)
        self.admission = Admission(self.pings_s, self.burst, counted, lambda: {KNOWN}, self.clock)
        self.admission.refresh(self.clock.now_s)

    def passes(self, install: bytes, license: bytes | None = None) -> bool:
        """Send a ping; return whether it is let in."""
        return refusal(lambda: self.admission.admit(install, SITE, license)) is None

    def later(self, wait_s: float) -> None:
        """Let time pass as the server does, in steps of half a second."""
        end_s = self.clock.now_s + wait_s
        while self.clock.now_s < end_s:
            self.clock.now_s = min(self.clock.now_s + 0.5, end_s)
            self.admission.refresh(self.clock.now_s)


def installs(count: int) -> Iterable[bytes]:
    """Return so many hashes of installs."""
    return (hashlib.blake2b(b"%d" % number, digest_size=16).digest() for number in range(count))


INSTALL, OTHER = installs(2)


def test_burst_passes_and_no_more() -> None:
    """A burst passes whole; beyond it, give or take a sixty-fourth, all is refused, and others are not."""
    gate = Gate()
    passed = sum(gate.passes(INSTALL) for _ in range(3_000))
    assert 1_000 <= passed <= 1_000 + 1_000 // CALM_SHARE
    assert all(gate.passes(OTHER) for _ in range(1_000))


def test_small_burst_is_exact() -> None:
    """A burst of one is one."""
    gate = Gate(burst=1)
    assert [gate.passes(INSTALL), gate.passes(INSTALL), gate.passes(OTHER)] == [True, False, True]


def test_rate_is_that_of_the_long_run() -> None:
    """Who sends ten times too much for an hour is let in at the rate, after the burst."""
    gate = Gate()
    passed = 0
    for _ in range(3_600):
        passed += sum(gate.passes(INSTALL) for _ in range(10))
        gate.later(1.0)
    assert 3_600 + 1_000 - 1 <= passed <= (3_600 + 1_000) * 1.05


def test_who_keeps_to_the_rate_is_never_refused() -> None:
    """A ping a second, for hours, passes each time."""
    gate = Gate()
    for _ in range(10_000):
        assert gate.passes(INSTALL)
        gate.later(1.0)


def test_coming_back_after_the_told_time_passes() -> None:
    """Whoever waits as long as it is told is let in; whoever comes sooner may be told again."""
    gate = Gate(pings_s=0.1, burst=2)
    assert gate.passes(INSTALL)
    assert gate.passes(INSTALL)
    told = refusal(lambda: gate.admission.admit(INSTALL, SITE, None))
    assert told is not None
    assert (told.reason, told.retry_after_s) == (Reason.TOO_MANY_PINGS, 10)
    gate.later(10.0)
    assert gate.passes(INSTALL)


def test_a_flood_is_seen_though_many_others_pass() -> None:
    """Who owes is not forgotten, however many others send a ping between two of its own, and few bytes are kept."""
    gate = Gate(burst=10)
    assert sum(gate.passes(INSTALL) for _ in range(10)) == 10
    others = list(installs(3 * CHARGED))
    for some in range(0, len(others), CHARGED // 2):
        assert all(gate.passes(other) for other in others[some : some + CHARGED // 2] if other != INSTALL)
        assert not gate.passes(INSTALL)
    assert len(gate.admission._charged) <= CHARGED


def test_who_shares_a_slot_with_a_flood_is_let_in() -> None:
    """Installs whose slot is full because of another are charged for their own pings only."""
    gate = Gate()
    slot = hash(INSTALL) % SLOTS
    gate.admission._slots[slot] = 255
    assert sum(gate.passes(INSTALL) for _ in range(3_000)) == 1_000


def test_rate_of_zero_is_no_limit() -> None:
    """Switched off, nobody is refused."""
    gate = Gate(pings_s=0.0, burst=1)
    assert all(gate.passes(INSTALL) for _ in range(5_000))


def test_weak_installs_are_not_limited() -> None:
    """What stands for an office may send as much as the office."""
    gate = Gate(burst=1)
    assert all(gate.admission.admit_weak(INSTALL, SITE, None) for _ in range(5_000))


def test_beyond_the_ceiling_is_unverified() -> None:
    """Installs beyond it are let in, but not verified, unless with a registered license; those before it stay so."""
    gate = Gate(ceiling=2)
    first, second, third = installs(3)
    admit, weak = gate.admission.admit, gate.admission.admit_weak
    assert [admit(install, SITE, None) for install in (first, second, third, first)] == [
        True,
        True,
        False,
        True,
    ]
    assert [weak(third, SITE, None), weak(first, SITE, None)] == [False, True]
    assert [admit(third, SITE, b"another key"), admit(third, SITE, KNOWN)] == [False, True]
    assert admit(third, SITE + 1, None)
    assert gate.admission.unverified == 3


def test_ceiling_is_that_of_the_hour() -> None:
    """In the next hour who was beyond the ceiling may be within it."""
    gate = Gate(ceiling=1)
    first, second = installs(2)
    assert [gate.admission.admit(install, SITE, None) for install in (first, second)] == [True, False]
    gate.clock.now_s += 3_600
    gate.admission.refresh(gate.clock.now_s)
    assert [gate.admission.admit(install, SITE, None) for install in (second, first)] == [True, False]


@given(
    st.floats(0.01, 50),
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60), st.floats(0, 20)), max_size=30),
)
def test_no_install_is_refused_within_its_burst_and_rate(
    pings_s: float, burst: int, steps: list[tuple[int, int, float]]
) -> None:
    """Whatever is sent when: an install is only refused if it sent more than its burst and rate allow (GCRA)."""
    gate = Gate(pings_s=pings_s, burst=burst)
    sent = dict.fromkeys(range(4), 0.0)  # paid for until, by the book
    hashes = list(installs(4))
    for number, pings, wait_s in steps:
        for _ in range(pings):
            now_s = gate.clock.now_s
            until_s = max(sent[number], now_s) + 1 / pings_s
            if gate.passes(hashes[number]):
                sent[number] = until_s
            else:
                assert until_s - now_s > burst / pings_s
        gate.clock.now_s += wait_s
        gate.admission.refresh(gate.clock.now_s)


def test_budget_is_a_second_at_once_and_a_rate() -> None:
    """All together may send one second's worth at once, and then at the rate."""
    clock = Clock()
    budget = Budget(10, clock)

    def passed(tries: int) -> int:
        told = [refusal(budget.spend) for _ in range(tries)]
        assert {each.reason for each in told if each} <= {Reason.OVERLOADED}
        return told.count(None)

    assert passed(100) == 10
    clock.now_s += 0.5
    assert passed(100) == 5
    budget.owe(20)
    clock.now_s += 1.9
    assert passed(100) == 0
    clock.now_s += 1.1
    assert passed(100) == 10
