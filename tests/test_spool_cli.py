"""``callhome spool`` on real folders and a real database."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest

from callhome.spool.spool import Spool
from rows import Row
from test_cli_database import run


async def fill(folder: Path, pings: int) -> None:
    """Leave a spool with so many pings, two a record."""
    async with Spool(folder, limit_bytes=2**30, disk_percent=100) as spool:
        for first in range(0, pings, 2):
            await spool.append([bytes(Row(install=first)), bytes(Row(install=first + 1))])


async def count(dsn: str) -> int:
    """How many pings are stored."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM ping"))
    finally:
        await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that a server has left, with six pings."""
    asyncio.run(fill(tmp_path / "spool", 6))
    return tmp_path / "spool"


def test_inspect_shows_what_is_there(folder: Path, database: str) -> None:
    """A line for each segment: records, pings, bytes, age, state; as JSON the same; nothing is changed."""
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    result = run(database, "spool", "inspect", str(folder))
    assert result.exit_code == 0, result.output
    (line,) = (line.split("\t") for line in result.stdout.splitlines())
    assert (line[0], line[1:3], line[5]) == ("0000000001.seg", ["3", "6"], "complete")
    (told,) = json.loads(run(database, "spool", "inspect", str(folder), "--json").stdout)
    assert (told["records"], told["pings"], told["damaged"], told["sealed"]) == (3, 6, 0, True)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_inspect_ends_with_1_where_something_is_damaged(folder: Path, database: str) -> None:
    """A flipped bit is told, and the status says so."""
    (segment,) = folder.glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(bytes(content))
    result = run(database, "spool", "inspect", str(folder))
    assert result.exit_code == 1
    assert "1 records or parts damaged" in result.stdout


def test_drain_stores_all_and_empties_the_folder(folder: Path, database: str) -> None:
    """Every ping is stored once, also where some were before, and nothing is left to drain."""
    result = run(database, "spool", "drain", str(folder))
    assert result.exit_code == 0, result.output
    assert f"{folder}: 6 pings stored, 0 were there already; it is empty now" in result.stdout
    assert asyncio.run(count(database)) == 6
    assert not list(folder.glob("*.seg"))
    assert run(database, "spool", "drain", str(folder)).stdout == f"{folder} has no pings\n"


def test_drain_goes_into_the_folders_of_workers(tmp_path: Path, database: str) -> None:
    """A folder that has none itself is drained worker by worker."""
    for number in (1, 2):
        asyncio.run(fill(tmp_path / f"worker-{number}", 4))
    assert run(database, "spool", "drain", str(tmp_path)).exit_code == 0
    assert asyncio.run(count(database)) == 8


def test_a_folder_in_use_is_left_alone(folder: Path, database: str) -> None:
    """While a server has it, drain says so and does nothing."""

    async def drain_beside() -> int:
        async with Spool(folder, limit_bytes=2**30, disk_percent=100):
            result = await asyncio.to_thread(run, database, "spool", "drain", str(folder))
            assert "is in use by another process" in result.stderr
            return result.exit_code

    assert asyncio.run(drain_beside()) == 2
    assert asyncio.run(count(database)) == 0


@pytest.mark.parametrize("command", ["inspect", "drain"])
def test_a_folder_that_is_not_there_is_named(command: str, tmp_path: Path, database: str) -> None:
    """The error names it, and the setting that named it."""
    result = run(database, "spool", command, str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert str(tmp_path / "nowhere") in result.stderr
    assert "CALLHOME_SPOOL_DIR" in result.stderr
