"""`callhome.health`: ready is who wants pings, whatever becomes of the database."""

from __future__ import annotations

from dataclasses import dataclass

from callhome.health import Health
from callhome.metrics import SpoolRoom, Tally


@dataclass
class State:
    pings: int = 3
    size_bytes: int = 900
    damaged: int = 1
    torn: int = 4
    lost_pings: int = 6
    recovered_pings: int = 2
    disk_used_percent: float = 25.0
    problem: str | None = None
    oldest_s: float | None = 1_000.0


def test_a_server_without_a_spool_is_ready_until_it_stops() -> None:
    """Stopping is a reason not to be sent pings; missing the database is none."""
    health, tally = Health(None, 0), Tally()
    tally.is_database_away = True
    health.measure(tally)
    assert (health.problems(), tally.is_ready) == ([], True)
    health.is_stopping = True
    health.measure(tally)
    assert (health.problems(), tally.is_ready) == (["stopping"], False)


def test_a_spool_that_has_failed_or_is_nearly_full_is_told() -> None:
    """Row 24: each reason is a sentence for the operator."""
    state = State()
    health = Health(state, 1_000)
    assert health.problems() == []
    state.size_bytes = 951
    assert health.problems() == ["the spool is nearly full: 951 of 1,000 bytes"]
    state.problem = "no space left"
    assert health.problems() == ["the spool takes nothing: no space left"]


def test_the_spool_is_measured() -> None:
    """What the spool says of itself stands in the tally, for metrics."""
    tally = Tally()
    Health(State(), 1_000, disk_percent=90).measure(tally)
    found = (tally.spooled, tally.spool_damaged, tally.recovered, tally.spool_oldest_s, tally.lost)
    assert found == (3, 5, 2, 1_000.0, 6)
    assert tally.spool == SpoolRoom(900, 1_000, 0.25, 0.9)
