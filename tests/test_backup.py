"""Backup, loss of everything, restore: with compose's own scripts, on a database made as compose makes it; rollback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from callhome.app import App
from callhome.store import products, schema
from callhome.store.ids import new_id
from callhome.store.rollup import ROLLUP_LOCK
from composed import ROOT
from listener import post
from machines import BACKUP, Machine, machine
from running import (
    Connection,
    all_folded,
    ask,
    connected,
    is_right,
    live,
    ping,
    recount,
    running,
    settings_of,
    until,
)

NIGHT_S = 30.0


@pytest.fixture(scope="module")
def shared(unused_tcp_port_factory: Callable[[], int]) -> Iterator[Machine]:
    """A machine with callhome's schema, for all tests but that of the loss."""
    with tempfile.TemporaryDirectory(prefix="callhome-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with machine(folder / "machine", unused_tcp_port_factory(), folder / "backups") as made:
            asyncio.run(schema.upgrade(made.dsn))
            yield made


@pytest.fixture
def here(shared: Machine) -> Iterator[Machine]:
    """That machine, without backups."""
    shared.backups.mkdir()
    yield shared
    shutil.rmtree(shared.backups)


async def contents(connection: Connection) -> dict[str, tuple[int, str]]:
    """Each table: how many rows it has, and a hash of them all."""
    tables = await connection.fetch(
        "SELECT c.oid::regclass::text AS name FROM pg_class c "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
    )
    found = {}
    for name in (row["name"] for row in tables):
        found[name] = tuple(
            await connection.fetchrow(
                f"SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {name} t"
            )
        )
    return found


@asynccontextmanager
async def unfolded(connection: Connection) -> AsyncIterator[None]:
    """While this is entered, nothing is folded."""
    await connection.execute("SELECT pg_advisory_lock($1)", ROLLUP_LOCK)
    yield
    await connection.execute("SELECT pg_advisory_unlock($1)", ROLLUP_LOCK)


def pings(count: int, **fields: Any) -> list[bytes]:
    """Pings of installs of their own, over the last days, each with an id that it keeps."""
    now = datetime.now(UTC)
    made = []
    for number in range(count):
        id_ = UUID(bytes=new_id((now - timedelta(days=number % 5)).timestamp()))
        made.append(
            ping(id=str(id_), install=f"install-{number}-{fields.get('version')}", users=number % 7, **fields)
        )
    return made


async def send(app: App, bodies: list[bytes]) -> None:
    """Send pings until each is acknowledged."""
    for body in bodies:
        assert (await ask(app.addresses.ingest, post(body))).status == 204


async def test_all_is_there_after_everything_was_lost(
    open_tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """Restored as the page says, all is counted: unfolded and spooled pings, and those sent meanwhile; no retry is."""
    page = (ROOT / "docs/deploy/backup.md").read_text("utf-8")
    make_way, put_in_place = by_hand(page)
    spool, settings = open_tmp_path / "spool", {"spool_after_s": "0.5"}
    (backups := open_tmp_path / "backups").mkdir()
    folded, queued = pings(40, version="1.0", license="ABCD-1234"), pings(10, version="2.0")
    late, spooled = (
        pings(5, version="3.0"),
        pings(20, version="4.0") + pings(3, version="4.0", product="later"),
    )
    meanwhile = pings(7, version="5.0")
    with machine(open_tmp_path / "one", unused_tcp_port_factory(), backups) as old:
        await schema.upgrade(old.dsn)
        async with (
            running(old.dsn, spool_dir=str(spool), **settings) as app,
            connected(old.dsn) as connection,
        ):
            await send(app, folded)
            await until(lambda: is_right(app.addresses.console, connection))
            async with unfolded(connection):
                await send(app, queued)
                before = await contents(connection)
                done = await asyncio.to_thread(old.backup, "now")
                assert done.returncode == 0, done.stderr
            assert before["batch"][0] > 0
            await send(app, late)
            await products.add(connection, "es", "ES")  # takes a number that nobody gets
            await products.add(connection, "later", "Later Product")
            await until(lambda: is_known(app, "later"))
            await asyncio.to_thread(old.stop)
            await send(app, spooled)
        old.lose()

    kept = folded + queued + spooled + meanwhile
    with machine(open_tmp_path / "two", unused_tcp_port_factory(), backups) as new:
        new.sql(*make_way)
        async with App(settings_of(new.dsn, spool_dir=str(spool), **settings)) as app:
            await send(app, meanwhile)
            (backup,) = new.backups_made()
            done = await asyncio.to_thread(new.backup, "restore", str(backup), PGDATABASE="callhome_restored")
            assert done.returncode == 0, done.stderr
            async with connected(f"{new.dsn}_restored") as connection:
                assert await contents(connection) == before
                await connection.execute(again(page, spool))
            await asyncio.to_thread(new.sql, *put_in_place)
            async with connected(new.dsn) as connection:
                await until(lambda: has(connection, len(kept)))
                await until(lambda: is_right(app.addresses.console, connection))
                versions = await connection.fetch("SELECT version, count(*) FROM ping GROUP BY 1 ORDER BY 1")
                # What came straight into the database after the backup is what is lost.
                assert [tuple(row) for row in versions] == [("1.0", 40), ("2.0", 10), ("4.0", 23), ("5.0", 7)]
                counts = await live(app.addresses.console)
                await send(app, kept)
                assert app.tally.duplicates >= len(kept)
                await until(lambda: all_folded(connection))
                assert await has(connection, len(kept))
                assert await live(app.addresses.console) == counts == await recount(connection)
                await send(app, late)
                await until(lambda: is_right(app.addresses.console, connection))
                assert await has(connection, len(kept + late))


def by_hand(page: str) -> tuple[list[str], list[str]]:
    """What the page on backups has the administrator run before the restore, and after it."""
    restore = page.partition("\n## Restore\n")[2].partition("\n## ")[0]
    before, _, after = restore.partition("backup.sh restore")
    found = [re.findall(r'-c "([^"]+)"', text) for text in (before, after)]
    assert all(found)
    return found[0], found[1]


def again(page: str, spool: Path) -> str:
    """What the page has run for a product of after the dump, with the number that the spool knows."""
    (statements,) = re.findall(
        r"^INSERT INTO product .*?;\nSELECT setval.*?;$", page, re.MULTILINE | re.DOTALL
    )
    number = json.loads((spool / "catalogue.json").read_bytes())["products"]["later"]
    assert "(7, 'later'" in statements
    return str(statements).replace("(7, 'later'", f"({number}, 'later'")


async def is_known(app: App, product: str) -> bool:
    """Whether the server takes pings of a product."""
    answer = await ask(
        app.addresses.ingest, post(ping(product=product, version="9.0", install="asks-whether"))
    )
    return answer.status < 300


async def has(connection: Connection, count: int) -> bool:
    """Whether so many pings are stored."""
    return bool(await connection.fetchval("SELECT count(*) = $1 FROM ping", count))


async def test_backup_of_a_busy_database_stops_no_ping(here: Machine) -> None:
    """Pings are stored while the database is dumped, and the dump is of one moment."""
    async with running(here.dsn) as app:
        dumping = asyncio.create_task(asyncio.to_thread(here.backup, "now"))
        sent = 0
        while not dumping.done():
            await send(app, [ping(install=f"install-{sent}")])
            sent += 1
        assert dumping.result().returncode == 0
    assert sent > 1


async def test_restore_into_a_database_with_something_in_it_is_refused(here: Machine) -> None:
    """A database that is not empty is left as it is."""
    assert here.backup("now").returncode == 0
    (backup,) = here.backups_made()
    async with connected(here.dsn) as connection:
        before = await contents(connection)
        done = here.backup("restore", str(backup))
        assert (done.returncode, "not empty" in done.stderr) == (1, True)
        assert await contents(connection) == before


async def test_old_backups_go_after_a_new_one_alone(here: Machine) -> None:
    """What is older than BACKUP_KEEP_DAYS is removed once a new one is made and read again; a failure removes none."""
    old, recent, other = (here.backups / name for name in ("callhome-1.dump", "callhome-2.dump", "notes.txt"))
    for path, days in ((old, 15), (recent, 13), (other, 99)):
        path.write_text("")
        os.utime(path, (time.time() - days * 86_400,) * 2)

    failed = here.backup("now", PGPORT="1")
    assert (failed.returncode, "FAILED: pg_dump" in failed.stderr) == (1, True)
    assert set(here.backups_made()) == {old, recent, other}

    done = here.backup("now")
    assert done.returncode == 0, done.stderr
    (new,) = set(here.backups_made()) - {recent, other}
    assert new.stat().st_mode & 0o077 == 0
    assert f"removed {old}" in done.stderr


@pytest.mark.parametrize(
    "damage", ["truncate -s -100", "dd if=/dev/zero bs=1 count=64 conv=notrunc seek=20000 status=none of="]
)
async def test_damaged_backup_is_not_kept(damage: str, here: Machine, tmp_path: Path) -> None:
    """A dump that can't be read to its end is no backup: it is told, and nothing is kept or removed."""
    async with connected(here.dsn) as connection:
        # So much that the damage is in the middle of it.
        await connection.execute(
            "INSERT INTO product (key, name) SELECT 'p' || n, md5(n::text) FROM generate_series(1, 9999) n "
            "ON CONFLICT DO NOTHING"
        )
    real = here.environment()["PATH"].partition(os.pathsep)[0]
    damaging = damage if damage.endswith("=") else f"{damage} "
    (wrapper := tmp_path / "pg_dump").write_text(
        f'#!/bin/sh\n{real}/pg_dump "$@" && {damaging}"${{2#--file=}}"\n'
    )
    wrapper.chmod(0o755)
    done = here.backup("now", PATH=f"{tmp_path}{os.pathsep}{here.environment()['PATH']}")
    assert (done.returncode, "can't be read again" in done.stderr) == (1, True), done.stderr
    assert [
        path for path in here.backups_made() if path.suffix == ".dump" and not path.name.startswith(".")
    ] == []


async def test_a_missing_backup_is_seen(here: Machine) -> None:
    """The check, which is the health of the service, succeeds with a backup of the last 26 hours alone."""
    assert here.backup("check").returncode == 1
    assert here.backup("now").returncode == 0
    assert here.backup("check").returncode == 0
    (backup,) = here.backups_made()
    os.utime(backup, (time.time() - 27 * 3_600,) * 2)
    assert here.backup("check").returncode == 1


async def test_first_night_is_now_and_failures_are_repeated(here: Machine) -> None:
    """Where there is no backup one is made at once, again and again until it succeeds; SIGTERM ends the service."""
    await asyncio.to_thread(here.stop)
    process = await asyncio.create_subprocess_exec(
        *("sh", str(BACKUP), "nightly"), env=here.environment(BACKUP_RETRY_S="0.2"), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(NIGHT_S):
            while b"FAILED: pg_dump" not in (line := await process.stderr.readline()):
                assert line
        await asyncio.to_thread(here.start)
        async with asyncio.timeout(NIGHT_S):
            while b" bytes" not in (line := await process.stderr.readline()):
                assert line
        assert here.backup("check").returncode == 0
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(NIGHT_S):
            assert await process.wait() == 143
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("minutes", [1, 61, 23 * 60])
def test_the_night_is_when_it_was_said(minutes: int, tmp_path: Path) -> None:
    """With a backup of today, the next is made at BACKUP_AT_UTC, and not before."""
    (tmp_path / "callhome-1.dump").write_text("")
    (sleep := tmp_path / "sleep").write_text("#!/bin/sh\necho $1; kill -TERM $PPID\n")
    sleep.chmod(0o755)
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    environ = {
        "BACKUP_DIR": str(tmp_path),
        "BACKUP_AT_UTC": f"{at:%H:%M}",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["sh", str(BACKUP), "nightly"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=NIGHT_S,
    )
    wanted_s = (at.replace(second=0, microsecond=0) - datetime.now(UTC)).total_seconds()
    assert abs(int(done.stdout) - wanted_s) < NIGHT_S


@pytest.mark.parametrize("at", ["2:30", "24:00", "02:60", "noon"])
def test_a_wrong_time_is_told(at: str, tmp_path: Path) -> None:
    """A time that is none ends the service with its name."""
    environ = {"BACKUP_DIR": str(tmp_path), "BACKUP_AT_UTC": at, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", str(BACKUP), "nightly"], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, f"BACKUP_AT_UTC is '{at}'" in done.stderr) == (2, True)


async def test_the_version_before_runs_on_what_a_newer_one_has_made(database: str) -> None:
    """With tables and columns that it doesn't know, a server goes on, and starts again; all of them stay."""
    newer = (
        "ALTER TABLE ping ADD COLUMN colour text; ALTER TABLE install ADD COLUMN colour text NOT NULL DEFAULT '';"
        "CREATE TABLE colour_daily (day date PRIMARY KEY); CREATE INDEX ON product (name);"
        "UPDATE schema_state SET fingerprint = 'newer'"
    )
    async with connected(database) as connection:
        async with running(database) as app:
            await send(app, pings(5, version="1.0"))
            await connection.execute(newer)
            await send(app, pings(5, version="2.0"))
            await until(lambda: is_right(app.addresses.console, connection))
        async with running(database) as app:
            await send(app, pings(5, version="3.0"))
            await until(lambda: is_right(app.addresses.console, connection))
            assert await has(connection, 15)
        assert await connection.fetchval("SELECT fingerprint <> 'newer' FROM schema_state")
        assert await connection.fetch("SELECT colour FROM ping, colour_daily") == []
        assert await connection.fetchval("SELECT count(colour) > 0 FROM install")
