"""Where a request of the console comes from: its network, and whether it came by https. Pure.

An address goes no further than this: of a network there is a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from ..ingest.ceiling import site_of
from ..ingest.config import Network
from ..ingest.proxies import TrustedProxies, client_address, pack


class Origins:
    """Told by a connection's own address, and by the headers of trusted proxies."""

    def __init__(self, proxies: Iterable[Network] = (), console_url: str | None = None) -> None:
        self._proxies = TrustedProxies(proxies)
        url = urlsplit(console_url or "")
        self._https_host = (url.hostname or "") if url.scheme == "https" else ""

    def network(self, peer: str, forwarded: str) -> int:
        """Return the number of a client's network; ``forwarded`` is X-Forwarded-For."""
        packed = pack(peer) or b""
        return site_of(client_address(packed, forwarded.encode("latin-1", "replace"), self._proxies))

    def is_https(self, peer: str, proto: str, host: str) -> bool:
        """Return whether the browser came by https; ``proto`` is X-Forwarded-Proto, ``host`` the header Host.

        What a trusted proxy says counts; else the console's own address, as the settings have it.
        """
        if proto and (pack(peer) or b"") in self._proxies:
            # Of several proxies, the first that was called wrote the first word.
            return proto.partition(",")[0].strip().lower() == "https"
        name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
        return bool(self._https_host) and name.strip("[]").lower() == self._https_host
