"""UUIDv7 (RFC 9562, section 5.7) as 16 raw bytes: made quickly, and read back to its time."""

from __future__ import annotations

import random
import time
from typing import Final

# As far back as an id's own time counts: a copy that was offline for a season still reports.
DAYS_BACK: Final = 90
# Where version and variant stand, and what they are in version 7.
VERSION_BITS: Final = 0xF000_C000_0000_0000_0000
VERSION_7: Final = 0x7000_8000_0000_0000_0000

# Unguessable by nobody's need: an id only has to be unique. Seeded from the system's entropy.
_bits: Final = random.Random().getrandbits
_RANDOM_BITS: Final = 0x0FFF_3FFF_FFFF_FFFF_FFFF


def new_id(now_s: float | None = None) -> bytes:
    """Return a new UUIDv7 for a Unix time in seconds, now by default."""
    return id_at(int((time.time() if now_s is None else now_s) * 1000))


def id_at(ms: int) -> bytes:
    """Return a new UUIDv7 for a Unix time in milliseconds."""
    return (ms << 80 | VERSION_7 | _bits(80) & _RANDOM_BITS).to_bytes(16, "big")


def id_ms(id: bytes) -> int:
    """Return the Unix time in milliseconds within a UUIDv7."""
    return int.from_bytes(id[:6], "big")
