"""Rows of pings for the tests of what stands behind ingest."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from callhome.store.encoding import encode_license, encode_row
from callhome.store.ids import new_id


@dataclass(frozen=True)
class Row:
    """A ping as the store gets it, every column settable; ``bytes(row)`` encodes it."""

    install: int = 1
    id: bytes = field(default_factory=new_id)
    at_s: float = field(default_factory=time.time)
    product: int = 1
    users: int = 1
    event: int = 0
    verified: bool = True
    country: str = "DE"
    version: str = "1.0"
    build: str = "b1"
    os: str = "linux"
    license: bytes | None = None
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        return encode_row(
            self.id, self.install.to_bytes(16, "big"), int(self.at_s * 1_000_000), self.product, self.users, self.event,
            self.verified, False, self.country, self.version, self.build, self.os, None, None, None, None,
            encode_license(self.license, None), self.extra,
        )  # fmt: skip
