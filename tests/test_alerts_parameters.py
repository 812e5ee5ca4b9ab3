"""`callhome.alerts.parameters`: what people give for an alert is checked field by field, and completed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from callhome.alerts.model import Numbers, Rule
from callhome.alerts.parameters import (
    PARAMETERS,
    InvalidAlert,
    check_name,
    check_told,
    check_webhook,
    complete,
    read,
    read_cooldown,
)


def test_each_rule_has_its_numbers() -> None:
    """Each rule can be made without a number, and what is kept of it is read as it was."""
    assert PARAMETERS.keys() == set(Rule)
    assert {rule: read(rule, complete(rule, {})) for rule in Rule} == {
        Rule.LICENSE_OVER: Numbers(),
        Rule.FINDING_CONFIRMED: Numbers(),
        Rule.RELEASE_ADOPTED: Numbers(percent=(50, 90), least=10),
        Rule.RELEASE_SLOW: Numbers(percent=(50,), days=14, least=10),
        Rule.INSTALLS_CHANGED: Numbers(drop_percent=50, jump_percent=100, least=100),
        Rule.SILENCE: Numbers(minutes=60),
    }


@pytest.mark.parametrize(
    ("rule", "given", "kept"),
    [
        (Rule.RELEASE_ADOPTED, {"percent": [90, 25, 90]}, {"percent": [25, 90], "least": 10}),
        (Rule.RELEASE_SLOW, {"percent": [80], "days": []}, {"percent": 80, "days": 14, "least": 10}),
        (Rule.SILENCE, {"minutes": [5], "percent": ()}, {"minutes": 5}),
    ],
)
def test_numbers_are_completed(
    rule: Rule, given: dict[str, Sequence[int]], kept: dict[str, int | list[int]]
) -> None:
    """What is given is kept, sorted and once; what isn't has its default."""
    assert complete(rule, given) == kept


@pytest.mark.parametrize(
    ("rule", "given", "said"),
    [
        (Rule.LICENSE_OVER, {"minutes": [5]}, "minutes: 5 can't be: expected nothing: the rule license_over has no"),
        (Rule.SILENCE, {"percent": [5]}, "expected nothing: the rule silence has only minutes"),
        (Rule.SILENCE, {"minutes": [0]}, "minutes: 0 can't be: expected minutes, from 1 to 10,080"),
        (Rule.RELEASE_SLOW, {"percent": [50, 90]}, "percent: 90 can't be: expected one number"),
        (Rule.RELEASE_ADOPTED, {"percent": [50, 101]}, "percent: 101 can't be"),
        (Rule.INSTALLS_CHANGED, {"drop_percent": [True]}, "drop_percent: True can't be"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_refused(rule: Rule, given: dict[str, Sequence[int]], said: str) -> None:
    """A number out of its bounds, or of another rule, is refused with what is expected."""
    with pytest.raises(InvalidAlert, match=re.escape(said)):
        complete(rule, given)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90s", 90), ("30m", 1_800), (" 1h ", 3_600), ("2d", 172_800), ("30d", 2_592_000)],
)
def test_a_cool_down_is_read(text: str, seconds: int) -> None:
    """A number with its unit; 0 needs none."""
    assert read_cooldown(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "1w", "-1h", "31d", "1h30m", "\N{ARABIC-INDIC DIGIT ONE}h"])
def test_no_cool_down_is_refused(text: str) -> None:
    """Anything else, and more than thirty days, is refused."""
    with pytest.raises(InvalidAlert, match="cooldown: "):
        read_cooldown(text)


@pytest.mark.parametrize("name", ["a", "Seats of Ünïcode & Co.", "x" * 100])
def test_a_name_is_taken(name: str) -> None:
    """A name is any line of at most 100 characters."""
    check_name(name)


@pytest.mark.parametrize("name", ["", " a", "a\r\nBcc: x", "a\N{RIGHT-TO-LEFT OVERRIDE}b", "x" * 101])
def test_no_name_is_refused(name: str) -> None:
    """A name that could become a header of its own, or be taken for another, is refused."""
    with pytest.raises(InvalidAlert, match="name: "):
        check_name(name)


@pytest.mark.parametrize(
    "url", ["https://example.com/hook?x=1", "http://127.0.0.1:8000/", "https://[::1]:8443/a"]
)
def test_a_webhook_is_taken(url: str) -> None:
    """An address of the web is taken, also within the company."""
    check_webhook(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com", "https://", "https://example.com:0/", "https://example.com/a b",
        "https://exämple.com/", "https://example.com/#x", "https://me:hunter2@example.com/", "https://[::1",
        "https://example.com/\r\nX: y", "https://example.com/" + "x" * 2_000,
    ],
)  # fmt: skip
def test_no_webhook_is_refused(url: str) -> None:
    """What is no address, or has a password in it, is refused, and the password isn't repeated."""
    with pytest.raises(InvalidAlert, match="webhook: ") as caught:
        check_webhook(url)
    assert "hunter2" not in str(caught.value)


def test_somebody_is_told() -> None:
    """An alert tells somebody, and not a crowd."""
    check_told(["a@example.com"], None)
    check_told([], "https://example.com")
    with pytest.raises(InvalidAlert, match="somebody to tell"):
        check_told([], None)
    with pytest.raises(InvalidAlert, match="at most 50"):
        check_told(["a@example.com"] * 51, None)
