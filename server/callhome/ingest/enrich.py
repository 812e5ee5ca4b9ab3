"""A decoded ping to the row that is stored: product number, pseudonyms, id, time.

Here the install id, the license key and the address end: what goes on is keyed hashes and a country.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from typing import Final

import msgspec

from ..store.encoding import encode_row
from ..store.ids import DAYS_BACK, new_id
from .model import EVENT_CODES, Ping
from .reasons import Reason, Refused

# What is older, or far ahead, has a wrong clock.
PAST_MS: Final = DAYS_BACK * 86_400_000
FUTURE_MS: Final = 3_600_000
# A license key shorter than twice what is shown would be given away by it.
LAST4_FROM: Final = 8


class Enricher:
    """Makes rows of pings. ``product_ids`` is looked into at each ping, so it may change in place.

    ``secret`` keys the hashes: with another one, every install is a new install.
    """

    def __init__(self, secret: bytes, product_ids: Mapping[str, int]) -> None:
        self._product_ids = product_ids
        self._hash_install = _keyed(secret, b"install")
        self._hash_license = _keyed(secret, b"license")
        self._hash_weak = _keyed(secret, b"weak")

    def row(self, ping: Ping, address: str, country: str, now_s: float) -> bytes:
        """Return the ping as a row of PostgreSQL's binary COPY format (see ``store.encoding``).

        ``address`` is the client's, used only where there is no install id; ``country`` is its alpha-2 code,
        ``now_s`` the Unix time of receipt. Raises :class:`Refused` if the product is not registered.
        """
        product = self._product_ids.get(ping.product)
        if product is None:
            raise Refused(Reason.UNKNOWN_PRODUCT, "expected the key of a registered product", "product")
        now_ms = at_ms = int(now_s * 1000)
        if ping.id is None:
            id = new_id(now_s)
        else:
            number = ping.id.int
            id = number.to_bytes(16, "big")
            own_ms = number >> 80
            if now_ms - PAST_MS <= own_ms <= now_ms + FUTURE_MS:
                at_ms = own_ms
        key = ping.license.strip() if ping.license else ""
        weak = ping.weak
        return encode_row(
            id,
            self._weak_install(key, address) if weak else self._hash_install(ping.install.encode()),
            at_ms * 1000,
            product,
            ping.users,
            EVENT_CODES[ping.event],
            True,
            weak,
            country,
            ping.version,
            ping.build or "",
            ping.os or "",
            ping.os_version or None,
            ping.arch or None,
            ping.locale or None,
            ping.channel or None,
            self._hash_license(key.encode()) if key else None,
            key[-4:] if len(key) >= LAST4_FROM else None,
            msgspec.json.encode(ping.extra) if ping.extra else None,
        )

    def _weak_install(self, key: str, address: str) -> bytes:
        return self._hash_weak(f"{key}\0{address_prefix(address)}".encode())


def address_prefix(address: str) -> str:
    """Return the network that stands for a site: /24 of IPv4, /56 of IPv6; what is no address has ``""``.

    ``address`` is in the form that ``proxies.Origin`` gives: no IPv4 within IPv6, no zone.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((parsed, 24 if parsed.version == 4 else 56), strict=False))


def _keyed(secret: bytes, purpose: bytes) -> Callable[[bytes], bytes]:
    """Return a keyed hash of 16 bytes; those of different purposes have nothing in common.

    Copying a keyed state takes three fifths of the time of keying a new one.
    """
    key = blake2b(secret, digest_size=32).digest()  # keys have at most 64 bytes, a secret may have more
    keyed = blake2b(digest_size=16, key=key, person=purpose)

    def digest(data: bytes) -> bytes:
        state = keyed.copy()
        state.update(data)
        return state.digest()

    return digest
