"""The viewer protocol: the exact messages, their frames, and a viewer that recovers from any loss."""

from __future__ import annotations

import datetime as dt

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from callhome.live.counters import Counters, Dirty
from callhome.live.wire import (
    SNAPSHOT_REQUEST,
    LiveState,
    Stamp,
    decode,
    encode_alive,
    encode_change,
    encode_snapshot,
    is_snapshot_request,
    text_frame,
)
from callhome.store.live import Snapshot

TODAY = dt.date(2026, 11, 22)
STAMP = Stamp("e1", 7, dt.datetime(2026, 11, 22, 9, 0, 0, 123000, tzinfo=dt.UTC))
HEAD = {"epoch": "e1", "seq": 7, "at": "2026-11-22T09:00:00.123000Z", "today": "2026-11-22"}
COUNTRIES = [("es", "DE", 1, 2, 3, 4, 5, 6), ("es", "FR", 1, 1, 1, 1, 1, 1)]
BUILDS = [("es", "1.0", "", 4)]


def full() -> Counters:
    """One product, two countries, one build."""
    counters = Counters()
    counters.load(Snapshot(3, TODAY, {"es": "Example Server"}, list(COUNTRIES), list(BUILDS)))
    return counters


def test_snapshot_has_the_documented_form() -> None:
    """A snapshot holds every row, in the order of the keys."""
    assert orjson.loads(encode_snapshot(STAMP, full())) == {
        "type": "snapshot",
        **HEAD,
        "products": [{"key": "es", "name": "Example Server"}],
        "countries": [list(row) for row in COUNTRIES],
        "builds": [list(row) for row in BUILDS],
    }


def test_change_has_only_dirty_rows() -> None:
    """A change holds the present values of the rows that changed."""
    dirty = Dirty(countries={("es", "FR")})
    assert orjson.loads(encode_change(STAMP, full(), dirty)) == {
        "type": "change",
        **HEAD,
        "products": [],
        "countries": [list(COUNTRIES[1])],
        "builds": [],
    }


def test_change_tells_of_gone_rows() -> None:
    """Rows that are gone are sent as zeros, a product that is gone without a name."""
    dirty = Dirty({"es"}, {("es", "DE")}, {("es", "1.0", "")})
    said = orjson.loads(encode_change(STAMP, Counters(), dirty))
    assert said["products"] == [{"key": "es", "name": None}]
    assert said["countries"] == [["es", "DE", 0, 0, 0, 0, 0, 0]]
    assert said["builds"] == [["es", "1.0", "", 0]]


def test_alive_has_the_documented_form() -> None:
    """A sign of life names the newest change and the age of the numbers."""
    expected = {"type": "alive", "epoch": "e1", "seq": 7, "stale_s": 1.2}
    assert orjson.loads(encode_alive("e1", 7, 1.2345)) == expected


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 70_000])
def test_frame_is_a_text_frame(size: int) -> None:
    """A frame of any length is read as one unmasked text frame by another implementation."""
    reader = StreamReader()
    reader.feed_data(text_frame(b"x" * size))
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as stopped:
        next(parsing)
    assert stopped.value.value == Frame(Opcode.TEXT, b"x" * size)
    assert not reader.buffer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SNAPSHOT_REQUEST, True),
        ('{ "type": "snapshot", "since": 4 }', True),
        ('{"type":"change"}', False),
        ('"snapshot"', False),
        ("[" * 500, False),
        ("", False),
    ],
)
def test_only_a_snapshot_can_be_asked_for(text: str, expected: bool) -> None:
    """A request is recognised, and anything else is not one."""
    assert is_snapshot_request(text) is expected


def test_viewer_notices_another_server() -> None:
    """A change or a sign of life of another epoch makes the viewer ask, and a snapshot settles it."""
    for foreign in (encode_change(STAMP._replace(epoch="e2"), full(), Dirty()), encode_alive("e2", 1, 0.0)):
        state = LiveState()
        state.receive(decode(encode_snapshot(STAMP, full())))
        assert (state.lost, state.epoch) == (False, "e1")
        state.receive(decode(foreign))
        assert (state.lost, state.epoch) == (True, "e1")
        state.receive(decode(encode_snapshot(STAMP._replace(epoch="e2", seq=1), full())))
        assert (state.lost, state.epoch, state.seq) == (False, "e2", 1)


def test_sign_of_life_shows_a_lost_last_message() -> None:
    """A viewer that missed the newest change learns it from the next sign of life."""
    state = LiveState()
    state.receive(decode(encode_snapshot(STAMP, full())))
    state.receive(decode(encode_alive("e1", 7, 0.0)))
    assert (state.lost, state.stale_s) == (False, 0.0)
    state.receive(decode(encode_alive("e1", 8, 3.0)))
    assert (state.lost, state.stale_s) == (True, 3.0)


def test_unknown_type_is_ignored() -> None:
    """A message of a later version of the protocol alters nothing."""
    state = LiveState()
    state.receive(decode(encode_snapshot(STAMP, full())))
    assert not state.receive(decode(b'{"type":"weather","epoch":"e1","seq":99}'))
    assert (state.lost, state.seq) == (False, 7)


Step = tuple[str, int, bool]
STEPS = st.lists(
    st.tuples(st.sampled_from(["DE", "FR", "US"]), st.integers(0, 2), st.booleans()), max_size=20
)


@given(steps=STEPS, merges=st.lists(st.booleans(), min_size=20, max_size=20))
def test_viewer_is_right_after_any_loss(steps: list[Step], merges: list[bool]) -> None:
    """However changes are merged and lost, a viewer that asks when it is lost ends with the same counters."""
    server, seq, dirty = full(), 1, Dirty()
    state = LiveState()
    state.receive(decode(encode_snapshot(STAMP._replace(seq=seq), server)))
    for (country, installs, is_dropped), is_merged in zip(steps, merges, strict=False):
        rows = {**{key[1]: row for key, row in server.countries.items()}, country: (installs,) * 6}
        countries = [("es", name, *row) for name, row in rows.items()]
        dirty.merge(server.load(Snapshot(server.seq + 1, TODAY, {"es": "Example Server"}, countries, [])))
        if is_merged:
            continue
        seq += 1
        if not is_dropped:
            state.receive(decode(encode_change(STAMP._replace(seq=seq), server, dirty)))
        dirty = Dirty()
        if state.lost:
            state.receive(decode(encode_snapshot(STAMP._replace(seq=seq), server)))
        elif not is_dropped:
            assert (state.countries, state.builds) == (server.countries, server.builds)
    state.receive(decode(encode_change(STAMP._replace(seq=seq + 1), server, dirty)))
    if state.lost:
        state.receive(decode(encode_snapshot(STAMP._replace(seq=seq + 1), server)))
    assert (state.products, state.countries, state.builds) == (
        server.products,
        server.countries,
        server.builds,
    )
