"""A worker's program, alone with the other end of its stdin; with a supervisor: test_workers_supervisor.py."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from callhome.workers.orders import Order, Place, command
from test_cli_serve import CLEAN, READY_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are for Linux")


def worked(line: bytes) -> tuple[int, bytes, bytes]:
    """Run a worker that gets this order, and return its status, what it said to the supervisor, and its log."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(line)
        if not line.endswith(b"\n"):
            ours.shutdown(socket.SHUT_WR)
        done = subprocess.run(
            command("callhome.cli.worker", "2"),
            stdin=theirs.fileno(),
            env=CLEAN,
            capture_output=True,
            timeout=READY_S,
            check=False,
        )
        theirs.close()
        return done.returncode, ours.recv(2**16), done.stderr


@pytest.mark.parametrize("line", [b"", b'{"place": {'])
def test_without_an_order_it_ends(line: bytes) -> None:
    """A worker whose supervisor was killed before it had said what to do ends, and says nothing."""
    assert worked(line) == (0, b"", b"")


def test_what_it_cannot_do_is_its_last_word(tmp_path: Path) -> None:
    """Settings that no longer hold are told to the supervisor by name, with the exit code; secrets are not told."""
    given = {
        "database_url": "postgresql://u:hunter2@127.0.0.1/x",
        "secret": "s" * 32,
        "geo_database": os.fspath(tmp_path / "gone.mmdb"),
    }
    status, said, log = worked(Order(Place(2, 2, tmp_path), given).line())
    assert status == 2
    words = json.loads(said)
    assert words["exit_code"] == 2
    assert words["error"].startswith(
        "CALLHOME_GEO_DATABASE (worker 2): expected the path of a readable .mmdb file"
    )
    assert not log
    assert b"hunter2" not in said
