"""The load tests work: a second of each with real processes, and one that is lied to fails."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import click
import pytest

from bench import machine, workload
from bench.__main__ import SCRIPTS
from bench.books import Audit, audit
from bench.load import OpenLoop, Target, parse_answer
from bench.pings import Pings
from bench.report import Figure, percentile
from bench.workers import CORES
from callhome.errors import CallhomeError, UsageError
from callhome.ingest.decode import decode_ping
from callhome.ingest.model import Ping

ROOT = Path(__file__).parent.parent
# A second of load, and the starts of PostgreSQL and server, which a busy machine may draw out.
SMOKE_S = 120
STANDARD = workload.load("standard")
SMOKE = workload.load("smoke")
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT / "server"), "NO_COLOR": "1"}

# Scripts without a database.
IN_MEMORY = ("answers",)
# Programs of the system that scripts need, and what installs them.
PROGRAMS = {
    "saturate": {"wrk": "wrk", "nginx": "nginx-light"},
    "spool": {"wrk": "wrk"},
    "overload": {"wrk": "wrk"},
    "slow": {"slowhttptest": "slowhttptest"},
    "workers": {"wrk": "wrk"},
}


def command(script: str, results: Path, *words: str) -> list[str]:
    """The command line of a script with the smoke's workload."""
    options = ["--workload", "smoke", "--results", str(results), *words]
    return [sys.executable, "-m", script, *options]


def need(script: str) -> None:
    """Skip where a program of the system is missing."""
    path = os.pathsep.join([*os.get_exec_path(), "/usr/sbin"])
    programs = PROGRAMS.get(script, {})
    if missing := [package for name, package in programs.items() if not shutil.which(name, path=path)]:
        pytest.skip(f"needs {' and '.join(programs)}: sudo apt-get install {' '.join(missing)}")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_runs(script: str, tmp_path: Path) -> None:
    """A second of each script: it finds every row, and its JSON has all figures, the commit and the machine."""
    need(script)
    done = subprocess.run(
        command(f"bench.{script}", tmp_path),
        cwd=ROOT, env=ENVIRON, capture_output=True, text=True, check=False, timeout=SMOKE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.iterdir()
    result = json.loads(file.read_text("utf-8"))
    keys = {figure["key"] for figure in result["figures"]}
    connections = SMOKE.options("saturate")["connections"][0]
    wanted = {re.sub(r"_c\d+$", f"_c{connections}", key) for key in STANDARD.wanted(script)}
    # On a machine that is too small for the figure, it says so and has none.
    is_measured = script != "workers" or len(machine.available()) >= CORES
    assert (wanted if is_measured else set()) <= keys
    assert (result["ok"], result["bench"]) == (True, script)
    assert all(check["ok"] for check in result["checks"])
    assert not any(
        math.isnan(figure["value"] or math.nan) for figure in result["figures"] if figure["key"] == "rate"
    )
    stored = set() if script in IN_MEMORY else {"postgresql", "data_on"}
    assert {"cpu", "cores", "kernel", "python"} | stored <= result["machine"].keys()
    assert result["commit"]


def test_all_are_run_and_summed_up(tmp_path: Path) -> None:
    """``python -m bench`` runs the scripts named and shows what was wanted; one that fails fails it."""
    wanting = tmp_path / "wanting.toml"
    smoke = (workload.FOLDER / "smoke.toml").read_text("utf-8")
    wanting.write_text(smoke + '\n[start.wanted]\nready_s = "<= 0.001"\n', "utf-8")
    words = ["--workload", str(wanting), "--results", str(tmp_path / "results"), "start", "memory"]
    environ = {**ENVIRON, "CALLHOME_PG_BIN": str(tmp_path)}
    for env, code, said in ((ENVIRON, 0, "What was wanted"), (environ, 1, "these failed: start, memory")):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *words],
            cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=SMOKE_S,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert said in done.stdout + done.stderr


@asynccontextmanager
async def listening(delay_s: float = 0.0) -> AsyncIterator[str]:
    """A server that says 204 to each request after a while, and stores nothing: its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
                await reader.readexactly(length)
                await asyncio.sleep(delay_s)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_missing_rows_fail_a_run(database: str, tmp_path: Path) -> None:
    """Against a server that acknowledges and doesn't store, the run ends with 1 and counts what is missing."""
    async with listening() as url:
        process = await asyncio.create_subprocess_exec(
            *command("bench.ingest", tmp_path, "--url", url, "--database-url", database),
            cwd=ROOT, env=ENVIRON, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), SMOKE_S)
    assert process.returncode == 1, said.decode()
    assert b"FAILED: acknowledged = committed, each once: 0 rows: 300 missing" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ingest", "--url", "http://127.0.0.1:1"), "takes no pings"),
        (("ingest", "--database-url", "postgresql://127.0.0.1/x"), "name its --url too"),
        (("ingest", "--server-cores", "4095"), "no core 4095 here"),
        (("ingest", "--workload", "no-such"), "there are smoke, standard"),
        (("ingest", "--rate", "200000", "--seconds", "3600"), "lower --rate or --seconds"),
    ],
)
def test_wrong_calls_are_told(words: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """A call that can't work ends with 2 and says what to do."""
    done = subprocess.run(
        command(f"bench.{words[0]}", tmp_path, *words[1:]),
        cwd=ROOT, env=ENVIRON, capture_output=True, text=True, check=False, timeout=SMOKE_S,
    )  # fmt: skip
    assert (done.returncode, expected in " ".join(done.stderr.split())) == (2, True), done.stderr


async def test_open_loop_hides_no_waiting() -> None:
    """Where a server is slower than the rate, latency counts from when a ping was due, so it grows."""
    async with listening(delay_s=0.05) as url:
        target = Target.of(url)
        requests = Pings(SMOKE.pings, "bench", "tag").requester(target.head("/v1/ping", "application/json"))
        load = OpenLoop(target, requests, rate_hz=100, seconds=0.5, connections=1)
        await load.connect()
        outcome = await load.run()
        load.close()
    # The last of 50 is due at 0.49 s and leaves behind 49 answers of 0.05 s each, at 2.45 s.
    assert outcome.latencies()[-1] > 1.5
    assert outcome.acknowledged == list(range(50))
    assert outcome.rate < 25


@pytest.mark.parametrize(
    ("acknowledged", "sent", "stored", "expected"),
    [
        (["a"], ["a", "b"], ["a"], Audit(1, 0, 0, 0)),
        (["a"], ["a", "b"], ["a", "b"], Audit(2, 0, 0, 0)),
        (["a", "b"], ["a", "b"], ["b"], Audit(1, 1, 0, 0)),
        (["a"], ["a"], ["a", "a"], Audit(2, 0, 1, 0)),
        ([], ["a"], ["c"], Audit(1, 0, 0, 1)),
    ],
)
def test_audit(acknowledged: list[str], sent: list[str], stored: list[str], expected: Audit) -> None:
    """Acknowledged and missing, doubled and foreign rows are found; what got no answer may be stored or not."""
    found = audit(*([id.encode() for id in ids] for ids in (acknowledged, sent, stored)))
    assert found == expected
    assert found.ok is not any((expected.missing, expected.doubled, expected.strange))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}", (400, b"{}")),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{", None),
        (b"HTTP/1.1 204 No", None),
    ],
)
def test_parse_answer(data: bytes, expected: tuple[int, bytes] | None) -> None:
    """An answer is told once it is whole."""
    assert parse_answer(data) == expected


@pytest.mark.parametrize("name", ["standard", "smoke"])
def test_pings_are_valid_however_they_are_made(name: str, tmp_path: Path) -> None:
    """Requests, bodies and the parts for wrk are pings that decode, with their right length and tag."""
    pings = Pings(workload.load(name).pings, "bench", "tag")
    request = pings.requester(b"POST / HTTP/1.1\r\n")
    pings.write_parts(tmp_path / "parts")
    parts = (tmp_path / "parts").read_bytes().splitlines()
    made: list[Ping] = []
    for _ in range(200):
        head, _, body = request()[1].partition(b"\r\n\r\n")
        assert int(head.rpartition(b" ")[2]) == len(body)
        made += [decode_ping(body), decode_ping(pings.ping().body)]
    made += [decode_ping(b"%b%012d%b" % (parts[at], 7, parts[at + 1])) for at in range(0, len(parts), 2)]
    assert {(ping.product, ping.channel) for ping in made} == {("bench", "tag")}
    assert len({ping.version for ping in made}) == len(workload.load(name).pings["weights"]["version"])
    assert {ping.license is None for ping in made} == {True, False}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("name", ["standard", "smoke"])
def test_workloads_fit_the_options(script: str, name: str) -> None:
    """Each workload gives a value to options that a script has, and to all that have no other default."""
    main = import_module(f"bench.{script}").main
    options = {option.name: option for option in main.params if isinstance(option, click.Option)}
    given = workload.load(name).options(script)
    assert given.keys() <= options.keys()
    sized = {
        key for key, option in options.items() if isinstance(option.type, click.IntRange | click.FloatRange)
    }
    assert sized - given.keys() <= {"warm_up"}


@pytest.mark.parametrize(("quantile", "expected"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_percentile_is_nearest_rank(quantile: float, expected: float) -> None:
    """A quantile is one of the values: the first that so many are not above."""
    assert percentile([1, 2, 3, 4], quantile) == expected


@pytest.mark.parametrize(
    ("value", "wanted", "reached"), [(0.4, ">= 0.40", True), (101, "<= 100", False), (1, "", None)]
)
def test_wanted(value: float, wanted: str, reached: bool | None) -> None:
    """A figure is held against what is wanted; nonsense in a workload is refused."""
    assert Figure("key", "what", value, "ms", wanted).reached is reached
    with pytest.raises(UsageError, match="expected such as"):
        assert Figure("key", "what", value, "ms", "about 3").reached


def test_layout_gives_each_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has a core for itself where there are two, PostgreSQL where there are three."""
    cases = {1: "0 0 0", 2: "0 1 1", 3: "0 1 2", 6: "0 1-4 5"}
    for count, expected in cases.items():
        monkeypatch.setattr(machine, "available", lambda count=count: frozenset(range(count)))
        layout = machine.Layout.of(None, None, None)
        wanted = [machine.cores(text) for text in expected.split()]
        assert [layout.server, layout.database, layout.load] == wanted
    assert machine.cores("0,2-4") == {0, 2, 3, 4}


def test_missing_program_is_named() -> None:
    """A program that isn't there is told with the command that installs it."""
    with pytest.raises(CallhomeError, match="sudo apt-get install some-package"):
        machine.find_program("no-such-program", "some-package")
