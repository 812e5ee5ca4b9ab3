"""Limits and deadlines of the ingest listener, as one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """What the listener takes, how much of it, and how long it waits. Bytes, seconds, counts.

    Memory is bounded by ``connections`` × (pending answers and unread bytes of one connection, see
    ``connection.py``) + ``batch_memory_bytes`` + 2 × ``batch_unpacked_bytes``, beside what the group commit holds.
    """

    host: str
    port: int
    # What follows to ``legacy_always_ok`` comes from the settings, whose table gives the reasons.
    connections: int
    header_s: float
    body_s: float
    batch_body_s: float
    keepalive_s: float
    # Shutting down: what is being answered may take so long, then it is cut.
    drain_s: float
    # Networks whose X-Forwarded-For is believed.
    trusted_proxies: tuple[Network, ...]
    # Where old copies call, beside /ping; their fields' names; whether they are told OK in any case.
    legacy_paths: tuple[str, ...]
    legacy_fields: Mapping[str, str]
    legacy_always_ok: bool

    # Of one install, in the long run and at once; of one network, installs within an hour; of all, pings a second. The
    # settings' table gives the reasons. 0 is no limit (but for the burst).
    install_pings_s: float = 1.0
    install_burst: int = 1_000
    prefix_installs: int = 2_000
    pings_per_s: int = 0
    # Installs that are remembered for an hour, of all networks together; see ``ceiling.py`` for the memory. At nine in
    # the morning one replica sees a tenth of that in a minute.
    tracked_installs: int = 500_000
    # Connections beyond the bound that are accepted a second, to be told 503: one takes some 30 µs, all together 1.5 %
    # of a core. The others wait in the kernel's backlog.
    turned_away_s: int = 500

    # For several processes on one port, the kernel spreading new connections over them.
    reuse_port: bool = False
    # A burst at nine in the morning waits in the kernel instead of being refused; Linux' own maximum
    # (net.core.somaxconn) is 4,096 since 5.4 and cuts what is asked beyond it.
    backlog: int = 4_096
    # nginx and Node.js take 8 to 32 KiB of headers; nobody's ping needs one.
    header_bytes: int = 8_192
    # RFC 9110, section 4.1, asks for at least 8,000; old requests carry their fields in it.
    url_bytes: int = 8_192
    # What the kernel keeps of a connection that is not read. Left alone it grows to megabytes, and in an overload all
    # of it would have to be worked through: 13 s and 101 MB were measured, 2.5 s and 33 MB with this. Linux doubles it.
    receive_bytes: int = 32 * 2**10
    # The wire format, version 1.
    body_bytes: int = 16 * 2**10
    batch_wire_bytes: int = 2**20
    batch_unpacked_bytes: int = 8 * 2**20
    batch_lines: int = 1_000
    # Sixty bodies of the largest size at once.
    batch_memory_bytes: int = 64 * 2**20
    # One takes about 10 ms: who waits behind so many more has waited a second and a half.
    batches_waiting: int = 128
    # Answers a connection may await; curl and browsers pipeline none, an ingress none, bench tools 16.
    pipeline: int = 32
    # Read and dropped after an early answer, so that the client sees it: a full socket buffer (208 KiB).
    linger_bytes: int = 256 * 2**10

    # A client that takes nothing for so long holds memory for nothing.
    write_s: float = 10.0
    # nginx: lingering_timeout 5 s; half of it reaches around the world several times.
    linger_s: float = 2.0
    # Deadlines are looked at so often: a client is closed between its deadline and two of these later.
    sweep_s: float = 0.5
