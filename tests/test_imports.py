"""`callhome import` from end to end: what is counted is what would have been, had every ping come in its time."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callhome.store import schema
from histories import (
    MAPPING,
    TODAY,
    Event,
    export,
    history,
    keep_from,
    products,
    repeated,
    retain,
    send,
    summaries,
)
from running import SECRET, connected, running, until
from test_cli_serve import CLEAN

PATIENCE_S = 120


def environ(dsn: str) -> dict[str, str]:
    """What the command is started with."""
    return {**CLEAN, "CALLHOME_DATABASE_URL": dsn, "CALLHOME_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}


def command(file: Path, *words: str) -> list[str]:
    """The command line that imports a file, with the mapping beside it."""
    mapping = file.with_name("mapping.toml")
    if not mapping.exists():
        mapping.write_text(MAPPING, "utf-8")
    return [sys.executable, "-m", "callhome", "import", str(file), "--mapping", str(mapping), *words]


async def imported(dsn: str, file: Path, *words: str, code: int = 0) -> str:
    """Run the command to its end; return what it said."""
    process = await asyncio.create_subprocess_exec(
        *command(file, *words),
        cwd=file.parent, env=environ(dsn), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == code, said.decode()
    return said.decode()


@pytest.fixture
async def pair(database: str, empty_database: str) -> tuple[str, str]:
    """Two databases with the same products: to import into, and to send to."""
    await schema.upgrade(empty_database)
    for dsn in (database, empty_database):
        await products(dsn)
    return database, empty_database


async def assert_same(dsn: str, other: str) -> None:
    """Every summary and every kept ping is the same in both."""
    here, there = await summaries(dsn), await summaries(other)
    for name, rows in there.items():
        assert here[name] == rows, name
        assert rows, f"{name} is empty and proves nothing"


async def test_it_counts_as_if_each_ping_had_come_in_time(pair: tuple[str, str], tmp_path: Path) -> None:
    """A history of two years, in any order, with equal lines: after the retention all is as had it been sent."""
    events = repeated(history(1))
    shuffled = random.Random(2).sample(events, len(events))
    said = await imported(pair[0], export(tmp_path / "old.csv", shuffled), "--processes", "2")
    assert f"Imported {len(events):,} rows" in said
    await send(pair[1], events)
    await assert_same(*pair)


async def test_what_is_live_already_is_linked_to_what_came_before(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    """Installs that have pinged here since yesterday, and whose past is imported now: as had it been there before."""
    events = history(3)
    split = next(i for i, event in enumerate(events) if event.at.date() >= TODAY - timedelta(days=30))
    await send(pair[0], events[split:])
    await imported(pair[0], export(tmp_path / "old.csv", events), "--until", events[split].at.isoformat())
    await send(pair[1], events)
    await assert_same(*pair)


async def test_the_same_file_is_not_imported_twice(pair: tuple[str, str], tmp_path: Path) -> None:
    """Under another name it is the same file, also after the retention has dropped its rows; nothing changes."""
    file = export(tmp_path / "old.csv", history(4, 300))
    await imported(pair[0], file)
    before = await summaries(pair[0])
    again = file.rename(tmp_path / "renamed.csv")
    assert "nothing is left to do" in await imported(pair[0], again, code=2)
    assert await summaries(pair[0]) == before


async def test_two_files_that_overlap_count_once(pair: tuple[str, str], tmp_path: Path) -> None:
    """Rows within the retention that are in both files are known again by their ids, equal lines included."""
    events = repeated(history(5, 900, (-399, -200, -2, -1)))
    first, second = events[:600], events[300:]
    # As a second export would be: it begins at a moment, not between two lines that are the same.
    second = [event for event in second if event.at > events[299].at]
    await imported(pair[0], export(tmp_path / "first.csv", first))
    said = await imported(pair[0], export(tmp_path / "second.csv", reversed(second)))
    assert f"{len(first) + len(second) - len(events):,} were there before" in said
    await send(pair[1], events)
    await assert_same(*pair)


async def test_old_rows_that_may_count_twice_are_refused(pair: tuple[str, str], tmp_path: Path) -> None:
    """Older rows of times that were imported before need --from, or the word that none is in both."""
    events = history(6, 600)
    middle = next(i for i, event in enumerate(events) if event.at.date() >= TODAY - timedelta(days=450))
    await imported(pair[0], export(tmp_path / "first.csv", events[: middle + 50]))
    second = export(tmp_path / "second.csv", events[middle - 50 :])
    said = await imported(pair[0], second, code=2)
    assert "'first.csv', imported on" in said
    assert f"es from {events[0].at:%Y-%m-%d}" in said
    cut = events[middle + 49].at + timedelta(milliseconds=1)
    await imported(pair[0], second, "--from", cut.isoformat())
    await send(pair[1], events)
    await assert_same(*pair)


async def test_overlapping_imports_rows_of_the_same_times(pair: tuple[str, str], tmp_path: Path) -> None:
    """Two exports of the same years with no row in both, such as of two machines, are imported on request."""
    events = history(7, 600)
    await imported(pair[0], export(tmp_path / "one.csv", events[::2]))
    other = export(tmp_path / "other.csv", events[1::2])
    await imported(pair[0], other, code=2)
    await retain(pair[0])
    await imported(pair[0], other, "--overlapping")
    await send(pair[1], events)
    await assert_same(*pair)


async def test_the_retention_may_run_between_two_files(pair: tuple[str, str], tmp_path: Path) -> None:
    """Cut at any moment of an old day, with installs that have pinged here already: as had it all come in time."""
    events = history(8, 900, (-800, -799, -770, -769, -500, -431, -2, -1))
    live = next(i for i, event in enumerate(events) if event.at.date() > TODAY - timedelta(days=30))
    day = TODAY - timedelta(days=769)
    of_day = [i for i, event in enumerate(events) if event.at.date() == day]
    cut = of_day[len(of_day) // 2]
    await send(pair[0], events[live:])
    for name, part in (("first.csv", events[:cut]), ("second.csv", events[cut:live])):
        await imported(pair[0], export(tmp_path / name, part))
        await retain(pair[0])
    await send(pair[1], events)
    await assert_same(*pair)


@contextmanager
def started(dsn: str, file: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running."""
    process = subprocess.Popen(
        command(file, *words),
        cwd=file.parent,
        env=environ(dsn),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def progress(dsn: str) -> int:
    """How many rows of the one import are in; -1 before it is registered."""
    async with connected(dsn) as connection:
        done = await connection.fetchval("SELECT done FROM import_run")
    return -1 if done is None else done


@pytest.mark.parametrize("seed", range(3))
async def test_killed_at_any_moment_it_goes_on(pair: tuple[str, str], tmp_path: Path, seed: int) -> None:
    """Killed again and again, and begun again, the import ends as one that nothing happened to."""
    chance = random.Random(seed)
    events = repeated(history(10 + seed, 1_200))
    file = export(tmp_path / "old.csv", events)
    kills = 0
    while kills < 6:
        with started(pair[0], file) as process:
            wanted = await progress(pair[0]) + 1

            async def has_moved(wanted: int = wanted, process: subprocess.Popen[str] = process) -> bool:
                return process.poll() is not None or await progress(pair[0]) >= wanted

            await until(has_moved, PATIENCE_S)
            await asyncio.sleep(chance.random() * 0.3)
            if process.poll() is not None:
                break
            process.kill()
            kills += 1
    assert kills, "it was done before it could be killed"
    said = await imported(pair[0], file, code=2 if await is_finished(pair[0]) else 0)
    assert "Going on behind" in said or "nothing is left to do" in said
    async with connected(pair[0]) as connection:
        from callhome.store import rollup
        from histories import fold

        await rollup.prepare(connection)
        await fold(connection)
    await send(pair[1], events)
    await assert_same(*pair)


async def is_finished(dsn: str) -> bool:
    """Whether the one import has ended."""
    async with connected(dsn) as connection:
        return bool(await connection.fetchval("SELECT finished_at IS NOT NULL FROM import_run"))


async def test_it_lives_through_the_loss_of_its_connections(pair: tuple[str, str], tmp_path: Path) -> None:
    """The database ends its connections again and again: it connects anew and loses no row and counts none twice."""
    events = history(20, 1_200)
    file = export(tmp_path / "old.csv", events)
    with started(pair[0], file) as process:
        async with connected(pair[0]) as connection:
            while process.poll() is None:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'callhome import' AND datname = current_database()"
                )
                await asyncio.sleep(1.0)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, said
    await send(pair[1], events)
    await assert_same(*pair)


async def test_ctrl_c_says_how_to_go_on(pair: tuple[str, str], tmp_path: Path) -> None:
    """Ctrl-C ends it with a word on how to go on, and the same command does."""
    events = history(21, 1_200)
    file = export(tmp_path / "old.csv", events)
    with started(pair[0], file) as process:

        async def has_begun() -> bool:
            return process.poll() is not None or await progress(pair[0]) > 0

        await until(has_begun, PATIENCE_S)
        process.send_signal(signal.SIGINT)
        said = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert process.returncode == 1, said
    assert "the same command goes on where it was" in said[0]
    assert "Traceback" not in said[0]
    await imported(pair[0], file)
    await send(pair[1], events)
    await assert_same(*pair)


async def test_a_server_counts_what_is_left_to_it(pair: tuple[str, str], tmp_path: Path) -> None:
    """With --no-wait the servers fold what was stored; both together come to the same."""
    events = history(22, 600)
    async with running(pair[0]):
        said = await imported(pair[0], export(tmp_path / "old.csv", events), "--no-wait")
        assert "Counted" not in said
        async with connected(pair[0]) as connection:

            async def is_folded() -> bool:
                return not await connection.fetchval("SELECT EXISTS (SELECT FROM batch)")

            await until(is_folded)
    await send(pair[1], events)
    await assert_same(*pair)


async def test_only_one_import_goes_at_a_time(pair: tuple[str, str], tmp_path: Path) -> None:
    """A second import says that there is another."""
    async with connected(pair[0]) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", 0x63616C6C_00000009)
        said = await imported(pair[0], export(tmp_path / "old.csv", history(23, 20)), code=2)
    assert "another import is under way" in said


def unique(events: Sequence[Event]) -> list[Event]:
    """The same without repetitions."""
    return sorted(set(events))


async def test_rows_with_an_id_of_their_own_are_told_apart_by_it(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    """With [row] id, lines with the same id are one row, in one file and in two."""
    events = unique(history(24, 200, (-200, -1)))
    file = tmp_path / "old.csv"
    (tmp_path / "mapping.toml").write_text(MAPPING + '[row]\nid = "number"\n', "utf-8")

    def lines(numbers: Any) -> str:
        head, *rest = export(tmp_path / "plain.csv", events).read_text("utf-8").splitlines()
        return "\n".join([f"number,{head}", *(f"{n},{rest[n]}" for n in numbers)]) + "\n"

    file.write_text(lines([*range(150), *range(100, 150)]), "utf-8")
    assert "50 rows had the id of another" in await imported(pair[0], file)
    file.write_text(lines(range(120, 200)), "utf-8")
    assert "30 were there before" in await imported(pair[0], file)
    await send(pair[1], events)
    await assert_same(*pair)


async def test_retention_waits_for_an_import(pair: tuple[str, str], tmp_path: Path) -> None:
    """For a week after an import has moved on, old activity stays, and pings that are not folded; then all goes."""
    from callhome.store import partitions

    events = history(25, 300)
    await imported(pair[0], export(tmp_path / "old.csv", events), "--no-wait")
    async with connected(pair[0]) as connection:
        days = {event.at.date() for event in events if event.at.date() >= keep_from()}
        far = max(days) + timedelta(days=500)
        kept = await connection.fetchval("SELECT count(*) FROM ping")
        await partitions.drop_old(connection, far, 400)
        assert await connection.fetchval("SELECT count(*) FROM ping") == kept, "they wait to be folded"
        old = "SELECT count(*) FROM activity WHERE day < $1"
        before = await connection.fetchval(old, keep_from())
        assert before
        from callhome.store import rollup
        from histories import fold

        await rollup.prepare(connection)
        await fold(connection)
        await partitions.drop_old(connection, TODAY, 400)
        assert await connection.fetchval(old, keep_from()) == before, "the next file may need them"
        await connection.execute("UPDATE import_run SET advanced_at = now() - interval '8 days'")
        await partitions.drop_old(connection, TODAY, 400)
        month = keep_from().replace(day=1)
        assert await connection.fetchval(old, month) == 0
        await partitions.drop_old(connection, far, 400)
        assert await connection.fetchval("SELECT count(*) FROM ping") == 0
