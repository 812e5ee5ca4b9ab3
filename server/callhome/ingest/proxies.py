"""The client's address behind trusted proxies: pure functions over X-Forwarded-For.

Only a trusted peer's header is looked at. Each proxy appends the address it was called from, so the header is
read from the right: what trusted proxies wrote is true, and the first address that is no trusted proxy's is
the client. What stands left of it may be anything and is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from .ceiling import site_of
from .config import Network

# A chain of so many trusted proxies is a mistake or a forgery; one ingress behind one load balancer has two.
MAX_HOPS: Final = 10
# IPv4 inside IPv6 (RFC 4291, section 2.5.5.2), as dual-stack sockets show it.
_MAPPED: Final = bytes(10) + b"\xff\xff"


class TrustedProxies:
    """A set of networks, asked whether an address is in it. Addresses are packed: 4 or 16 bytes."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = [(n.max_prefixlen // 8, int(n.network_address), int(n.netmask)) for n in networks]

    def __contains__(self, packed: bytes) -> bool:
        if not self._networks:
            return False
        number, size = int.from_bytes(packed, "big"), len(packed)
        return any(size == bytes_ and number & mask == network for bytes_, network, mask in self._networks)


def pack(text: str) -> bytes | None:
    """Return an address as 4 or 16 bytes (IPv4 inside IPv6 as 4), or None if it is none.

    Also understood: ``1.2.3.4:567``, ``[2001:db8::1]``, ``[2001:db8::1]:567``, quotes and spaces around
    them, and the zone of a link-local address, which is dropped.
    """
    text = text.strip(' \t"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        if ":" not in text:
            return inet_pton(AF_INET, text)
        packed = inet_pton(AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):  # ValueError: a NUL, or not ASCII
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def unpack(packed: bytes) -> str:
    """Return the usual text of a packed address (RFC 5952 for IPv6)."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def client_address(peer: bytes, forwarded: bytes, trusted: TrustedProxies) -> bytes:
    """Return the client's address, packed.

    ``peer`` is the socket's address, packed, ``forwarded`` all X-Forwarded-For values joined by commas.
    A hop that is no address, or is one too many, ends the walk: the last valid one counts, at first ``peer``.
    """
    client = peer
    if forwarded and client in trusted:
        for hop in reversed(forwarded.decode("latin-1").rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
            packed = pack(hop)
            if packed is None:
                break
            client = packed
            if packed not in trusted:
                break
    return client


class Origin:
    """Where the requests of one connection come from.

    ``peer`` is the socket's address; what is no address at all (a test's socket pair) is taken as it is. ``own`` is
    what :meth:`of` returned for the peer itself, None before.
    """

    __slots__ = ("_country_of", "_packed", "_peer", "_trusted", "own")

    def __init__(self, peer: str, trusted: TrustedProxies, country_of: Callable[[str], str]) -> None:
        packed = pack(peer) or b""
        self._peer = unpack(packed) if packed else peer
        self._packed = packed if packed in trusted else b""  # only a proxy's is needed again
        self._trusted = trusted
        self._country_of = country_of
        self.own: tuple[str, str, int] | None = None

    def of(self, forwarded: bytes) -> tuple[str, str, int]:
        """Return address, country and site of a request's client; the peer's own are looked up once."""
        if forwarded and self._packed:
            packed = client_address(self._packed, forwarded, self._trusted)
            address = unpack(packed)
            return address, self._country_of(address), site_of(packed)
        own = self.own
        if own is None:
            own = self.own = self._peer, self._country_of(self._peer), site_of(pack(self._peer) or b"")
        return own
