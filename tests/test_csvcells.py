"""CSV for spreadsheets: no text becomes a formula, everything else comes through."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome import csvcells

SIGNS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
        ("+1", "'+1"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("a;=1", "a;'=1"),
        ("a\n@x", "a\n'@x"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("Müller-Lüdenscheid + Söhne; Ulm", "Müller-Lüdenscheid + Söhne; Ulm"),
        ("", ""),
    ],
)
@pytest.mark.fault(13)
def test_what_could_be_a_formula_is_prefixed(text: str, cell: str) -> None:
    """A text that a spreadsheet might run gets an apostrophe before it; no other text is changed."""
    assert csvcells.safe(text) == cell


@given(st.lists(st.text(), min_size=2, max_size=4), st.sampled_from(",;"))
def test_no_separator_makes_a_formula(texts: list[str], separator: str) -> None:
    """Whichever separator the reader takes, no cell of a file begins as a formula does."""
    for line in csv.reader(StringIO(csvcells.row(texts).replace("\0", ""), newline=""), delimiter=separator):
        assert not [cell for cell in line if cell.lstrip(" ").startswith(tuple(SIGNS)) and cell.strip()]


def test_cells_keep_their_values() -> None:
    """Texts are quoted where CSV asks for it, numbers stay numbers, days are in ISO 8601, None is empty."""
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert csvcells.row(['a "b", c', -5, Decimal("1.25"), date(2026, 3, 1), moment, None]) == (
        '"a ""b"", c",-5,1.25,2026-03-01,2026-03-01T12:30:00+00:00,\r\n'
    )


def test_a_file_begins_with_its_header() -> None:
    """The header is the first line, also of a file without any other."""
    assert list(csvcells.rows(["a", "b"], [])) == ["a,b\r\n"]
    assert list(csvcells.rows(["a", "b"], [[1, "=x"]])) == ["a,b\r\n", "1,'=x\r\n"]
