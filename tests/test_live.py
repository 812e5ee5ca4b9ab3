"""`callhome.store.live`: snapshots, and messages that PostgreSQL takes."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson
from hypothesis import given
from hypothesis import strategies as st

from callhome.live.counters import Counters, decode_change
from callhome.store import rollup
from callhome.store.live import BUILDS_SHOWN, LIVE_CHANNEL, change_messages, live_seq, live_snapshot
from callhome.store.writer import BatchWriter
from rows import Row
from test_rollup import TODAY

TEXT = st.text(st.characters(codec="utf-8"), max_size=64)
BUILDS = st.lists(st.tuples(TEXT, TEXT, TEXT, st.integers(0, 2**62)), max_size=150)
COUNTRIES = st.lists(
    st.tuples(TEXT, st.sampled_from(["DE", "ZZ"]), *[st.integers(0, 2**62)] * 6), max_size=100
)


@given(COUNTRIES, BUILDS)
def test_parts_fit_into_notify_and_lose_nothing(countries: list[Any], builds: list[Any]) -> None:
    """Each part is under 8,000 bytes, says its number and how many there are, and together they are the change."""
    messages = change_messages(7, TODAY, countries, builds)
    assert all(len(message.encode()) < 8_000 for message in messages)
    parts = [orjson.loads(message) for message in messages]
    assert [(part["seq"], part["part"], part["parts"]) for part in parts] == [
        (7, i, len(parts)) for i in range(len(parts))
    ]
    assert [tuple(row) for part in parts for row in part["countries"]] == countries
    assert [tuple(row) for part in parts for row in part["builds"]] == builds


async def test_a_snapshot_is_of_one_moment(database: str) -> None:
    """Products by name, rows by product key, and the number they belong to."""
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES'), ('b', 'B')")
    await connection.execute(
        "INSERT INTO live_count SELECT id, 'DE', 1, 2, 3, 4, 5, 6 FROM product WHERE key = 'es'"
    )
    await connection.execute("INSERT INTO live_build SELECT id, '1', '', 9 FROM product")
    await connection.execute("UPDATE live_seq SET seq = 41")
    snapshot = await live_snapshot(connection)
    assert snapshot.products == {"b": "B", "es": "ES"}
    assert snapshot.countries == [("es", "DE", 1, 2, 3, 4, 5, 6)]
    assert snapshot.builds == [("b", "1", "", 9), ("es", "1", "", 9)]
    assert (snapshot.seq, await live_seq(connection)) == (41, 41)
    await connection.close()


async def test_invented_builds_do_not_reach_viewers(database: str) -> None:
    """Of 300 builds those with the most installs are told, and following the messages ends where a snapshot begins."""
    connection, listener = await asyncpg.connect(database), await asyncpg.connect(database)
    await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES')")
    await rollup.prepare(connection)
    counters, messages = Counters(), list[Any]()
    counters.load(await live_snapshot(listener))
    await listener.add_listener(LIVE_CHANNEL, lambda *told: messages.append(told[-1]))
    writer = BatchWriter(database)
    for last in (30, 150, 300, 160):  # the last round moves installs back, and builds out of the list again
        rows = [Row(install=i, version=f"{i % last}", build="b") for i in range(last * 2)]
        await writer.write([bytes(row) for row in rows])
        await rollup.fold(connection)
        seq = await live_seq(listener)
        for message in messages:
            counters.apply(decode_change(message))
        messages.clear()
        snapshot = await live_snapshot(listener)
        assert counters.seq == seq == snapshot.seq
        assert not counters.lost
        assert sorted((*key, installs) for key, installs in counters.builds.items()) == snapshot.builds
        assert len(snapshot.builds) == min(last, BUILDS_SHOWN)
    await writer.close()
    await connection.close()
    await listener.close()
