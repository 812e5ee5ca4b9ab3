"""`callhome.reports.subscription`: what somebody wants is tidied, or told what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from callhome.errors import UsageError
from callhome.reports.model import SECTIONS
from callhome.reports.subscription import checked
from subscriptions import draft


def test_each_thing_is_there_once() -> None:
    """Products, sections and recipients that are named twice are there once, in their order; no section means all."""
    made = checked(
        draft(
            recipients=("b@Example.com", " a@example.com ", "b@example.com"),
            products=("es", "crm", "es"),
            sections=("countries", "usage", "countries"),
            schedule=" 0  7 * * MON ",
        )
    )
    assert made.recipients == ("b@example.com", "a@example.com")
    assert (made.products, made.sections) == (("es", "crm"), ("countries", "usage"))
    assert made.schedule == "0 7 * * MON"
    assert checked(draft(sections=())).sections == SECTIONS


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "is no name of a report"),
        ({"name": "x" * 101}, "is no name of a report"),
        ({"name": "a\nb"}, "is no name of a report"),
        ({"sections": ("usage", "money")}, "'money' is no section: expected some of usage, builds"),
        ({"language": "de"}, "'de' is no language here: expected one of en, fr"),
        ({"schedule": "daily"}, "'daily' is no schedule"),
        ({"time_zone": "Mars"}, "'Mars' is no time zone"),
        ({"recipients": ("nobody",)}, "'nobody' is no e-mail address"),
        ({"recipients": ()}, "a report has 1 to 100,000 recipients, not 0"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], said: str) -> None:
    """Each thing that can be wrong is told by its name and what was expected."""
    with pytest.raises(UsageError) as caught:
        checked(draft(**changed))
    assert said in str(caught.value)
