"""`callhome.alerts.facts`: how far a release is adopted, by the order of versions."""

from __future__ import annotations

from datetime import date

import pytest

from callhome.alerts.facts import Adoption, Product, Released, Versions, adoptions

ES = Product("es", "ES")
IN_USE = {"5.9": 10, "5.10": 20, "5.10.1": 30, "6.0b1": 5, "nightly": 7}


@pytest.mark.parametrize(
    ("version", "installs"),
    [
        ("5.10", 55),
        ("5.10.0", 55),
        ("5.9", 65),
        ("5.11", 5),
        ("6.0b1", 5),
        ("6.0", 0),
        ("0.1", 65),
        ("nightly", 72),
        ("nightly-2", 65),
    ],
)
def test_newer_versions_count_too(version: str, installs: int) -> None:
    """An install counts for a release if it has that version or a newer one; what is no version is older than all."""
    released = Released(ES, version, date(2026, 11, 25), 100)
    (one,) = adoptions([released], {"es": Versions(IN_USE, 100)})
    assert (one.installs, one.total) == (installs, 100)


def test_a_product_without_installs_has_no_share() -> None:
    """Without an active install no release has reached anything, not even nought of nought."""
    (one,) = adoptions([Released(ES, "1.0", date(2026, 11, 25), 100)], {})
    assert one == Adoption(one.released, 0, 0)
    assert not one.is_at(1)


@pytest.mark.parametrize(
    ("installs", "total", "percent", "is_there"),
    [(1, 3, 33, True), (1, 3, 34, False), (499, 1_000, 50, False), (500, 1_000, 50, True), (7, 7, 100, True)],
)
def test_a_share_is_exact(installs: int, total: int, percent: int, is_there: bool) -> None:
    """A percentage is reached at exactly that share, not by rounding."""
    assert Adoption(Released(ES, "1", date.min, 100), installs, total).is_at(percent) is is_there
