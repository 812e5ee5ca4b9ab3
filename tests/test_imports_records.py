"""`callhome.imports.records`, `alike` and `picking`: a record becomes the row that its ping would have."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callhome.imports.mapping import BadMapping, parse
from callhome.imports.picking import BadRow
from callhome.imports.records import Converter, LeftOut, Means, Span, UnknownProduct
from callhome.ingest.enrich import Enricher
from callhome.ingest.model import LegacyPing
from callhome.store.encoding import row_id
from callhome.store.ids import VERSION_7, VERSION_BITS, id_ms

SECRET = b"s" * 32
AT_MS = 1_709_208_000_123
NOW_MS = AT_MS + 1_000_000_000
COLUMNS = ("when", "p", "v", "m", "k", "n", "sys", "cc", "ip", "t", "r")
CELLS = ("1709208000123", "es", "4.2", "machine-1", "KEY-1", "7", "linux", "de", "", "dark", "17")
MAPPING = """
[time]
column = "when"
format = "unix_ms"
[fields]
product = "p"
version = "v"
install = "m"
license = "k"
users = "n"
os = "sys"
country = "cc"
address = "ip"
extra.theme = "t"
"""


def converter(
    mapping: str = MAPPING, columns: tuple[str, ...] = COLUMNS, span: Span | None = None
) -> Converter:
    """A converter that knows the product es, and finds every address in FJ."""
    name = "x.csv" if columns else "x.ndjson"
    means = Means(SECRET, {"es": 3}, lambda address: "FJ")
    return Converter(parse(mapping, name), columns, means, span or Span(0, 2**48, NOW_MS))


def cells(**given: str) -> list[str]:
    """The record, with other cells."""
    return [given.get(name, cell) for name, cell in zip(COLUMNS, CELLS, strict=True)]


def ordinary(ping: dict[str, Any], address: str, country: str) -> bytes:
    """What ingest makes of the ping, received at the time of the row."""
    row = Enricher(SECRET, {"es": 3}).row(
        msgspec.convert(ping, LegacyPing), address, country, (AT_MS + 0.5) / 1000
    )
    return row[:6] + row[22:]


PING = {
    "product": "es", "version": "4.2", "install": "machine-1", "license": "KEY-1", "users": 7, "os": "linux",
    "extra": {"theme": "dark"},
}  # fmt: skip


def test_a_row_is_what_ingest_would_have_made() -> None:
    """All columns but the id are those of the same ping on the wire."""
    product, row = converter().row(cells())
    assert product == 3
    assert row[:6] + row[22:] == ordinary(PING, "", "DE")


def test_an_id_has_the_time_and_is_the_same_each_time() -> None:
    """It is a UUIDv7 of the row's time; the same record has the same, another secret and another value another."""
    first, again = (row_id(converter().row(cells())[1]) for _ in range(2))
    assert first == again
    assert id_ms(first) == AT_MS
    assert int.from_bytes(first, "big") & VERSION_BITS == VERSION_7
    for name in COLUMNS[2:8] + COLUMNS[9:10]:
        changed = {"n": "8", "cc": "fr"}.get(name, cells()[COLUMNS.index(name)] + "x")
        assert row_id(converter().row(cells(**{name: changed}))[1]) != first, name


def test_the_id_of_a_row_decides_where_there_is_one() -> None:
    """With [row] id nothing else but the product and the time tells rows apart, and each row must have one."""
    mapping = MAPPING + '[row]\nid = "r"\n'
    ids = {row_id(converter(mapping).row(cells(v=version))[1]) for version in ("1", "2")}
    assert len(ids) == 1
    assert row_id(converter(mapping).row(cells(r="18"))[1]) not in ids
    with pytest.raises(BadRow, match="expected an id in every row"):
        converter(mapping).row(cells(r=" "))


def test_an_address_gives_the_country_and_is_gone() -> None:
    """The country is looked up where the row has none; nothing of the address is in the row."""
    row = converter().row(cells(cc="", ip="203.0.113.77"))[1]
    assert row[:6] + row[22:] == ordinary(PING, "203.0.113.77", "FJ")
    assert b"203" not in row
    assert bytes([203, 0, 113]) not in row


def test_without_an_install_it_is_made_of_license_and_network() -> None:
    """As ingest does for old requests: the same for all addresses of a /24."""
    weak = {name: value for name, value in PING.items() if name != "install"}
    for address in ("203.0.113.77", "203.0.113.9"):
        row = converter().row(cells(m="", ip=address))[1]
        assert row[:6] + row[22:] == ordinary(weak, "203.0.113.1", "DE")


@pytest.mark.parametrize(
    ("given", "column", "said"),
    [
        ({"when": "soon"}, "when", "expected a time (unix_ms)"),
        ({"when": str(NOW_MS + 7_200_000)}, "when", "expected a time that has been"),
        ({"v": ""}, "v", "expected a value (version)"),
        ({"v": "x" * 65}, "v", "expected a length of at most 64 (version)"),
        ({"m": "short"}, "m", "expected a length of at least 8 (install)"),
        ({"n": "many"}, "n", "expected `int`, got `str` (users)"),
        ({"n": "-1"}, "n", "expected an integer >= 0 (users)"),
        ({"cc": "Germany"}, "cc", "expected a country of two letters (ISO 3166-1)"),
        ({"ip": "my.host"}, "ip", "expected an IPv4 or IPv6 address"),
        ({"sys": "a\x07b"}, "sys", "expected no control and no bidirectional characters (os)"),
        ({"t": "a\u202eb"}, "extra", "expected no control and no bidirectional characters (extra)"),
        ({"v": "\udcff"}, "", "expected text in utf-8, and numbers of 64 bits"),
    ],
)
def test_a_bad_record_names_column_and_expectation(given: dict[str, str], column: str, said: str) -> None:
    """What is wrong is told by the column of the file and by what was expected."""
    with pytest.raises(BadRow) as caught:
        converter().row(cells(**given))
    assert (caught.value.column, caught.value.expected) == (column, said)


def test_a_line_of_another_width_is_bad() -> None:
    """A line must have as many cells as the header."""
    with pytest.raises(BadRow, match="expected 11 cells, as in the header"):
        converter().row(cells()[:-1])


def test_columns_must_be_there_once() -> None:
    """A mapping of a column that the file lacks, or has twice, is told before any row."""
    with pytest.raises(BadMapping, match="no column 'r'; it has when, p"):
        converter(MAPPING + '[row]\nid = "r"\n', COLUMNS[:-1])
    with pytest.raises(BadMapping, match="more than one column 'v'"):
        converter(MAPPING, (*COLUMNS, "v"))


def test_values_are_translated_and_constants_fill_in() -> None:
    """What the file calls things becomes what they are called here; empty cells take the constant."""
    mapping = (
        MAPPING + '[constants]\nos = "windows"\nchannel = "beta"\n[values.product]\nOld = "es"\nGone = ""\n'
    )
    read = converter(mapping).read(cells(p="Old", sys=" "))
    assert (read.ping.product, read.ping.os, read.ping.channel) == ("es", "windows", "beta")
    with pytest.raises(LeftOut):
        converter(mapping).read(cells(p="Gone"))


def test_an_unknown_product_is_told_apart() -> None:
    """It is no bad record: somebody may register it."""
    with pytest.raises(UnknownProduct, match="ec"):
        converter().row(cells(p="ec"))


def test_only_the_times_asked_for_are_taken() -> None:
    """From the first moment on, and before the last."""
    for span, is_in in ((Span(AT_MS, AT_MS + 1, NOW_MS), True), (Span(0, AT_MS, NOW_MS), False)):
        if is_in:
            converter(span=span).row(cells())
        else:
            with pytest.raises(LeftOut):
                converter(span=span).row(cells())


def test_json_gives_the_same_row() -> None:
    """Numbers, nested objects and missing values of JSON become what cells become, with the same id."""
    mapping = MAPPING.replace('version = "v"', 'version = "app.version"')
    line = {
        "when": AT_MS,
        "p": "es",
        "app": {"version": 42},
        "m": "machine-1",
        "n": 7,
        "sys": None,
        "cc": "de",
        "t": "dark",
    }
    row = converter(mapping, ()).row(json.dumps(line).encode())
    assert row == converter().row(cells(v="42", k="", sys=""))


@pytest.mark.parametrize("line", ["{", "[1]", '"x"', '{"when": 1709208000123, "p": "es", "v": 1.5}'])
def test_bad_json_is_told(line: str) -> None:
    """What is no object, or has a value of another kind."""
    with pytest.raises(BadRow):
        converter(MAPPING, ()).row(line)


COMMON = {"p": ["es", "none"], "v": ["4.2", ""], "cc": ["de", "", "D1"], "t": ["dark", ""]}
DIFFERING = {
    "when": ["1709208000123", "1709208000999", "never"],
    "m": ["machine-1", "machine-2", " machine-2 ", "short", "", "machine-\u202e1", "m\udc80achine-1"],
    "k": ["KEY-1", "KEY-2", "", "K" * 129, "KEY-\x001"],
    "n": ["7", "007", " 8", "", "-1", "many", "99999999999", "\u0667"],
    "ip": ["", "192.0.2.1", "::ffff:192.0.2.1", "nowhere"],
    "r": ["17", "18", ""],
}


def some_of(values: dict[str, list[str]]) -> st.SearchStrategy[dict[str, str]]:
    """One value for each column, the first more often."""
    return st.fixed_dictionaries(
        {name: st.sampled_from(some[:1] * 3 + some[:2] + some) for name, some in values.items()}
    )


MAPPINGS = (
    MAPPING,
    MAPPING + '[row]\nid = "r"\n',
    MAPPING + '[values.license]\n"KEY-2" = ""\n[values.users]\n"many" = "12"\n"" = "3"\n',
    MAPPING.replace('license = "k"\n', "") + '[constants]\nlicense = "KEY-9"\nbuild = "b1"\n',
)


@given(st.sampled_from(MAPPINGS), some_of(COMMON), st.lists(some_of(DIFFERING), min_size=4))
@settings(max_examples=300, deadline=None)
def test_what_came_before_changes_nothing(
    mapping: str, common: dict[str, str], records: list[dict[str, str]]
) -> None:
    """A record becomes the row, or the refusal, that it becomes where no other was seen."""

    def outcome(make: Converter, record: list[str]) -> object:
        try:
            return make.row(record)
        except (BadRow, LeftOut, UnknownProduct) as error:
            return type(error), str(error), getattr(error, "column", ""), getattr(error, "given", "")

    one = converter(mapping)
    for record in records:
        assert outcome(one, cells(**common, **record)) == outcome(
            converter(mapping), cells(**common, **record)
        )
