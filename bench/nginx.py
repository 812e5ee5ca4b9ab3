"""nginx answering 204 to everything from one process: what the same machine can do at most, in the same run."""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
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
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 204; }}
    }}
}}
"""


@contextmanager
def answering(cores: Cores) -> Iterator[str]:
    """An nginx on some cores and a free port of 127.0.0.1: its URL. Needs no privilege; raises `CallhomeError`."""
    program = find_program("nginx", "nginx-light")
    with tempfile.TemporaryDirectory(prefix="callhome-bench-") as name:
        folder, port = Path(name), _free_port()
        config, log = folder / "nginx.conf", folder / "log"
        config.write_text(_CONFIG.format(port=port, temp_paths=_temp_paths(program)), "utf-8")
        with pinned(cores), log.open("wb") as said:
            process = subprocess.Popen(
                [program, "-p", name, "-c", str(config), "-e", "stderr"],
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(process, port, log)
            yield f"http://127.0.0.1:{port}"
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
