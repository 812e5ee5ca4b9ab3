"""Machines of a test's own: network namespaces on one bridge, each with a cable that can be pulled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from callhome.embedded.account import server_account
from callhome.embedded.binaries import find_installation

# Of the network that RFC 2544 keeps for tests between devices: no real host has one.
NETWORK = "198.18"
STOP_S = 20


class Machine:
    """A namespace; ``address`` is its own."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address

    def unplug(self) -> None:
        """Pull its cable: nothing comes in or goes out any more, and nobody is told."""
        ip("-n", self.name, "link", "set", "cable", "down")

    @contextmanager
    def postgres(self, folder: Path, **settings: str) -> Iterator[None]:
        """A PostgreSQL on an embedded one's data folder, on this machine's address; it is killed at the end."""
        account = server_account(folder)
        assert account is not None
        program = find_installation(account).bin_dir / "postgres"
        with (folder / "cluster" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all,replication all {NETWORK}.0.0/16 scram-sha-256\n")
        fixed = {"listen_addresses": self.address, "port": "5432", "unix_socket_directories": ""}
        options = [
            word for name, value in {**settings, **fixed}.items() for word in ("-c", f"{name}={value}")
        ]
        drop = ("setpriv", "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups")
        command = (
            "ip",
            "netns",
            "exec",
            self.name,
            *drop,
            str(program),
            "-D",
            str(folder / "cluster"),
            *options,
        )
        with (folder / "namespace.log").open("ab") as log:
            process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGQUIT)
            process.wait(STOP_S)


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """So many of them, which reach one another and this machine; gone at the end. Skips where that isn't allowed."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("setpriv"):
        pytest.skip("needs root, and ip and setpriv: apt-get install iproute2 util-linux")
    # Unique among tests that run at the same time, within the 15 characters of an interface's name.
    tag = f"ch{os.getpid() % 100_000}"
    subnet = f"{NETWORK}.{os.getpid() % 256}"
    made = []
    try:
        try:
            ip("link", "add", tag, "type", "bridge")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no bridge can be made here: {error.stderr.strip()}")
        ip("address", "add", f"{subnet}.1/24", "dev", tag)
        ip("link", "set", tag, "up")
        for number in range(2, count + 2):
            made.append(_machine(f"{tag}-{number}", tag, f"{subnet}.{number}"))
        yield made
    finally:
        # The kernel keeps a namespace, and its cable, as long as a socket of it waits for its last answer.
        for words in (*(("link", "del", machine.name) for machine in made), ("link", "del", tag)):
            with suppress(subprocess.CalledProcessError):
                ip(*words)
        for machine in made:
            ip("netns", "del", machine.name)


def _machine(name: str, bridge: str, address: str) -> Machine:
    ip("netns", "add", name)
    ip("link", "add", name, "type", "veth", "peer", "name", "cable", "netns", name)
    ip("link", "set", name, "master", bridge, "up")
    ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
    for device in ("lo", "cable"):
        ip("-n", name, "link", "set", device, "up")
    return Machine(name, address)


def ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(("ip", *words), check=True, capture_output=True, text=True)


def at(machines: Sequence[Machine], dsn: str) -> str:
    """Return the address of one database on these machines, in this order, from one on loopback."""
    places = ",".join(f"{machine.address}:5432" for machine in machines)
    return f"{dsn.rpartition('@')[0]}@{places}/{dsn.rpartition('/')[2]}"
