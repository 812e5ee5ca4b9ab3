"""A decoded ping to the row that is stored: product number, pseudonyms, id, time.

Here the install id, the license key and the address end: what goes on is keyed hashes and a country.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

import msgspec

from ..pseudonyms import INSTALL, LICENSE, WEAK, keyed, last4, license_key
from ..store.encoding import encode_license, encode_row
from ..store.ids import DAYS_BACK, id_at
from .admission import Admission
from .ceiling import Ceiling
from .model import EVENT_CODES, Ping
from .reasons import Reason, Refused

# What is older, or far ahead, has a wrong clock.
PAST_MS: Final = DAYS_BACK * 86_400_000
FUTURE_MS: Final = 3_600_000
# Sites send the same license keys again and again; looking one up takes a tenth of the time of hashing it.
# Bound: so many × (128 characters × 4 bytes + some 360) = 55 MB, with keys of 25 ASCII characters 27 MB.
_KEYS: Final = 65_536
_NO_LICENSE: Final = (None, encode_license(None, None))


class Enricher:
    """Makes rows of pings. ``product_ids`` is looked into at each ping, so it may change in place.

    ``secret`` keys the hashes: with another one, every install is a new install. ``admission`` judges each ping once
    its install is known; without one, all are let in as verified.
    """

    __slots__ = (
        "_admit", "_admit_weak", "_hash_install", "_hash_license", "_hash_weak", "_known_license", "_product_ids",
    )  # fmt: skip

    def __init__(
        self, secret: bytes, product_ids: Mapping[str, int], admission: Admission | None = None
    ) -> None:
        admission = admission or Admission(0, 1, Ceiling(0, 0))
        self._admit, self._admit_weak = admission.admit, admission.admit_weak
        self._product_ids = product_ids
        self._hash_install = keyed(secret, INSTALL)
        self._hash_license = keyed(secret, LICENSE)
        self._hash_weak = keyed(secret, WEAK)
        self._known_license = lru_cache(maxsize=_KEYS)(self._license)

    def admitting(self, admission: Admission) -> Enricher:
        """Return the same enricher with an admission."""
        other = copy(self)
        other._admit, other._admit_weak = admission.admit, admission.admit_weak
        return other

    def install(self, text: str) -> bytes:
        """Return the hash of an install id."""
        return self._hash_install(text.encode())

    def licensed(self, text: str) -> bytes:
        """Return the columns that tell of a license key, see ``store.encoding``."""
        return self._known_license(text)[1] if text else _NO_LICENSE[1]

    def row(self, ping: Ping, address: str, country: str, now_s: float) -> bytes:
        """Return the first that :meth:`enrich` returns; raise what it raises."""
        return self.enrich(ping, address, country, now_s)[0]

    def enrich(
        self, ping: Ping, address: str, country: str, now_s: float, site: int = 0
    ) -> tuple[bytes, bytes, bytes | None]:
        """Return the ping as a row of PostgreSQL's binary COPY format (see ``store.encoding``), and its pseudonyms.

        These are the hashes of install and license, 16 bytes each, as the row has them; None without a license.

        ``address`` is the client's, used only where there is no install id; ``country`` is its alpha-2 code,
        ``now_s`` the Unix time of receipt, ``site`` what stands for the client's network (see ``ceiling``). Raises
        :class:`Refused` if the product is not registered, or the install sends too much.
        """
        product = self._product_ids.get(ping.product)
        if product is None:
            raise Refused(Reason.UNKNOWN_PRODUCT, "expected the key of a registered product", "product")
        now_ms = at_ms = int(now_s * 1000)
        if ping.id is None:
            id = id_at(now_ms)
        else:
            number = ping.id.int
            id = number.to_bytes(16, "big")
            own_ms = number >> 80
            if now_ms - PAST_MS <= own_ms <= now_ms + FUTURE_MS:
                at_ms = own_ms
        license, licensed = self._known_license(ping.license) if ping.license else _NO_LICENSE
        if ping.install:
            install, weak = self._hash_install(ping.install.encode()), False
            verified = self._admit(install, site, license)
        else:
            install, weak = self._weak_install(ping.license, address), True
            verified = self._admit_weak(install, site, license)
        row = encode_row(
            id, install, at_ms * 1000, product, ping.users, EVENT_CODES[ping.event], verified, weak, country,
            ping.version, ping.build or "", ping.os or "", ping.os_version or None, ping.arch or None,
            ping.locale or None, ping.channel or None, licensed,
            msgspec.json.encode(ping.extra) if ping.extra else None,
        )  # fmt: skip
        return row, install, license

    def _license(self, text: str) -> tuple[bytes | None, bytes]:
        """Return the hash of a license key, None of blanks, and the columns that tell of it."""
        key = license_key(text)
        if not key:
            return _NO_LICENSE
        hashed = self._hash_license(key.encode())
        return hashed, encode_license(hashed, last4(key))

    def _weak_install(self, license: str | None, address: str) -> bytes:
        key = license_key(license or "")
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
