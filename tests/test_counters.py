"""The counters' state machine: what each message does, and that no loss goes unnoticed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.live.counters import Change, Counters, CountryCounts, Dirty, decode_change
from callhome.store.live import Snapshot, change_messages, recount_message

TODAY = dt.date(2026, 11, 22)
DE = ("es", "DE")
DE_ROW = ("es", "DE", 1, 2, 3, 4, 5, 6)
BUILD_ROW = ("es", "1.0", "b7", 4)
ZEROS = (0, 0, 0, 0, 0, 0)


def snapshot(seq: int = 5, *, today: dt.date = TODAY) -> Snapshot:
    """One product with one country and one build."""
    return Snapshot(seq, today, {"es": "Example Server"}, [DE_ROW], [BUILD_ROW])


def loaded() -> Counters:
    """Counters with `snapshot` in them."""
    counters = Counters()
    counters.load(snapshot())
    return counters


@dataclass
class Case:
    """Messages after `snapshot`, and what must come of the last of them."""

    name: str
    changes: list[Change]
    dirty: Dirty = field(default_factory=Dirty)
    seq: int = 5
    lost: bool = False


FR = ("es", "FR")
FR_ROW = ("es", "FR", 1, 1, 1, 1, 1, 1)
CASES = [
    Case("next", [Change(6, countries=[FR_ROW])], Dirty(countries={FR}), seq=6),
    Case("equal values", [Change(6, TODAY, countries=[DE_ROW], builds=[BUILD_ROW])], seq=6),
    Case("gone country", [Change(6, countries=[(*DE, *ZEROS)])], Dirty(countries={DE}), seq=6),
    Case("gone build", [Change(6, builds=[("es", "1.0", "b7", 0)])], Dirty(builds={BUILD_ROW[:3]}), seq=6),
    Case("unknown row gone", [Change(6, countries=[(*FR, *ZEROS)])], seq=6),
    Case("midnight", [Change(6, dt.date(2026, 11, 23))], Dirty(today=True), seq=6),
    Case("not newer", [Change(5, countries=[FR_ROW])]),
    Case("twice", [Change(6, countries=[FR_ROW]), Change(6, countries=[(*FR, *ZEROS)])], seq=6),
    Case("gap", [Change(7, countries=[FR_ROW])], lost=True),
    Case("recount", [Change(6, recount=True)], lost=True),
    Case("old recount", [Change(5, recount=True)]),
    Case("after a gap", [Change(7), Change(6, countries=[FR_ROW])], lost=True),
    Case("first of two parts", [Change(6, part=0, parts=2, countries=[FR_ROW])]),
    Case(
        "both parts",
        [
            Change(6, part=0, parts=2, countries=[FR_ROW]),
            Change(6, part=1, parts=2, builds=[("es", "2", "", 1)]),
        ],
        Dirty(countries={FR}, builds={("es", "2", "")}),
        seq=6,
    ),
    Case("second part only", [Change(6, part=1, parts=2)], lost=True),
    Case("first part twice", [Change(6, part=0, parts=2), Change(6, part=0, parts=2)], lost=True),
    Case("part missing", [Change(6, part=0, parts=2), Change(7)], lost=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_change_does_what_the_table_says(case: Case) -> None:
    """Each message alters what it should, is dropped, or shows that something is missing."""
    counters = loaded()
    *before, last = case.changes
    for change in before:
        counters.apply(change)
    assert counters.apply(last) == case.dirty
    assert (counters.seq, counters.lost) == (case.seq, case.lost)


def test_nothing_counts_before_the_first_snapshot() -> None:
    """Changes before a snapshot are ignored, whatever their number."""
    counters = Counters()
    assert not counters.apply(Change(1, countries=[FR_ROW]))
    assert counters.lost
    assert not counters.countries


def test_row_of_zeros_is_not_kept() -> None:
    """Rows that are all zero, in a snapshot or a change, leave no trace in memory."""
    counters = loaded()
    counters.apply(Change(6, countries=[(*DE, *ZEROS)], builds=[("es", "1.0", "b7", 0)]))
    assert (counters.countries, counters.builds) == ({}, {})
    counters.load(Snapshot(7, TODAY, {}, [(*DE, *ZEROS)], [("es", "1.0", "b7", 0)]))
    assert (counters.countries, counters.builds) == ({}, {})


def test_load_returns_only_what_differs() -> None:
    """A snapshot after a gap makes only those rows dirty that the gap has changed, gone ones too."""
    counters = loaded()
    counters.lose()
    newer = Snapshot(9, TODAY, {"es": "Example Server", "db": "Database"}, [FR_ROW], [BUILD_ROW])
    assert counters.load(newer) == Dirty({"db"}, {DE, FR}, set())
    assert (counters.seq, counters.lost) == (9, False)


def test_older_snapshot_is_believed() -> None:
    """A database that was restored from a backup counts, although its number is lower."""
    counters = loaded()
    counters.load(snapshot(2))
    assert counters.apply(Change(3, countries=[FR_ROW]))


def test_snapshot_forgets_half_a_change() -> None:
    """Parts from before a snapshot don't complete a change after it."""
    counters = loaded()
    counters.apply(Change(6, part=0, parts=2))
    counters.load(snapshot(5))
    counters.apply(Change(6, part=1, parts=2))
    assert counters.lost


def test_totals_sum_over_countries() -> None:
    """A product's totals are the sums of its countries; one without pings has zeros."""
    counters = Counters()
    counters.load(Snapshot(1, TODAY, {"es": "", "db": ""}, [DE_ROW, FR_ROW, ("xx", "DE", *range(6))], []))
    assert counters.totals() == {
        "es": CountryCounts(2, 3, 4, 5, 6, 7),
        "db": CountryCounts(),
        "xx": CountryCounts(*range(6)),
    }


def test_dirty_knows_its_products() -> None:
    """Every kind of changed row names its product."""
    dirty = Dirty({"a"}, {("b", "DE")}, {("c", "1", "")})
    assert dirty.product_keys() == {"a", "b", "c"}


def test_payloads_of_the_store_are_understood() -> None:
    """What the rollup sends is what the counters take, in as many parts as it needs."""
    countries = [("es", f"{number:02}", *range(number, number + 6)) for number in range(400)]
    messages = change_messages(6, TODAY, countries, [BUILD_ROW])
    assert len(messages) > 1
    counters = loaded()
    for message in messages:
        counters.apply(decode_change(message))
    assert (counters.seq, counters.lost, len(counters.countries)) == (6, False, 401)
    counters.apply(decode_change(recount_message(7)))
    assert counters.lost


@pytest.mark.parametrize("payload", ["", "{}", "[]", '{"seq":"1"}', '{"seq":1,"countries":[["es","DE",1]]}'])
def test_unreadable_payload_is_an_error(payload: str) -> None:
    """A payload of another form raises, and is not half applied."""
    with pytest.raises(msgspec.DecodeError):
        decode_change(payload)


# --- whatever the line does ---

Rows = dict[tuple[str, str], int]
steps = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["DE", "FR"])), st.integers(0, 3), min_size=1
    ),
    min_size=1,
    max_size=8,
)


@given(steps=steps, data=st.data())
def test_no_line_makes_counters_wrong(steps: list[Rows], data: st.DataObject) -> None:
    """Split, dropped, repeated and reordered messages leave the counters right for their number, or lost."""
    history: list[Rows] = [{}]
    line: list[Change] = []
    for seq, step in enumerate(steps, 1):
        history.append({key: value for key, value in {**history[-1], **step}.items() if value})
        rows = [(*key, *[value] * 6) for key, value in step.items()]
        parts = data.draw(st.integers(1, len(rows)), label="parts")
        line += [
            Change(seq, TODAY, part, parts, countries=[(*row,) for row in rows[part::parts]])  # type: ignore[misc]
            for part in range(parts)
        ]
    delivered = data.draw(
        st.lists(st.sampled_from(range(len(line))), max_size=2 * len(line)), label="delivered"
    )
    if data.draw(st.booleans(), label="in order"):
        delivered.sort()
    counters = Counters()
    counters.load(Snapshot(0, TODAY, {}, [], []))
    for index in delivered:
        counters.apply(line[index])
        if counters.lost and data.draw(st.booleans(), label="snapshot"):
            # The snapshot is at least as new as anything that was delivered.
            newest = data.draw(st.integers(line[index].seq, len(steps)), label="newest")
            rows = [(*key, *[value] * 6) for key, value in history[newest].items()]
            counters.load(Snapshot(newest, TODAY, {}, rows, []))
        if not counters.lost:
            assert {key: row.users_30d for key, row in counters.countries.items()} == history[counters.seq]
