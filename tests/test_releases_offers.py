"""`callhome.releases.offers`: who is offered which release."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.releases.model import Release, Severity
from callhome.releases.offers import candidates, includes, outdated, severity_between

TODAY = date(2026, 11, 25)
INSTALLS = [hashlib.blake2b(b"%d" % number, digest_size=16).digest() for number in range(20_000)]


def release(
    version: str,
    channel: str = "stable",
    *,
    id: int = 1,
    days_ago: int = 0,
    severity: Severity = Severity.NORMAL,
    share: int = 100,
    oldest: str | None = None,
) -> Release:
    """A release of product 1."""
    day = TODAY - timedelta(days=days_ago)
    return Release(id, 1, version, channel, day, severity, None, None, share, oldest)


STEPPING = [release("1.6"), release("2.0", oldest="1.5"), release("3.0", oldest="2.0")]
CHANNELS = [release("5.9"), release("5.10"), release("6.0b1", "beta"), release("6.0.dev3", "nightly")]

# Releases, version, channel -> the versions that may be offered, the newest first.
CASES: list[tuple[list[Release], str, str | None, list[str]]] = [
    ([], "1.0", None, []),
    (CHANNELS, "5.9", None, ["5.10", "5.9"]),
    (CHANNELS, "5.9", "", ["5.10", "5.9"]),
    (CHANNELS, "5.9", "stable", ["5.10", "5.9"]),
    (CHANNELS, "5.9", "beta", ["6.0b1", "5.10", "5.9"]),
    (CHANNELS, "5.9", "nightly", ["6.0.dev3", "5.10", "5.9"]),
    (CHANNELS, "5.9", "unheard-of", ["5.10", "5.9"]),
    (CHANNELS, "7.0", None, ["5.10", "5.9"]),
    (CHANNELS, "no version", None, ["5.10", "5.9"]),
    ([release("5.9"), release("5.10", days_ago=-1)], "5.9", None, ["5.9"]),
    ([release("5.9"), release("5.10", share=0)], "5.9", None, ["5.9"]),
    ([release("5.9"), release("5.10", share=1)], "5.9", None, ["5.10", "5.9"]),
    (STEPPING, "1.0", None, ["1.6"]),
    (STEPPING, "1.5", None, ["2.0", "1.6"]),
    (STEPPING, "1.6", None, ["2.0", "1.6"]),
    (STEPPING, "2.0.0", None, ["3.0", "2.0", "1.6"]),
    (STEPPING, "R12B", None, ["1.6"]),
    ([release("2.0", oldest="1.5")], "1.0", None, []),
    ([release("R9"), release("R10")], "R8", None, ["R9", "R10"]),
]


@pytest.mark.parametrize(("releases", "version", "channel", "offered"), CASES)
def test_what_may_be_offered(
    releases: list[Release], version: str, channel: str | None, offered: list[str]
) -> None:
    """Day, channel, share and the oldest version decide; the newest is first, however they are given."""
    for order in (releases, releases[::-1]):
        assert [each.version for each in candidates(order, version, channel, TODAY)] == offered


def test_an_equally_new_one_of_its_own_channel_is_first() -> None:
    """Of two equally new releases, that of the install's own channel is offered, then the one registered later."""
    twins = [release("5.10", "beta", id=1), release("5.10.0", id=2), release("5.10.0.0", id=3)]
    assert [each.id for each in candidates(twins, "5.9", "beta", TODAY)] == [1, 3, 2]
    assert [each.id for each in candidates(twins, "5.9", None, TODAY)] == [3, 2]


def test_stepping_stones_lead_to_the_newest() -> None:
    """An install that takes what it is offered, again and again, ends at the newest."""
    version, taken = "1.0", []
    while outdated(version, latest := candidates(STEPPING, version, None, TODAY)[0].version):
        taken.append(version := latest)
    assert taken == ["1.6", "2.0", "3.0"]


@pytest.mark.parametrize(
    ("version", "latest", "expected"),
    [("5.9", "5.10", True), ("5.10", "5.9", False), ("5.10", "5.10.0", False), ("R12B", "5.10", True)],
)
def test_outdated_is_older(version: str, latest: str, expected: bool) -> None:
    """An install is outdated if the release is newer: not if it is ahead of it, nor if they are equal."""
    assert outdated(version, latest) is expected


@given(st.binary(min_size=16, max_size=16), st.integers(1, 2**31 - 1), st.integers(0, 99))
def test_a_share_only_grows(install: bytes, release_id: int, share: int) -> None:
    """Raising a share keeps every install that it included; 0 includes none and 100 all."""
    assert includes(install, release_id, share) <= includes(install, release_id, share + 1)
    assert not includes(install, release_id, 0)
    assert includes(install, release_id, 100)


@pytest.mark.parametrize("share", [1, 10, 25, 50, 99])
@pytest.mark.parametrize("release_id", [1, 2, 200, 2**31 - 1])
def test_a_share_is_that_share(release_id: int, share: int) -> None:
    """A share includes that percentage of installs, give or take what chance would."""
    included = sum(includes(install, release_id, share) for install in INSTALLS)
    # Four standard deviations of a fair draw: sqrt(20,000 × ¼) is 71.
    assert included == pytest.approx(len(INSTALLS) * share / 100, abs=4 * 71)


def test_nobody_is_always_the_first() -> None:
    """Over many releases, each install is among the first tenth as often as chance would have it."""
    first = [
        sum(includes(install, release_id, 10) for release_id in range(1, 201)) for install in INSTALLS[:2000]
    ]
    # 20 ± 4.2 of 200; in 2,000 draws five standard deviations hardly happen.
    assert sum(first) / len(first) == pytest.approx(20, abs=1)
    assert max(first) < 20 + 6 * 4.3
    together = [
        sum(includes(install, one, 50) and includes(install, other, 50) for install in INSTALLS)
        for one, other in combinations((3, 4, 77, 1000), 2)
    ]
    assert all(each == pytest.approx(len(INSTALLS) / 4, rel=0.1) for each in together)


FIXES = [
    release("1.1", severity=Severity.RECOMMENDED),
    release("1.2", severity=Severity.SECURITY, share=0),
    release("1.3"),
    release("1.4b1", "beta", severity=Severity.SECURITY),
    release("1.5", days_ago=-1, severity=Severity.SECURITY),
]


@pytest.mark.parametrize(
    ("version", "latest", "channel", "expected"),
    [
        ("1.0", "1.1", None, "recommended"),
        ("1.0", "1.3", None, "security"),
        ("1.1", "1.3", None, "security"),
        ("1.2", "1.3", None, "normal"),
        ("1.2.0", "1.3", None, "normal"),
        ("1.2", "1.4b1", "beta", "security"),
        ("1.3", "1.3", None, "normal"),
        ("1.3", "1.6", None, "normal"),
        ("2.0", "1.3", None, "normal"),
        ("R12B", "1.1", None, "recommended"),
    ],
)
def test_severity_is_the_highest_on_the_way(
    version: str, latest: str, channel: str | None, expected: str
) -> None:
    """What an install skips counts, a stopped release too; not other channels, days to come, nor what it has."""
    assert severity_between(FIXES, version, latest, channel, TODAY) is Severity(expected)
