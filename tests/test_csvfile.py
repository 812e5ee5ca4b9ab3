"""A file of licenses as CSV: every line becomes a license, or is told with what is wrong."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.licenses.badlines import BadLines
from callhome.licenses.csvfile import COLUMNS, LINE_CHARACTERS, LicenseFile, UnreadableFile, opened
from callhome.licenses.fields import Sold
from callhome.licenses.keys import KeyHasher
from callhome.licenses.model import Counts, Use

KEY = KeyHasher(b"secret")
HEADER = "key,customer,product,seats\n"
GOOD = "ABCD-EFGH-0001,ACME,es,5\n"


def read(data: str | bytes) -> tuple[list[tuple[int, Sold]], BadLines, frozenset[str]]:
    """Return the good lines of a file, the bad ones, and the optional columns that it has."""
    bad = BadLines()
    file = LicenseFile(opened(BytesIO(data if isinstance(data, bytes) else data.encode())), KEY, bad)
    return list(file), bad, file.given


def complaints(lines: str | bytes) -> list[str]:
    """Return what is told of such lines under the shortest header."""
    _, bad, _ = read(HEADER.encode() + (lines if isinstance(lines, bytes) else lines.encode()))
    return [str(each) for each in sorted(bad.found)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_column_is_read(mark: str, separator: str, end: str) -> None:
    """Comma or semicolon, quoted or not, with a byte order mark or without, whatever ends the lines."""
    lines = [
        ["Key", "CUSTOMER", "product", "Seats", "counts", "use", "window_days", "starts", "ends", "grace_days",
         "overage", "revoked_on"],
        ["ABCD-EFGH-0001", '"ACME, ""Inc""; Ulm"', "es", '"50"', "user", "concurrent", "7", "2026-01-01", "2026-12-31",
         "0", "1.25", "2026-06-01"],
        [" ABCD-EFGH-0002 ", " Müller ", "es", "1", "", "", "", "", "", "", "unlimited", ""],
    ]  # fmt: skip
    good, bad, given = read(mark + "".join(separator.join(line) + end for line in lines))
    assert not bad.found
    assert given == set(COLUMNS) - {"key", "customer", "product", "seats"}
    first, second = KEY("ABCD-EFGH-0001"), KEY("ABCD-EFGH-0002")
    days = (date(2026, 1, 1), date(2026, 12, 31))
    assert good == [
        (2, Sold(first.hash, "0001", 'ACME, "Inc"; Ulm', "es", 50, Counts.USER, Use.CONCURRENT, 7, *days, 0,
                 Decimal("1.25"), date(2026, 6, 1))),
        (3, Sold(second.hash, "0002", "Müller", "es", 1, overage=None)),
    ]  # fmt: skip


def test_columns_may_be_few_and_in_any_order() -> None:
    """What isn't a column has its default and isn't given; a last line needs no end; empty lines are none."""
    good, bad, given = read(
        "seats;key;ends;product;customer;;\n\n5;ABCD-EFGH;2027-01-01;es;ACME;;\n;;;;;;\n  \n6;X;;es;B"
    )
    assert not bad.found
    assert given == {"ends"}
    assert [(number, sold.seats, sold.ends) for number, sold in good] == [
        (3, 5, date(2027, 1, 1)),
        (6, 6, None),
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("", "the first line names no column"),
        ("key,customer,product", "'seats' is missing"),
        ("key;customer;product;seats;note;note", "'note' is unknown; 'note' is there twice"),
        ("key,customer,product,seats,SEATS", "'seats' is there twice"),
        ("key\tcustomer\tproduct\tseats", "the first line names no column: expected key, customer"),
        ('key,"customer,product,seats', "a quote out of place"),
        ("k" * (LINE_CHARACTERS + 1), "more than 4096 characters"),
        ("key,customer,product,seats," + ",".join(f"x{n}" for n in range(50)), "and more are unknown"),
    ],
)
def test_a_header_that_is_none_is_told(header: str, said: str) -> None:
    """The columns that are unknown, missing or there twice are named, and those that there may be."""
    with pytest.raises(UnreadableFile) as caught:
        read(header + "\n" + GOOD)
    assert said in str(caught.value)
    assert "expected key, customer, product, seats, and where they are known counts, use, " in str(
        caught.value
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("data", [HEADER.encode("utf-16"), b"PK\x03\x04\x00\x00", b"\xff\xd8\xff\xe0"])
def test_what_is_no_text_is_told(data: bytes) -> None:
    """A file in another encoding, or one that isn't text at all, is refused with what to do."""
    with pytest.raises(UnreadableFile, match="save the file as CSV UTF-8"):
        read(data)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("K2,ACME,es,x\n", ["line 2, seats: got 'x'; expected a whole number from 1 to 1000000000"]),
        (
            "ABCD-EFGH-0002,,ES,0\n",
            [
                "line 2, customer: got ''; expected 1 to 200 printable characters",
                "line 2, product: got 'ES'; expected the key of a registered product, such as es",
                "line 2, seats: got '0'; expected a whole number from 1 to 1000000000",
            ],
        ),
        (",ACME,es,5\n", ["line 2, key: got a key of 0 characters; expected 1 to 128 printable characters"]),
        (
            "K2,ACME,es,5,extra\nK3,ACME,es\n",
            [
                "line 2: got 5 cells; expected 4, as in the header",
                "line 3: got 3 cells; expected 4, as in the header",
            ],
        ),
        (
            'K2,"ACME,es,5\nK3,ACME,es,y\n',
            [
                'line 2: got a quote out of place; expected each quoted cell closed by a " before the next separator, '
                "in the same line",
                "line 3, seats: got 'y'; expected a whole number from 1 to 1000000000",
            ],
        ),
        (
            "K2,A\x1b[2JB,es,5\n",
            ["line 2, customer: got 'A\\x1b[2JB'; expected 1 to 200 printable characters"],
        ),
        ("K2,A\u202eB,es,5\n", ["line 2, customer: got 'A\\u202eB'; expected 1 to 200 printable characters"]),
        (
            b"K2,M\xfcller,es,5\n",
            [r"line 2, customer: got 'M\xfcller'; expected text in UTF-8 (in Excel: save as CSV UTF-8)"],
        ),
        (
            b"SECRET-KEY-\xe9\\e1,ACME,es,\xff\n",
            [
                r"line 2, key: got a key that ends in '\xe9\\e1'; expected text in UTF-8 (in Excel: save as CSV UTF-8)",
                r"line 2, seats: got '\xff'; expected text in UTF-8 (in Excel: save as CSV UTF-8)",
            ],
        ),
        (
            "K2,ACME," + "x" * 5000 + ",5\nK3,ACME,es,z\n",
            [
                "line 2: got more than 4096 characters; expected at most 4096: is a quote missing?",
                "line 3, seats: got 'z'; expected a whole number from 1 to 1000000000",
            ],
        ),
    ],
)
def test_a_bad_line_is_told_with_place_and_expectation(lines: str | bytes, said: list[str]) -> None:
    """All that is wrong is told, with the number of the line and the column; a bad line costs none of the others."""
    assert complaints(lines) == said


def test_twins_of_a_key_are_bad_lines() -> None:
    """A key that was there is told with the line that had it, even where that one is bad; the key itself never is."""
    said = complaints(
        "SECRET-KEY-0001,ACME,es,5\n SECRET-KEY-0001 ,ACME,es,6\nSECRET-KEY-0002,ACME,es,x\nSECRET-KEY-0002,B,es,1\n"
    )
    assert said == [
        "line 3, key: got a key that ends in '0001'; expected each key once: it is in line 2 already",
        "line 4, seats: got 'x'; expected a whole number from 1 to 1000000000",
        "line 5, key: got a key that ends in '0002'; expected each key once: it is in line 4 already",
    ]


def test_a_license_that_ends_before_it_begins_is_a_bad_line() -> None:
    """Days that are good alone are judged together."""
    _, bad, _ = read(f"{HEADER.strip()},starts,ends\nK2,ACME,es,5,2026-02-01,2026-01-31\n")
    assert [str(each) for each in bad.found] == [
        "line 2, ends: got '2026-01-31'; expected no day before the first one, 2026-02-01"
    ]


@pytest.mark.parametrize(
    "characters", [LINE_CHARACTERS - 1, LINE_CHARACTERS, LINE_CHARACTERS + 1, LINE_CHARACTERS + 2]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_long_line_counts_as_one(characters: int, end: str) -> None:
    """However long a line is and wherever it is cut, the next one has the next number."""
    start = "K2,ACME,es,"
    _, bad, _ = read(HEADER + start + "9" * (characters - len(start)) + end + "K3,ACME,es,x" + end)
    assert [each.line for each in bad.found] == [2, 3]


def test_a_file_is_read_as_it_comes() -> None:
    """Lines are read one at a time: the first licenses are there before the last line is."""
    text = StringIO(HEADER + "".join(f"KEY-OF-LICENSE-{n},ACME,es,5\n" for n in range(1000)), newline="")
    lines = iter(LicenseFile(text, KEY, BadLines()))
    assert next(lines)[0] == 2
    assert text.tell() < 200


@given(
    st.lists(st.lists(st.text(max_size=20), min_size=4, max_size=4), max_size=4),
    st.booleans(),
    st.binary(max_size=40),
)
def test_no_file_is_a_surprise(cells: list[list[str]], quoted: bool, tail: bytes) -> None:
    """Whatever stands in a file, each line is a license or told, and nothing else is raised."""
    lines = StringIO(newline="")
    csv.writer(lines, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(cells)
    good, bad, _ = read(HEADER.encode() + lines.getvalue().encode("utf-8", "surrogatepass") + tail)
    numbers = [number for number, _ in good]
    assert not {each.line for each in bad.found}.intersection(numbers)
    assert numbers == sorted(set(numbers))


def test_a_key_in_the_wrong_place_is_not_shown() -> None:
    """Neither a file without a header nor a key in another column puts a whole key into a message."""
    key = "7M0QZ-AAAAA-11111-22222-33333"
    with pytest.raises(UnreadableFile) as caught:
        read(f"{key},ACME,es,5\n")
    told = [str(caught.value), *complaints(f"ABCD-EFGH-0001,ACME,{key},5\n{key},ACME,es,{key}\n")]
    assert len(told) == 3
    assert not [each for each in told if key.lower() in each.lower()]
    assert all("3333" in each for each in told[1:])
