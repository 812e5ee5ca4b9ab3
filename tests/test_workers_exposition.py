"""Each worker tells its metrics to the others, and answers for all."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from callhome.workers import exposition
from callhome.workers.exposition import Exposition, ask, telling
from callhome.workers.orders import Place


async def lines(one: Exposition) -> list[str]:
    """Return what it answers, without comments."""
    return sorted(line for line in (await one.text()).decode().splitlines() if not line.startswith("#"))


@asynccontextmanager
async def raw_teller(path: Path, told: bytes | None) -> AsyncIterator[None]:
    """Somebody who tells just these bytes and hangs up, or (None) says nothing."""
    writers = []

    async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if told is not None:
            writer.write(told)
            writer.close()

    async with await asyncio.start_unix_server(tell, path):
        yield
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def test_alone_it_tells_its_own() -> None:
    """A server without workers answers its own text as it is."""
    async with Exposition(None, lambda: b"x 1\n") as one:
        assert await one.text() == b"x 1\n"


async def test_each_answers_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both workers answer the same, with the supervisor's count; one that has left is down, and back it is up."""
    monkeypatch.setattr(exposition, "KEPT_S", 0.0)
    first = Exposition(Place(1, 2, tmp_path), lambda: b"x 1\n")
    async with telling(tmp_path / "0.sock", lambda: b"callhome_restarts 5\n"), first:
        for _ in range(2):
            async with Exposition(Place(2, 2, tmp_path), lambda: b"x 2\n") as second:
                expected = [
                    "callhome_restarts 5",
                    'callhome_worker_up{worker="1"} 1.0',
                    'callhome_worker_up{worker="2"} 1.0',
                    'x{worker="1"} 1',
                    'x{worker="2"} 2',
                ]
                assert await lines(first) == await lines(second) == expected
            assert 'callhome_worker_up{worker="2"} 0.0' in await lines(first)
    assert not os.listdir(tmp_path)


class SlowMerge:
    """Takes its time for a merge until it is let go; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = 0
        self.running = threading.Event()
        self.go = threading.Event()
        monkeypatch.setattr(exposition, "merged", self._merged)

    def _merged(self, *_: object) -> bytes:
        self.running.set()
        assert self.go.wait(5.0)
        self.done += 1
        return b"%d" % self.done


async def test_a_merge_leaves_the_loop_free_and_serves_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a merge goes on the loop runs; whoever asks then or soon after gets the same, also if the first left."""
    slow = SlowMerge(monkeypatch)
    async with Exposition(Place(1, 1, tmp_path), lambda: b"x 1\n") as one:
        first, *others = (asyncio.create_task(one.text()) for _ in range(4))
        assert await asyncio.to_thread(slow.running.wait, 5.0)
        first.cancel()
        others.append(asyncio.create_task(one.text()))
        await asyncio.sleep(0)
        slow.go.set()
        assert await asyncio.gather(*others) == [b"1"] * 4
        assert await one.text() == b"1"
        later_s = time.monotonic() + exposition.KEPT_S
        monkeypatch.setattr(exposition, "time", SimpleNamespace(monotonic=lambda: later_s))
        assert await one.text() == b"2"
    assert first.cancelled()


async def test_left_it_waits_for_no_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left amid a merge, it ends before that does."""
    slow = SlowMerge(monkeypatch)
    async with Exposition(Place(1, 1, tmp_path), lambda: b"x 1\n") as one:
        asked = asyncio.create_task(one.text())
        assert await asyncio.to_thread(slow.running.wait, 5.0)
    assert slow.done == 0
    slow.go.set()
    await asyncio.wait([asked])


async def test_a_merge_that_fails_is_made_again(tmp_path: Path) -> None:
    """Who can't make its own text fails that answer alone."""
    texts: list[bytes] = []
    async with Exposition(Place(1, 1, tmp_path), texts.pop) as one:
        with pytest.raises(IndexError):
            await one.text()
        texts.append(b"x 1\n")
        assert 'x{worker="1"} 1' in await lines(one)


@pytest.mark.parametrize("told", [None, b"", b"x 12", b"x 1\n", b"x 1\n# EO"])
async def test_who_does_not_tell_all_is_down(
    told: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that hangs, or is killed amid its text, is down; the answer comes, and has the others."""
    monkeypatch.setattr(exposition, "ANSWER_S", 0.2)
    async with (
        raw_teller(tmp_path / "2.sock", told),
        Exposition(Place(1, 2, tmp_path), lambda: b"x 1\n") as one,
    ):
        expected = [
            'callhome_worker_up{worker="1"} 1.0',
            'callhome_worker_up{worker="2"} 0.0',
            'x{worker="1"} 1',
        ]
        assert await lines(one) == expected


async def test_a_socket_that_a_killed_one_left_is_replaced(tmp_path: Path) -> None:
    """A restarted worker tells on the path where its predecessor's socket lies."""
    path = tmp_path / "1.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with telling(path, lambda: b"x 1\n"):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert await ask(path) == b"x 1\n"


async def test_more_than_a_metrics_text_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than the bound is as nothing."""
    monkeypatch.setattr(exposition, "TEXT_BYTES", 1_000)
    async with telling(tmp_path / "1.sock", lambda: b"x 1\n" * 100_000):
        assert await ask(tmp_path / "1.sock") is None


async def test_a_text_that_fails_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who can't make its text is down, says so in the log, and tells again when it can."""
    texts = [b"x 1\n"]
    async with telling(tmp_path / "1.sock", lambda: texts.pop()):
        assert await ask(tmp_path / "1.sock") == b"x 1\n"
        assert await ask(tmp_path / "1.sock") is None
        assert "the metrics can't be told" in caplog.text
        texts.append(b"x 2\n")
        assert await ask(tmp_path / "1.sock") == b"x 2\n"
