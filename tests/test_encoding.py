"""`callhome.store.encoding`: rows as PostgreSQL reads them back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.store.encoding import (
    PING_COLUMNS,
    copy_payload,
    encode_license,
    encode_row,
    row_id,
    without_twins,
)
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter
from rows import Row

HOSTILE = ("'; DROP TABLE ping; --", '\\N\t\n"', "<img onerror=x>", "\\x00 %s {0} $1", "名前 𝔘 ñ", "")


async def test_every_column_comes_back_as_given(database: str) -> None:
    """A row with every column set is read back value for value, and the day follows from the time."""
    id, install, license = new_id(), bytes(range(16)), b"\xff" * 16
    at = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    row = encode_row(
        id, install, 1_709_251_199_999_999, 7, 10**9, 2, False, True, "FJ", "9.1", "b2", "linux", "12", "arm64",
        "de-DE", "beta", encode_license(license, "1234"), b'{"k":[1]}',
    )  # fmt: skip
    writer = BatchWriter(database)
    assert (await writer.write([row])).stored == 1
    connection = await asyncpg.connect(database)
    stored = dict((await connection.fetch("SELECT * FROM ping"))[0])
    batch = stored.pop("batch")
    assert tuple(stored.values()) == (
        UUID(bytes=id), install, at, date(2024, 2, 29), 7, 10**9, 2, False, True, "FJ", "9.1", "b2", "linux", "12",
        "arm64", "de-DE", "beta", license, "1234", '{"k": [1]}',
    )  # fmt: skip
    assert tuple(stored) == PING_COLUMNS[:-1]
    assert batch == await connection.fetchval("SELECT id FROM batch")
    await connection.close()
    await writer.close()


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_stored_as_text(database: str, text: str) -> None:
    """Quotes, COPY's own escapes and statements in a field are nothing but characters."""
    writer = BatchWriter(database)
    assert (await writer.write([bytes(Row(version=text, os=text, build=text))])).stored == 1
    connection = await asyncpg.connect(database)
    assert [tuple(row) for row in await connection.fetch("SELECT version, os, build FROM ping")] == [
        (text,) * 3
    ]
    await connection.close()
    await writer.close()


@given(st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 3)), max_size=30))
def test_twins_within_a_batch_are_left_out(keys: list[tuple[bytes, int]]) -> None:
    """What is left has each (id, install) once, in the order of the ids."""
    rows = [bytes(Row(id=id, install=install, users=i)) for i, (id, install) in enumerate(keys)]
    left = without_twins(rows)
    assert [row[:42] for row in left] == sorted({row[:42] for row in rows})
    assert set(left) <= set(rows)
    assert [row_id(row) for row in left] == sorted(row_id(row) for row in left)


def test_a_payload_without_rows_is_empty() -> None:
    """A payload of no rows is the header and the trailer of the format, and nothing between."""
    assert copy_payload([], bytes(16)) == b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"
