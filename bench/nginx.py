"""nginx: answering 204 to everything from one process, which is what the same machine can do at most in the same run,
or as a balancer before several servers.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from callhome.errors import CallhomeError

from .machine import Cores, find_program, pinned

# Starting takes milliseconds; a busy machine may take some seconds.
_START_S: Final = 20.0
_STOP_S: Final = 10.0
_CONFIG: Final = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    {temp_paths}
    {servers}
}}
"""
_ANSWERING: Final = "server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 204; }} }}"
# Whoever is turned away must see it: nginx tries no other server by itself.
_BALANCING: Final = """
    upstream servers {{ {places} keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
"""


@contextmanager
def answering(cores: Cores) -> Iterator[str]:
    """An nginx on some cores and a free port of 127.0.0.1: its URL. Needs no privilege; raises `CallhomeError`."""
    port = _free_port()
    with _running(cores, port, _ANSWERING.format(port=port)):
        yield f"http://127.0.0.1:{port}"


class Balancer:
    """An nginx before several servers; ``url`` is where it is."""

    def __init__(self, url: str, write: Callable[[str], None], process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self._write = write
        self._process = process

    def use(self, places: Sequence[str]) -> None:
        """Send requests to these servers only, each HOST:PORT, from now on; those under way go on."""
        self._write(_balancing(self.url, places))
        self._process.send_signal(signal.SIGHUP)


@contextmanager
def balancing(cores: Cores, places: Sequence[str]) -> Iterator[Balancer]:
    """An nginx before these servers. Raises `CallhomeError`."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with _running(cores, port, _balancing(url, places)) as (write, process):
        yield Balancer(url, write, process)


def _balancing(url: str, places: Sequence[str]) -> str:
    listed = " ".join(f"server {place} max_fails=0;" for place in places)
    return _BALANCING.format(places=listed, port=url.rpartition(":")[2])


@contextmanager
def _running(
    cores: Cores, port: int, servers: str
) -> Iterator[tuple[Callable[[str], None], subprocess.Popen[bytes]]]:
    """A running nginx: what writes its configuration for other servers, and its process."""
    program = find_program("nginx", "nginx-light")
    with tempfile.TemporaryDirectory(prefix="callhome-bench-") as name:
        folder = Path(name)
        config, log = folder / "nginx.conf", folder / "log"
        temp_paths = _temp_paths(program)

        def write(servers: str) -> None:
            config.write_text(_CONFIG.format(servers=servers, temp_paths=temp_paths), "utf-8")

        write(servers)
        with pinned(cores), log.open("wb") as said:
            process = subprocess.Popen(
                [program, "-p", name, "-c", str(config), "-e", "stderr"],
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(process, port, log)
            yield write, process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _temp_paths(program: str) -> str:
    """Folders below the prefix for the modules that this nginx has: the compiled-in ones belong to root."""
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    names = re.findall(r"--http-([a-z-]+)-temp-path=", built)
    return " ".join(f"{name.replace('-', '_')}_temp_path {name};" for name in names)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise CallhomeError(f"nginx does not start: {log.read_text('utf-8', 'replace')}")
