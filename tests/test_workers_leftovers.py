"""Spools that no server uses any more are found, and drained beside the running one."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from callhome.workers import leftovers
from callhome.workers.leftovers import Leftovers, left
from running import settings_of, until

DSN = "postgresql://u:p@127.0.0.1/x"
# Notes its arguments, then ends well; for worker-8 once a file is there.
DRAIN = """
import os, sys
note, allowed, *words = sys.argv[1:]
print("said", words[-1])
open(note, "a").write(" ".join([*words, os.environ["CALLHOME_DATABASE_URL"]]) + "\\n")
sys.exit(words[-1].endswith("worker-8") and not os.path.exists(allowed))
"""


def spool(folder: Path) -> Path:
    """Make a folder with a segment."""
    folder.mkdir(exist_ok=True)
    (folder / "0000000001.seg").touch()
    return folder


@pytest.mark.parametrize(
    ("workers", "found"),
    [
        (1, ["worker-1", "worker-2", "worker-12"]),
        (2, ["worker-12", "."]),
        (12, ["."]),
    ],
)
def test_what_nobody_uses_is_found(workers: int, found: list[str], tmp_path: Path) -> None:
    """Workers beyond those there are, all of them for one server, and one server's for workers; nothing else."""
    for name in (".", "worker-1", "worker-2", "worker-12", "worker-x", "other"):
        spool(tmp_path / name)
    (tmp_path / "worker-20").mkdir()
    (tmp_path / "worker-21").touch()
    assert sorted(left(tmp_path, workers)) == sorted(tmp_path / name for name in found)


def test_where_there_is_no_spool_nothing_is_left(tmp_path: Path) -> None:
    """A folder that isn't there, and one without segments, have nothing to drain."""
    assert not [*left(tmp_path / "none", 2), *left(tmp_path, 2)]


async def test_it_is_tried_until_it_is_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is drained into the server's database, again where it failed without holding up others; the log tells."""
    caplog.set_level("INFO")
    note, allowed = tmp_path / "note", tmp_path / "allowed"
    program = [sys.executable, "-c", DRAIN, str(note), str(allowed)]
    monkeypatch.setattr(leftovers, "command", lambda *words: [*program, *words])
    monkeypatch.setattr(leftovers, "_PAUSE_S", (0.01, 0.02))
    one, two = (spool(tmp_path / f"worker-{number}") for number in (8, 9))

    def drains() -> list[str]:
        return note.read_text().splitlines() if note.exists() else []

    async def several() -> bool:
        return len(drains()) > 4

    async with Leftovers(of(tmp_path)) as running:
        assert not drains()
        running.begin()
        await until(several)
        assert f"draining {two}: said {two}" in caplog.text
        before = len(drains())
        allowed.touch()

        async def done() -> bool:
            return len(drains()) > before

        await until(done)
    assert set(drains()) == {f"callhome.cli spool drain {folder} {DSN}" for folder in (one, two)}
    assert drains().count(f"callhome.cli spool drain {two} {DSN}") == 1
    assert caplog.text.index(f"draining {one}: said") < caplog.text.index(f"draining {two}: said")


@pytest.mark.parametrize(
    ("code", "logged"),
    [
        ("print(2 * sys.argv[-1]); step(': done in 0.1 s'); step(' has pings, too')", "{0}{0}"),
        ("step(': no\\nsuch database\\n'); sys.exit(1)", "draining {0}: no such database"),
        ("os.kill(os.getpid(), 9)", "status -9"),
    ],
)
async def test_a_try_is_one_line_of_the_log(
    code: str, logged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the drain says at its end is logged as one line, without how it went on."""
    caplog.set_level("INFO")
    step = "step = lambda end: print('draining ' + sys.argv[-1] + end, file=sys.stderr, flush=True)"
    program = [sys.executable, "-c", f"import os, sys; {step}; step(' ...'); {code}"]
    monkeypatch.setattr(leftovers, "command", lambda *words: [*program, *words])
    folder = spool(tmp_path / "worker-8")

    async def tried() -> bool:
        return len(caplog.messages) > 1

    async with Leftovers(of(tmp_path)) as running:
        running.begin()
        await until(tried)
    assert caplog.messages[1] == f"draining {folder}: {logged.format(folder)}"


async def test_left_it_ends_the_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain under way is ended with the server: what it had not done is done after the next start."""
    note = tmp_path / "note"
    code = f"import os, signal; open({str(note)!r}, 'w').write(f'{{os.getpid()}}.'); signal.pause()"
    monkeypatch.setattr(leftovers, "command", lambda *_: [sys.executable, "-c", code])
    spool(tmp_path / "worker-8")

    async def written() -> bool:
        return note.exists() and note.read_text().endswith(".")

    async with Leftovers(of(tmp_path)) as running:
        running.begin()
        await until(written)
        pid = int(note.read_text().rstrip("."))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_drain_that_cannot_be_started_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no process can be made the server goes on, and the log says what is left."""
    monkeypatch.setattr(leftovers, "command", lambda *_: ["/nowhere/python"])
    spool(tmp_path / "worker-8")
    async with Leftovers(of(tmp_path)) as running:
        running.begin()

        async def logged() -> bool:
            return "left spools are not drained" in caplog.text

        await until(logged)


async def test_without_a_spool_there_is_nothing_to_do() -> None:
    """A server without a spool, and one that never got ready, drain nothing."""
    async with Leftovers(settings_of(DSN)) as running:
        running.begin()
        await asyncio.sleep(0)
    async with Leftovers(settings_of(DSN)):
        pass


def of(folder: Path, **given: Any) -> Any:
    """Return settings of two workers with a spool there."""
    return settings_of(DSN, spool_dir=str(folder), workers=2, **given)
