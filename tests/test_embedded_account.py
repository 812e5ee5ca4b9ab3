"""As root, PostgreSQL runs as somebody else, and its data folder becomes theirs."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from callhome.embedded import account as accounts
from callhome.embedded.account import prepare_folder, server_account
from callhome.embedded.errors import EmbeddedPostgresError
from callhome.embedded.launcher import EmbeddedPostgres

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


@pytest.mark.skipif(os.geteuid() == 0, reason="root changes to another user")
def test_an_ordinary_user_stays() -> None:
    """Whoever isn't root runs the server under their own name."""
    assert server_account(None) is None


@pytest.fixture
def in_another_group() -> Iterator[None]:
    """Be in a supplementary group, as root is on most machines."""
    before = os.getgroups()
    os.setgroups([0, 1])
    yield
    os.setgroups(before)


@root_only
@pytest.mark.usefixtures("in_another_group")
def test_server_and_guard_are_not_root() -> None:
    """As root, neither the server nor its guard keeps any of root's identities and groups."""
    postgres = EmbeddedPostgres(durable=False)
    postgres.start()
    try:
        server = psutil.Process(postgres.pid)
        guard = server.parent()
        assert guard is not None
        for process in (server, guard):
            assert 0 not in {*process.uids(), *process.gids()}
            if sys.platform == "linux":
                assert "\nGroups:\t \n" in Path(f"/proc/{process.pid}/status").read_text()
    finally:
        postgres.stop()


@root_only
def test_nobody_serves_where_there_is_no_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user `nobody` serves on a machine without the user `postgres`, and a server starts as such."""
    monkeypatch.setattr(accounts, "CANDIDATES", ("no-such-user", "nobody"))
    server = EmbeddedPostgres(durable=False)
    server.start()
    try:
        assert psutil.Process(server.pid).uids().effective == pwd.getpwnam("nobody").pw_uid
    finally:
        server.stop()


@root_only
def test_no_user_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any fitting user the error says what to add."""
    monkeypatch.setattr(accounts, "CANDIDATES", ("no-such-user",))
    with pytest.raises(EmbeddedPostgresError, match="no user no-such-user: add one"):
        server_account(None)


@root_only
def test_folder_keeps_its_owner(open_tmp_path: Path) -> None:
    """A data folder that belongs to a known user is served as that user; an unknown owner is an error."""
    daemon = pwd.getpwnam("daemon")
    os.chown(open_tmp_path, daemon.pw_uid, daemon.pw_gid)
    account = server_account(open_tmp_path)
    assert account is not None
    assert account.name == "daemon"
    os.chown(open_tmp_path, 54321, 54321)
    with pytest.raises(EmbeddedPostgresError, match="belongs to uid 54321"):
        server_account(open_tmp_path)


@root_only
def test_fresh_volume_is_taken_over(open_tmp_path: Path) -> None:
    """An empty folder of root's, as a new volume is (lost+found aside), is given to the server's user."""
    volume = open_tmp_path / "volume"
    (volume / "lost+found").mkdir(parents=True)
    account = server_account(volume)
    assert account is not None
    prepare_folder(volume, account)
    status = volume.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (account.uid, 0o700)


def test_file_in_the_way_is_an_error(open_tmp_path: Path) -> None:
    """A data folder that is a file is an error naming it."""
    (open_tmp_path / "data").touch()
    with pytest.raises(EmbeddedPostgresError, match=f"can't use the data folder {open_tmp_path / 'data'}"):
        prepare_folder(open_tmp_path / "data", None)
