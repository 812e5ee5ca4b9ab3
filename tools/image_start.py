"""Measures how long the image takes from ``podman run`` to ready: beside a PostgreSQL of its own, some times in a row.

    .venv/bin/python tools/image_start.py callhome:0.1.0 --engine podman

For each start it prints the time until ``/readyz`` answers 200.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import shlex
import socket
import statistics
import subprocess
import time
from typing import Final

from callhome.embedded.launcher import EmbeddedPostgres
from callhome.store import schema

# Without an answer by then it isn't slow, but broken.
GIVE_UP_S: Final = 60.0
_HARDENED: Final = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def start_s(command: list[str], console: int) -> float:
    """Seconds from the command to the first 200; the container is stopped again."""
    begun_s = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(console):
            if process.poll() is not None or time.monotonic() > begun_s + GIVE_UP_S:
                raise SystemExit(f"it did not start: {shlex.join(command)}")
            time.sleep(0.01)
        return time.monotonic() - begun_s
    finally:
        process.terminate()
        process.wait(GIVE_UP_S)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _starts(dsn: str, engine: list[str], options: list[str], words: argparse.Namespace) -> list[float]:
    """Start it, some times in a row; return how long each took."""
    asyncio.run(schema.upgrade(dsn))
    told = []
    for _ in range(words.times):
        console = _free_port()
        settings = {
            "CALLHOME_DATABASE_URL": dsn,
            "CALLHOME_SECRET": "s" * 32,
            "CALLHOME_INGEST_LISTEN": f"127.0.0.1:{_free_port()}",
            "CALLHOME_CONSOLE_LISTEN": f"127.0.0.1:{console}",
        }
        os.environ.update(settings)
        given = [word for name in settings for word in ("--env", name)]
        run = [*engine, "run", "--rm", "--network", "host", *_HARDENED, *options, *given, words.image]
        told.append(start_s(run, console))
        print(f"{told[-1]:.2f} s", flush=True)
    return told


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image")
    parser.add_argument(
        "--engine", default="podman", help="with its own options, such as 'podman --runtime runc'"
    )
    parser.add_argument("--options", default="", help="more options of its run")
    parser.add_argument("--times", type=int, default=10)
    words = parser.parse_args()
    engine, options = shlex.split(words.engine), shlex.split(words.options)
    postgres = EmbeddedPostgres()
    postgres.start()
    try:
        told = _starts(postgres.dsn, engine, options, words)
    finally:
        postgres.stop()
    print(f"median {statistics.median(told):.2f} s, longest {max(told):.2f} s, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
