"""The client's address behind trusted proxies: pure functions over X-Forwarded-For.

Only a trusted peer's header is looked at. Each proxy appends the address it was called from, so the header is
read from the right: what trusted proxies wrote is true, and the first address that is no trusted proxy's is
the client. What stands left of it may be anything and is never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

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


def client_address(peer: str, forwarded: bytes, trusted: TrustedProxies) -> str:
    """Return the client's address, in its usual text.

    ``peer`` is the socket's address, ``forwarded`` all X-Forwarded-For values joined by commas.
    A hop that is no address, or is one too many, ends the walk: the last valid one counts, at first ``peer``.
    What is not an address at all (a test's socket pair) is returned as it is.
    """
    client = pack(peer)
    if client is None:
        return peer
    if forwarded and client in trusted:
        for hop in reversed(forwarded.decode("latin-1").rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
            packed = pack(hop)
            if packed is None:
                break
            client = packed
            if packed not in trusted:
                break
    return unpack(client)


class Origin:
    """Where the requests of one connection come from."""

    __slots__ = ("_country", "_country_of", "_is_proxy", "_peer", "_trusted")

    def __init__(self, peer: str, trusted: TrustedProxies, country_of: Callable[[str], str]) -> None:
        self._peer = client_address(peer, b"", trusted)
        self._is_proxy = (pack(peer) or b"") in trusted
        self._trusted = trusted
        self._country_of = country_of
        self._country = ""

    def of(self, forwarded: bytes) -> tuple[str, str]:
        """Return address and country of a request's client; the peer's own country is looked up once."""
        if forwarded and self._is_proxy:
            address = client_address(self._peer, forwarded, self._trusted)
            return address, self._country_of(address)
        if not self._country:
            self._country = self._country_of(self._peer)
        return self._peer, self._country
