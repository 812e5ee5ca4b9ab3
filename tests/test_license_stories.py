"""How licenses are used in a dozen offices, day by day, and what a licensing manager would say of each.

Each story is played through the real store: pings with ids of their time, folded by the rollup, counted and settled
as of the evening of each day. What must come out stands in a table, which `docs/licenses.md` shows to its readers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from offices import EVENING, MORNING, Use, office, on, opened
from pages import ROOT


@dataclass(frozen=True)
class Then:
    """What is found in the evening of a day: the verdict, and each finding as rule, state and cause."""

    day: int
    verdict: str
    findings: str = ""


@dataclass(frozen=True)
class Story:
    """Who uses a license how, and what must be found. ``changes`` are updates of its terms at the begin of a day."""

    name: str
    uses: Iterable[Use]
    then: tuple[Then, ...]
    seats: int = 1
    use: str = "named"
    overage: Decimal | None = Decimal(1)
    ends: int | None = None
    grace_days: int = 14
    changes: dict[int, str] = field(default_factory=dict)


def leaked() -> list[Use]:
    """Eight machines of a German office; from day 20 on five strangers more each day, who stay."""
    countries = ("US", "BR", "VN", "RU", "IN", "NG", "TR")
    uses = office(range(1, 9), range(1, 61))
    for joined in range(20, 35):
        for stranger in range(5):
            number = 100 + joined * 5 + stranger
            uses += [Use(day, MORNING, number, countries[number % 7]) for day in range(joined, 61, 2)]
    return uses


def cloned() -> list[Use]:
    """Two machines with one id, in Germany and France, that ping every six minutes from nine to ten."""
    return [
        Use(day, MORNING + ping / 10, 1, ("DE", "FR")[ping % 2]) for day in (1, 2, 3) for ping in range(10)
    ] + office([1], range(4, 12))


STORIES = (
    Story(
        "a container rebuilt every night",
        [Use(day, MORNING, day) for day in range(1, 61)],
        (
            Then(1, "ok"),
            Then(2, "ok", "over_seats open"),
            Then(3, "ok", "over_seats open turnover"),
            Then(60, "ok", "over_seats open turnover"),
        ),
    ),
    Story(
        "a container rebuilt every day at noon",
        [use for day in range(1, 61) for use in (Use(day, MORNING, day), Use(day, EVENING, day + 1))],
        (
            Then(1, "ok", "over_seats open"),
            Then(30, "ok", "over_seats open"),
            Then(31, "ok", "over_seats open turnover"),
            Then(60, "ok", "over_seats open turnover"),
        ),
    ),
    Story(
        "a laptop re-imaged",
        [*office([1], range(1, 20)), *office([2], range(19, 70), hours=[EVENING])],
        (
            Then(18, "ok"),
            Then(19, "ok", "over_seats open"),
            Then(20, "ok", "over_seats open turnover"),
            Then(54, "ok", "over_seats open turnover"),
            Then(55, "ok", "over_seats closed turnover"),
        ),
    ),
    Story(
        "an office that moves to another country",
        [*office(range(1, 11), range(1, 20)), *office(range(1, 11), range(20, 40), "FR")],
        (Then(19, "ok"), Then(20, "ok"), Then(39, "ok")),
        seats=10,
    ),
    Story(
        "a key leaked on a forum",
        leaked(),
        (
            Then(19, "ok"),
            Then(20, "ok", "over_seats open"),
            Then(22, "ok", "over_seats open"),
            Then(23, "over_seats", "over_seats confirmed"),
            Then(24, "over_seats", "over_seats confirmed shared_key"),
            Then(60, "over_seats", "over_seats confirmed shared_key"),
        ),
        seats=10,
    ),
    Story(
        "the vendor's own test lab, overage unlimited",
        [Use(day, MORNING, day * 100 + machine) for day in range(1, 31) for machine in range(20)],
        (Then(1, "ok"), Then(30, "ok")),
        seats=5,
        overage=None,
    ),
    Story(
        "a renewal a week late, with 14 days of grace",
        office([1, 2], range(1, 31)),
        (Then(10, "ok"), Then(11, "grace"), Then(17, "grace"), Then(18, "ok"), Then(30, "ok")),
        seats=2,
        ends=10,
        changes={18: "ends = ends + 365"},
    ),
    Story(
        "a renewal a week late, without any grace",
        office([1, 2], range(1, 31)),
        (
            Then(10, "ok"),
            Then(11, "expired", "expired_use open"),
            Then(12, "expired", "expired_use open"),
            Then(13, "expired", "expired_use confirmed"),
            Then(17, "expired", "expired_use confirmed"),
            Then(18, "ok", "expired_use closed"),
        ),
        seats=2,
        ends=10,
        grace_days=0,
        changes={18: "ends = ends + 365"},
    ),
    Story(
        "a third more machines than seats",
        office(range(1, 14), range(1, 31)),
        (
            Then(1, "ok", "over_seats open"),
            Then(3, "ok", "over_seats open"),
            Then(4, "over_seats", "over_seats confirmed"),
            Then(30, "over_seats", "over_seats confirmed"),
        ),
        seats=10,
    ),
    Story(
        "the same, until more seats are bought",
        office(range(1, 14), range(1, 31)),
        (Then(10, "over_seats", "over_seats confirmed"), Then(11, "ok", "over_seats closed")),
        seats=10,
        changes={11: "seats = 15"},
    ),
    Story(
        "three shifts on concurrent seats",
        [
            *office(range(1, 11), range(1, 31), hours=[6, 9, 13]),
            *office(range(11, 21), range(1, 31), hours=[14, 17, 21]),
            *office(range(21, 31), range(1, 31), hours=[22, 23]),
        ],
        (Then(1, "ok"), Then(30, "ok")),
        seats=10,
        use="concurrent",
    ),
    Story(
        "concurrent seats exceeded on Mondays at nine",
        [*office(range(1, 11), range(1, 31)), *office(range(11, 16), range(1, 31, 7))],
        (
            Then(1, "ok", "over_seats open"),
            Then(8, "ok", "over_seats open"),
            Then(15, "over_seats", "over_seats confirmed"),
        ),
        seats=10,
        use="concurrent",
    ),
    Story(
        "a virtual machine cloned with its id",
        cloned(),
        (
            Then(1, "ok", "cloned_install open"),
            Then(2, "ok", "cloned_install confirmed"),
            Then(9, "ok", "cloned_install confirmed"),
            Then(10, "ok", "cloned_install closed"),
        ),
    ),
)


async def played(dsn: str, story: Story) -> list[Then]:
    """What is found on the telling days of a story."""
    found = []
    telling = {then.day for then in story.then}
    async with opened(dsn) as office:
        await office.sell(
            seats=story.seats, use=story.use, overage=story.overage, ends=story.ends and on(story.ends),
            grace_days=story.grace_days,
        )  # fmt: skip
        for day in range(1, max(telling) + 1):
            if day in story.changes:
                await office.change(story.changes[day], day)
            await office.live(day, story.uses)
            if day in telling:
                found.append(Then(day, await office.verdict(day), await office.findings()))
    return found


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_story_ends_as_a_licensing_manager_would_say(database: str, story: Story) -> None:
    """On each telling day the verdict and the findings are those of the story."""
    assert await played(database, story) == list(story.then)


def test_the_stories_are_those_of_the_page() -> None:
    """The page on licenses tells each story with each of its telling days, and no other."""
    text = (ROOT / "docs" / "licenses.md").read_text("utf-8").partition("## Stories")[2].partition("\n## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    told, name = [], ""
    for first, day, verdict, finding in rows:
        name = first or name
        if day.isdigit():
            told.append((name, Then(int(day), verdict, finding)))
    assert told == [(story.name, then) for story in STORIES for then in story.then]
