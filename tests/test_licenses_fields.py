"""The fields of a license, as people give them."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.licenses import fields
from callhome.licenses.fields import InvalidLicense
from callhome.licenses.model import Counts, Use


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("customer", "  ACME\u00a0S.A.\u202f ", "ACME S.A."),
        ("customer", '=HYPERLINK("http://x")', '=HYPERLINK("http://x")'),
        ("customer", "<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("customer", "株" * 200, "株" * 200),
        ("product", "report-builder", "report-builder"),
        ("seats", "1", 1),
        ("seats", "1000000000", 1_000_000_000),
        ("counts", "User", Counts.USER),
        ("use", " concurrent ", Use.CONCURRENT),
        ("window_days", "366", 366),
        ("starts", "2024-02-29", date(2024, 2, 29)),
        ("ends", "9999-12-31", date(9999, 12, 31)),
        ("grace_days", "0", 0),
        ("overage", "1", Decimal("1.00")),
        ("overage", "1.0", Decimal("1.00")),
        ("overage", "1,25", Decimal("1.25")),
        ("overage", "1.50", Decimal("1.50")),
        ("overage", "Unlimited", None),
        ("revoked_on", "2026-11-25", date(2026, 11, 25)),
    ],
)
def test_a_field_is_read(name: str, text: str, value: object) -> None:
    """What people write becomes the value, without the blanks around it."""
    assert fields.read(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("customer", text)
            for text in ("", " ", "a\nb", "a\x1b[2J", "\u202eAB", "a\u2028b", "\ud800", "x" * 201)
        ),
        *(("product", text) for text in ("", "ES", "a b", "x" * 65, "es\x00")),
        *(("seats", text) for text in ("", "0", "-1", "1.5", "1e3", "1_000", "1000000001", "٣", "9" * 99)),
        *(("counts", text) for text in ("", "seat", "users")),
        *(("use", text) for text in ("", "floating")),
        *(("window_days", text) for text in ("0", "367")),
        *(
            ("starts", text)
            for text in ("25.11.2026", "2026-2-1", "20261125", "2026-W01-1", "2026-02-30", "0000-01-01")
        ),
        *(("grace_days", text) for text in ("-1", "367")),
        *(("overage", text) for text in ("", "2", "1.1", "0", "inf", "125%")),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(name: str, text: str) -> None:
    """What is no value is told with the field, what was given and what was expected."""
    with pytest.raises(InvalidLicense) as caught:
        fields.read(name, text)
    error = caught.value
    assert (error.field, error.exit_code) == (name, 2)
    assert str(error).startswith(f"{name}: got {text[:20]!r}"[: len(name) + 6])
    assert str(error).endswith(f"expected {fields.FIELDS[name].expected}")
    assert len(str(error)) < 500


@given(st.sampled_from(list(fields.FIELDS)), st.text(max_size=300))
def test_no_text_is_a_surprise(name: str, text: str) -> None:
    """Any text is either refused or a value, which written out is the same value."""
    found = None
    with suppress(InvalidLicense):
        found = fields.read(name, text)
    assert found is None or (name, found) == (name, fields.read(name, str(found)))


def test_a_license_ends_no_day_before_it_begins() -> None:
    """One day is a span; a day less is none."""
    one = date(2026, 11, 25)
    fields.check_span(one, one)
    fields.check_span(one, None)
    fields.check_span(None, one)
    with pytest.raises(
        InvalidLicense, match=r"^ends: got '2026-11-24'; expected no day before .* 2026-11-25$"
    ):
        fields.check_span(one, date(2026, 11, 24))
