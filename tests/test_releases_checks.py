"""`callhome.releases.checks`: what is given is told field by field where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.releases.checks import (
    InvalidField,
    check_share,
    check_text,
    check_url,
    check_version,
    read_day,
    read_moment,
)

FINE: list[tuple[Callable[..., object], object]] = [
    (check_version, "5.10"),
    (check_version, "x" * 64),
    (check_version, "über-R9"),
    (check_url, "https://example.com"),
    (check_url, "http://[::1]:8080/es?a=%C3%BC&b=<1>#top"),
    (check_url, "HTTPS://example.com/" + "x" * 480),
    (check_text, "Wir schließen – 日本"),
    (check_text, "x" * 500),
    (check_share, 0),
    (check_share, 100),
]

WRONG: list[tuple[Callable[..., object], object, str]] = [
    (check_version, "", "1 to 64 printable"),
    (check_version, "x" * 65, "1 to 64 printable"),
    (check_version, "5 10", "without blanks"),
    (check_version, "5\u00a010", "without blanks"),
    (check_version, "5\n", "printable"),
    (check_version, "\u202e5", "printable"),
    (check_version, "\udcff", "printable"),
    (check_url, "", "such as https://example.com/download"),
    (check_url, "example.com/es", "http or https"),
    (check_url, "javascript:alert(1)", "http or https"),
    (check_url, "ftp://example.com", "http or https"),
    (check_url, "https:///es", "an address"),
    (check_url, "https://[::1/es", "an address"),
    (check_url, "https://example.com:port/", "an address"),
    (check_url, "https://example.com/a b", "no blanks"),
    (check_url, "https://example.com/ü", "percent-encoded"),
    (check_url, "https://example.com/\r\nX: y", "ASCII"),
    (check_url, "https://example.com/" + "x" * 481, "at most 500"),
    (check_text, "", "one line of 1 to 500"),
    (check_text, "   ", "one line of 1 to 500"),
    (check_text, "a\nb", "one line"),
    (check_text, "a\x1b[2J", "printable"),
    (check_text, "x" * 501, "1 to 500"),
    (check_share, -1, "0 (nobody) to 100 (all)"),
    (check_share, 101, "0 (nobody) to 100 (all)"),
    (read_day, "2026-02-30", "such as 2026-11-25"),
    (read_day, "20261125", "such as 2026-11-25"),
    (read_day, "tomorrow", "such as 2026-11-25"),
    (read_day, "٢٠٢٦-١١-٢٥", "such as 2026-11-25"),
    (read_day, "2026-11-25T00:00", "such as 2026-11-25"),
    (read_moment, "2026-W48-3", "such as 2026-11-25"),
    (read_moment, "2026-11-25T25:00", "2026-11-25T18:00+01:00"),
    (read_moment, "0001-01-01T00:00+01:00", "2026-11-25T18:00+01:00"),
    (read_moment, "", "such as 2026-11-25"),
]


@pytest.mark.parametrize(("check", "value"), FINE)
def test_what_is_fine_passes(check: Callable[..., object], value: object) -> None:
    """What is as expected, to its very bounds, is not complained of."""
    check("field", value)


@pytest.mark.parametrize(("check", "value", "expected"), WRONG)
def test_what_is_wrong_is_told(check: Callable[..., object], value: object, expected: str) -> None:
    """The error names the field, shows what was given in one short line and says what was expected."""
    with pytest.raises(InvalidField) as caught:
        check("the_field", value)
    said = str(caught.value)
    assert said.startswith("the_field: ")
    assert expected in said
    assert (caught.value.field, caught.value.exit_code) == ("the_field", 2)
    assert said.isprintable()
    assert len(said) < 400


MOMENTS = {
    ("2026-12-24", False): datetime(2026, 12, 24, tzinfo=UTC),
    ("2026-12-24", True): datetime(2026, 12, 25, tzinfo=UTC),
    ("2026-12-24T18:00", True): datetime(2026, 12, 24, 18, tzinfo=UTC),
    ("2026-12-24 18:00:30", False): datetime(2026, 12, 24, 18, 0, 30, tzinfo=UTC),
    ("2026-12-24T18:00+01:00", False): datetime(2026, 12, 24, 17, tzinfo=UTC),
    ("2026-12-24T18:00Z", True): datetime(2026, 12, 24, 18, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "is_end"), MOMENTS)
def test_moments_are_read(text: str, is_end: bool) -> None:
    """A day is its first moment, as an end the first one after it; a time without a zone is UTC."""
    assert read_moment("ends", text, is_end) == MOMENTS[text, is_end]


@given(st.dates())
def test_days_are_read(day: date) -> None:
    """Every day is read as it is written."""
    assert read_day("day", day.isoformat()) == day


@given(st.one_of(st.text(), st.from_regex(r"https?://\S*", fullmatch=True)))
def test_no_address_raises_anything_else(text: str) -> None:
    """Whatever is given for an address, it passes or is told as wrong."""
    try:
        check_url("url", text)
    except InvalidField:
        return
    assert text.isascii()
    assert text.isprintable()
