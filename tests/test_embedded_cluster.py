"""What a data folder's commands and checks are made of; that they work is shown by the launcher's tests."""

from __future__ import annotations

import locale
import os
from pathlib import Path

import pytest

from callhome.embedded import cluster as clusters
from callhome.embedded.cluster import LOG_TAIL_LINES, Cluster, utf8_locale
from callhome.embedded.errors import EmbeddedPostgresError


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A folder without anything in it."""
    return Cluster(tmp_path, Path("/pg/bin"), 18, durable=True)


@pytest.mark.parametrize(("lacking", "expected"), [(False, "C.UTF-8"), (True, "C")])
def test_locale_falls_back(monkeypatch: pytest.MonkeyPatch, lacking: bool, expected: str) -> None:
    """C.UTF-8 is used where the platform knows it, else C."""

    def setlocale(category: int, name: str | None = None) -> str:
        if lacking and name == "C.UTF-8":
            raise locale.Error("unsupported locale setting")
        return "C"

    monkeypatch.setattr(locale, "setlocale", setlocale)
    assert utf8_locale() == expected


@pytest.mark.parametrize("stopping", [True, False])
def test_only_a_stopping_server_is_waited_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    """A folder whose server is stopping is waited for; one that is served is refused at once."""
    monkeypatch.setattr(clusters, "MARK_S", 0)
    other = Cluster(cluster.folder, cluster.bin_dir, 18, durable=True)
    other.lock(lambda: None)
    if stopping:
        other.mark_stopping()
        cluster.lock(lambda: os.close(other._lock_fd))
    else:
        with pytest.raises(EmbeddedPostgresError, match=f"in use by process {os.getppid()}"):
            cluster.lock(lambda: None)


@pytest.mark.parametrize("name", ["listen_addresses", "unix_socket_directories"])
def test_settings_cannot_open_the_server(cluster: Cluster, name: str) -> None:
    """No setting makes the server listen elsewhere than on 127.0.0.1."""
    command = cluster.server_command(5432, {name: "*", "work_mem": "1MB"})
    assert "work_mem=1MB" in command
    assert f"{name}=*" not in command
    assert "listen_addresses=127.0.0.1" in command


def test_log_tail_is_short_and_current(cluster: Cluster) -> None:
    """An error quotes the last lines of this start's log, however long it is."""
    assert cluster.log_tail() == ""
    cluster.log.write_text("".join(f"old {number}\n" for number in range(100)))
    start_bytes = cluster.log_size()
    with cluster.log.open("a") as log:
        log.write("new\n")
    assert cluster.log_tail(start_bytes) == "new"
    assert len(cluster.log_tail().splitlines()) == LOG_TAIL_LINES


def test_half_made_data_is_not_data(cluster: Cluster) -> None:
    """What a killed initdb left is thrown away, and the password made before it is kept."""
    cluster.begin()
    password = cluster.password()
    cluster.draft.mkdir()
    (cluster.draft / "PG_VERSION").write_text("18\n")
    cluster.check()
    cluster.begin()
    assert not cluster.draft.exists()
    assert cluster.password() == password


@pytest.mark.parametrize(
    ("pid_file", "ready"),
    [
        (None, False),
        ("7\n/data\n0\n5432\n\n127.0.0.1\n", False),
        ("7\n/data\n0\n5432\n\n127.0.0.1\n1 2\nstarting\n", False),
        ("7\n/data\n0\n5432\n\n127.0.0.1\n1 2\nready   \n", True),
        ("8\n/data\n0\n5432\n\n127.0.0.1\n1 2\nready   \n", False),
    ],
)
def test_readiness_is_this_servers(cluster: Cluster, pid_file: str | None, ready: bool) -> None:
    """A server is ready when its own pid file says so: not another's, left by a kill, and not half of it."""
    cluster.data.mkdir()
    if pid_file is not None:
        (cluster.data / "postmaster.pid").write_text(pid_file)
    assert cluster.ready(7) is ready
