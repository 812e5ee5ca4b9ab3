"""``callhome serve`` as a process: an embedded database, a product, a ping, SIGTERM."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callhome.cli.home import home

# Embedded PostgreSQL takes half a second to start; a busy machine many times that.
READY_S = 60
# A running server knows of a new product within a second; a busy machine may take a few.
KNOWN_S = 5
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("CALLHOME_")}
# What the server of the fixture `database` needs; see conftest.py.
CLEAN["CALLHOME_ALLOW_FSYNC_OFF"] = "true"


def callhome(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one ``callhome`` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "callhome", *words],
        env=CLEAN | environ,
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )


@contextmanager
def serving(*words: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A ``callhome serve`` on free ports, ready: the process, and the lines it printed."""
    ports = ["--ingest-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "callhome", "serve", *ports, *words],
        env=CLEAN | environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.lstrip().startswith("curl"):
                break
        else:
            pytest.fail(f"it ended before it was ready: {lines}")
        yield process, lines
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(READY_S)
        process.stdout.close()


def told(lines: list[str], before: str) -> str:
    """The word that follows ``before`` in what was printed."""
    return next(line.split(before)[1].split()[0].rstrip(",") for line in lines if before in line)


def stop(process: subprocess.Popen[str], how: signal.Signals) -> int:
    """Send a signal; return the exit code."""
    process.send_signal(how)
    return process.wait(READY_S)


def test_from_nothing_to_a_stored_ping() -> None:
    """What ``serve --embedded`` prints leads to a stored ping; SIGTERM ends with 0 and leaves nothing."""
    with serving("--embedded") as (process, lines):
        ingest, secrets = told(lines, "pings at "), told(lines, "CALLHOME_SECRETS_DIR=")
        words = ["ping", "--product", "es", "--version", "1.0", "--url", ingest]

        refused = callhome(*words)
        added = callhome("product", "add", "es", "--name", "Example Server", CALLHOME_SECRETS_DIR=secrets)
        known_by_s = time.monotonic() + KNOWN_S
        while (accepted := callhome(*words)).returncode and time.monotonic() < known_by_s:
            pass
        pasted = subprocess.run(lines[-1], shell=True, capture_output=True, text=True, check=False)

        assert (refused.returncode, "callhome product add es" in refused.stdout) == (1, True)
        assert (added.returncode, added.stdout) == (0, "es is registered as 'Example Server'\n")
        assert (accepted.returncode, "The ping is durable" in accepted.stdout) == (0, True), accepted.stdout
        assert pasted.stdout.startswith("HTTP/1.1 20"), pasted
        assert stop(process, signal.SIGTERM) == 0
    assert not Path(secrets).exists()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_data_folder_keeps_data_and_secret(loop: str, open_tmp_path: Path) -> None:
    """With ``--data-dir`` products and secret survive a restart, for their owner only; Ctrl-C ends with 0."""
    folder = open_tmp_path / "data"
    secrets = folder / "secrets"
    found: list[str] = []
    for _ in range(2):
        with serving("--embedded", "--data-dir", str(folder), "--loop", loop) as (process, _lines):
            callhome("product", "add", f"p{len(found)}", CALLHOME_SECRETS_DIR=str(secrets))
            listed = callhome("product", "list", CALLHOME_SECRETS_DIR=str(secrets))
            found.append((secrets / "secret").read_text())
            modes = {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()}
            assert stop(process, signal.SIGINT) == 0
        assert modes == {0o600}
    assert found[0] == found[1]
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()] == ["p0", "p1"]
    assert not (secrets / "database_url").exists()

    other = callhome("serve", "--embedded", "--data-dir", str(folder), CALLHOME_SECRET="z" * 32)
    assert other.returncode == 2
    assert "CALLHOME_SECRET is not the secret of this data" in other.stderr


def test_workers_share_an_embedded_database(open_tmp_path: Path) -> None:
    """With ``--workers`` the database is the supervisor's, each worker has a spool in the data folder, and all end."""
    folder = open_tmp_path / "data"
    secrets = folder / "secrets"
    with serving("--embedded", "--data-dir", str(folder), "--workers", "2") as (process, lines):
        assert told(lines, "CALLHOME_SECRETS_DIR=") == str(secrets)
        assert callhome("product", "add", "es", CALLHOME_SECRETS_DIR=str(secrets)).returncode == 0
        words = ["ping", "--product", "es", "--version", "1.0", "--url", told(lines, "pings at ")]
        known_by_s = time.monotonic() + KNOWN_S
        while (accepted := callhome(*words)).returncode and time.monotonic() < known_by_s:
            pass
        assert "The ping is durable" in accepted.stdout
        spool = folder / "spool"
        assert {file.name for file in spool.iterdir()} == {"worker-1", "worker-2"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in (spool, *spool.iterdir())} == {0o700}
        assert stop(process, signal.SIGINT) == 0
    assert not (secrets / "database_url").exists()


def test_a_database_of_ones_own_serves_too(database: str) -> None:
    """``serve`` on a database that is there takes its settings from the environment."""
    environ = {"CALLHOME_DATABASE_URL": database, "CALLHOME_SECRET": "s" * 32}
    with serving(**environ) as (process, lines):
        assert "CALLHOME_SECRETS_DIR" not in "".join(lines)
        assert callhome("product", "add", "es", **environ).returncode == 0
        assert stop(process, signal.SIGTERM) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "no-such-host.invalid"])
def test_a_place_it_cannot_listen_at_is_named(host: str, database: str) -> None:
    """A port that is taken, or a host that isn't here, is told in a line, with the settings to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"{host}:{taken.getsockname()[1]}"
        done = callhome(
            *("serve", "--ingest-listen", "127.0.0.1:0", "--console-listen", place),
            CALLHOME_DATABASE_URL=database,
            CALLHOME_SECRET="s" * 32,
        )
    assert done.returncode == 2, done.stderr
    assert "callhome: can't listen: " in done.stderr
    assert "change CALLHOME_INGEST_LISTEN or CALLHOME_CONSOLE_LISTEN" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_hangs_can_be_ended(how: signal.Signals, loop: str) -> None:
    """A signal while the database takes connections and never answers ends the start, and is no failure."""
    with socket.create_server(("127.0.0.1", 0)) as database:
        url = f"postgresql://u:hunter2@127.0.0.1:{database.getsockname()[1]}/d?sslmode=disable"
        environ = {"CALLHOME_DATABASE_URL": url, "CALLHOME_SECRET": "s" * 32, "CALLHOME_LOOP": loop}
        process = subprocess.Popen(
            [sys.executable, "-m", "callhome", "serve"],
            env=CLEAN | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        database.settimeout(READY_S)
        connection, _ = database.accept()
        with connection:
            process.send_signal(how)
            said, _ = process.communicate(timeout=READY_S)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def test_what_a_kill_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next throw-away folder removes those of processes that were killed, and none that is in use."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "callhome-home-left"
    left.mkdir()
    for name in (".lock", "secret"):
        (left / name).touch()
    with home(None) as first, home(None) as second:
        assert not left.exists()
        assert first.secrets.exists()
        assert second.secrets.exists()
    assert not list(tmp_path.iterdir())
