"""`callhome.reports.schedule`: when reports are due, over changes of the clock too, and which days they cover."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.reports.model import Period
from callhome.reports.schedule import InvalidSchedule, check, last_due, next_due, period

PARIS = "Europe/Paris"


def utc(text: str) -> datetime:
    """A moment of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "due"),
    [
        ("0 7 * * MON", PARIS, "2026-07-01T00:00", "2026-07-06T05:00"),
        ("0 7 * * MON", PARIS, "2026-07-06T05:00", "2026-07-13T05:00"),
        ("0 7 * * 1", "America/New_York", "2026-12-01T00:00", "2026-12-07T12:00"),
        ("30 9 1 * *", "Asia/Kolkata", "2026-07-02T00:00", "2026-08-01T04:00"),
        ("0 8 L * *", "UTC", "2026-02-10T00:00", "2026-02-28T08:00"),
        # In summer at five UTC, in winter at six.
        ("0 7 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T06:00"),
        # At 2:00 on 29 March clocks go to 3:00: what was to be at 2:30 is at once.
        ("30 2 * * *", PARIS, "2026-03-28T12:00", "2026-03-29T01:00"),
        ("30 2 * * *", PARIS, "2026-03-29T01:00", "2026-03-30T00:30"),
        # At 3:00 on 25 October clocks go back to 2:00: 2:30 comes twice and counts the first time.
        ("30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T00:30"),
        ("30 2 * * *", PARIS, "2026-10-25T00:30", "2026-10-26T01:30"),
        ("30 2 * * *", PARIS, "2026-10-25T01:10", "2026-10-26T01:30"),
        # What goes by minutes or hours goes on through both.
        ("*/30 * * * *", PARIS, "2026-10-25T00:30", "2026-10-25T01:00"),
        ("0,30 2 * * *", PARIS, "2026-03-29T01:00", "2026-03-30T00:00"),
    ],
)
def test_the_next_due_follows_the_wall_clock(schedule: str, zone: str, after: str, due: str) -> None:
    """The next due is by the clock of its time zone: skipped times come at once, repeated ones once."""
    assert next_due(schedule, zone, utc(after)) == utc(due)


@pytest.mark.parametrize(
    ("schedule", "zone", "until", "due"),
    [
        ("0 7 * * MON", PARIS, "2026-07-06T05:00", "2026-07-06T05:00"),
        ("0 7 * * MON", PARIS, "2026-07-06T04:59", "2026-06-29T05:00"),
        ("* * * * *", PARIS, "2026-07-06T04:59:30", "2026-07-06T04:59"),
        ("0 0 29 2 *", "UTC", "2027-01-01T00:00", "2024-02-29T00:00"),
    ],
)
def test_the_last_due_is_found(schedule: str, zone: str, until: str, due: str) -> None:
    """The last due at or before a moment is found, be it a minute or years ago."""
    assert last_due(schedule, zone, utc(until)) == utc(due)


@given(
    st.sampled_from(["0 7 * * MON", "30 2 * * *", "0 0 1 * *", "15 */6 * * *", "0,30 1-3 * * SUN"]),
    st.sampled_from(
        [PARIS, "UTC", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
    ),
    st.integers(1_420_000_000, 2_050_000_000),
)
def test_dues_follow_one_another(schedule: str, zone: str, moment_s: int) -> None:
    """Of any moment: the last due is not after it, the next one is, and nothing is between them."""
    at = datetime.fromtimestamp(moment_s, UTC)
    last, following = last_due(schedule, zone, at), next_due(schedule, zone, at)
    assert last <= at < following
    assert last_due(schedule, zone, following) == following
    assert last_due(schedule, zone, following - timedelta(seconds=1)) == last


@pytest.mark.parametrize(
    ("due", "before", "first", "last"),
    [
        # A week in Paris: the days of UTC from that of the due before.
        ("2026-07-06T05:00", "2026-06-29T05:00", date(2026, 6, 29), date(2026, 7, 5)),
        # Half past midnight in Paris is the day before in UTC, of both.
        ("2026-07-05T22:30", "2026-06-28T22:30", date(2026, 6, 28), date(2026, 7, 4)),
        # At least one day.
        ("2026-07-06T10:00", "2026-07-06T09:00", date(2026, 7, 5), date(2026, 7, 5)),
        ("2026-07-06T10:00", "2026-07-06T10:00", date(2026, 7, 5), date(2026, 7, 5)),
        # All that was missed.
        ("2026-07-20T05:00", "2026-06-29T05:00", date(2026, 6, 29), date(2026, 7, 19)),
    ],
)
def test_a_period_is_whole_days(due: str, before: str, first: date, last: date) -> None:
    """A report covers the UTC days from the due before to the day before its own."""
    assert period(utc(due), utc(before)) == Period(first, last)


def test_periods_leave_no_day_out() -> None:
    """The periods of a year of Mondays in Paris follow one another day by day."""
    due, days = utc("2026-01-05T06:00"), []
    while due.year == 2026:
        following = next_due("0 7 * * MON", PARIS, due)
        covered = period(following, due)
        days += [
            covered.first_day + timedelta(days=n)
            for n in range((covered.last_day - covered.first_day).days + 1)
        ]
        due = following
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]


@pytest.mark.parametrize(
    "schedule",
    ["", "0 7 * *", "0 7 * * MON *", "0 7 * * XYZ", "60 7 * * *", "0 7 32 * *", "0 0 30 2 *", "@weekly"],
)
def test_what_is_no_schedule_is_told(schedule: str) -> None:
    """Whoever writes a schedule that is none, or never comes true, hears what was expected."""
    with pytest.raises(InvalidSchedule, match="expected five fields") as caught:
        check(schedule, PARIS)
    assert repr(schedule) in str(caught.value)


@pytest.mark.parametrize(
    "zone", ["", "Paris", "Europe", "../etc/passwd", "Europe/Paris\n", "CEST+5", "/etc/localtime"]
)
def test_what_is_no_time_zone_is_told(zone: str) -> None:
    """Whoever names a time zone that there isn't hears what was expected."""
    with pytest.raises(InvalidSchedule, match="expected an IANA name such as Europe/Paris"):
        check("0 7 * * MON", zone)


def test_a_number_of_days_covers_so_many() -> None:
    """With days given, a report covers so many before its due, whenever the one before was."""
    due = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)
    before = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
    assert period(due, before, 7) == Period(date(2026, 11, 18), date(2026, 11, 24))
    assert period(due, before, 1) == period(due, before)
