"""`callhome.releases.model`: severities and levels in order."""

from __future__ import annotations

from random import Random

import pytest

from callhome.releases.model import Level, Severity


@pytest.mark.parametrize("kind", [Severity, Level])
def test_they_are_ordered_as_defined(kind: type[Severity | Level]) -> None:
    """The least stands first, whatever the alphabet says: sorting and the highest go by it."""
    in_order = list(kind)
    shuffled = Random(4).sample(in_order, len(in_order))
    assert sorted(shuffled) == in_order
    assert max(shuffled) is in_order[-1]
    low, high = in_order[0], in_order[-1]
    assert low < high
    assert low <= low <= high
    assert high > low
    assert high >= high >= low
    assert not high < low


def test_the_orders_are_these() -> None:
    """Security is above recommended above normal, critical above warning above info."""
    assert [each.value for each in sorted(Severity)] == ["normal", "recommended", "security"]
    assert [each.value for each in sorted(Level)] == ["info", "warning", "critical"]


def test_other_texts_have_no_rank() -> None:
    """Beside a plain text they are texts: nothing is taken for a severity that isn't one."""
    assert (Severity.SECURITY < "z", Level.INFO > "a") == (True, True)
    assert str(Severity.SECURITY) == "security"
