"""`callhome.imports.mapping` and `callhome.imports.times`: what a mapping may say, and which time a text is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from callhome.imports.mapping import BadMapping, parse
from callhome.imports.times import moment, reader

GOOD = '[time]\ncolumn = "when"\n[fields]\nproduct = "p"\nversion = "v"\n'


def ms(text: str) -> int:
    """Unix milliseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("form", "zone", "value", "expected"),
    [
        ("iso", "UTC", "2024-02-29T12:00:00", "2024-02-29T12:00:00"),
        ("iso", "UTC", "2024-02-29 12:00:00.123987", "2024-02-29T12:00:00.123"),
        ("iso", "UTC", "2024-02-29", "2024-02-29T00:00:00"),
        ("iso", "Europe/Paris", "2024-02-29T12:00:00", "2024-02-29T11:00:00"),
        ("iso", "Europe/Paris", "2024-07-01T12:00:00", "2024-07-01T10:00:00"),
        ("iso", "Europe/Paris", "2024-07-01T12:00:00Z", "2024-07-01T12:00:00"),
        ("iso", "UTC", "2024-07-01T12:00:00+05:30", "2024-07-01T06:30:00"),
        # Clocks go back at three: the hour before comes twice, and the first is taken.
        ("iso", "Europe/Paris", "2024-10-27T02:30:00", "2024-10-27T00:30:00"),
        ("unix", "Europe/Paris", "1709208000", "2024-02-29T12:00:00"),
        ("unix", "UTC", 1709208000, "2024-02-29T12:00:00"),
        ("unix", "UTC", "1709208000.0019", "2024-02-29T12:00:00.001"),
        ("unix", "UTC", 1709208000.5, "2024-02-29T12:00:00.500"),
        ("unix_ms", "UTC", "1709208000123", "2024-02-29T12:00:00.123"),
        ("%d.%m.%Y %H:%M", "America/New_York", "29.02.2024 12:00", "2024-02-29T17:00:00"),
        ("%d/%b/%Y:%H:%M:%S %z", "UTC", "29/Feb/2024:12:00:00 +0100", "2024-02-29T11:00:00"),
    ],
)
def test_times_are_read(form: str, zone: str, value: Any, expected: str) -> None:
    """Each form and zone leads to the millisecond that is meant, cut and not rounded."""
    assert reader(form, zone)(value) == ms(expected)


@pytest.mark.parametrize(
    "value", ["", "yesterday", "2024-02-30", None, True, [], "9" * 300, "1999-12-31T23:59:59"]
)
def test_what_is_no_time_is_told(value: Any) -> None:
    """No time, an impossible one, and one before the earliest are refused with what was expected."""
    with pytest.raises(ValueError, match="expected a time"):
        reader()(value)


def test_the_earliest_time_can_be_set() -> None:
    """An older history is taken where the mapping says so."""
    assert reader(earliest="1990-01-01")("1995-01-01") == ms("1995-01-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "no TOML"),
        (GOOD + "[more]\n", "more: no such key"),
        (GOOD.replace("column", "colum"), "time.colum: no such key"),
        ('[fields]\nproduct = "p"\nversion = "v"\n', "time.column: expected the column"),
        (GOOD.replace("[fields]", 'zone = "Mars/Base"\n[fields]'), "time.zone: expected the IANA name"),
        (GOOD.replace("[fields]", 'format = "guess"\n[fields]'), "time.format: expected iso"),
        (GOOD.replace("[fields]", 'earliest = "long ago"\n[fields]'), "time.earliest: expected a day"),
        (GOOD.replace('product = "p"\n', ""), "product: expected its column"),
        (GOOD + 'color = "c"\n', "fields.color: expected arch"),
        (GOOD + 'id = "c"\n', "fields.id: expected arch"),
        (GOOD + "os = 1\n", "fields.os: expected a text"),
        (GOOD + 'os = ""\n', "fields.os: expected the name of a column"),
        (GOOD + '[file]\nformat = "xml"\n', "file.format: expected csv or ndjson"),
        (GOOD + '[file]\nencoding = "klingon"\n', "file.encoding: expected one that Python knows"),
        (GOOD + '[file]\ndelimiter = ",,"\n', "file.delimiter: expected one character"),
        (GOOD + '[file]\nquote = "<<"\n', "file.quote: expected one character"),
        (GOOD + '[file]\ncolumns = "a,b"\n', "file.columns: expected a list"),
        (GOOD + '[values]\nos = "x"\n', "values.os: expected a table"),
        (GOOD + "[values.os]\nold = 1\n", "values.os.old: expected a text"),
        (GOOD + "[row]\nid = 1\n", "row.id: expected a text"),
        ("fields = 1\n" + '[time]\ncolumn = "x"\n', "fields: expected a table"),
    ],
)
def test_a_wrong_mapping_is_told_by_its_key(text: str, said: str) -> None:
    """Every mistake names the key and what was expected."""
    with pytest.raises(BadMapping) as caught:
        parse(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", "csv"), ("a.csv.gz", "csv"), ("a.ndjson", "ndjson"), ("a.jsonl.gz", "ndjson"), ("-", "csv")],
)
def test_the_name_tells_the_format(name: str, form: str) -> None:
    """Where the mapping doesn't say it, the ending of the file does."""
    assert parse(GOOD, name).form.format == form


def test_extra_fields_may_be_spelled_with_a_dot() -> None:
    """``extra.theme`` and ``"extra.theme"`` are the same field."""
    for spelled in ("extra.theme", '"extra.theme"'):
        assert dict(parse(GOOD + f'{spelled} = "t"\n').fields)["extra.theme"] == "t"


def test_the_canonical_text_is_of_what_a_mapping_says() -> None:
    """Order and comments make no other mapping; another column does."""
    other = '[fields]\nversion = "v" # it is\nproduct = "p"\n[time]\ncolumn = "when"\n'
    assert parse(GOOD).canonical == parse(other).canonical
    assert parse(GOOD).canonical != parse(GOOD.replace('"v"', '"w"')).canonical


def test_a_moment_is_in_utc_unless_it_names_a_zone() -> None:
    """The times of --from and --until."""
    assert moment("2024-02-29T12:00:00") == ms("2024-02-29T12:00:00")
    assert moment("2024-02-29T12:00:00+01:00") == ms("2024-02-29T11:00:00")
    with pytest.raises(ValueError, match="Invalid isoformat"):
        moment("noon")
