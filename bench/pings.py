"""The pings of a workload: as skewed as a real installed base, the same again from the same seed.

An install keeps its version, system and license: those belong to one of some thousand templates, drawn by the
weights of the workload, and the number of the install says which. Only install and id differ between two
pings of a template, and both have a fixed width, so that a request is put together from ready parts.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import orjson

from callhome.store.ids import new_id

# As long as the UUIDs that programs use for it.
_INSTALL: Final = b'{"install":"00000000-0000-4000-8000-'
INSTALL_DIGITS: Final = 12
_ID_BYTES: Final = 36


def new_tag() -> str:
    """A name for a run, in the field ``channel`` of its pings, so that its rows are found again."""
    return f"bench-{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping to send: its number of an install, its id and its JSON."""

    install: int
    id: bytes
    body: bytes


class Pings:
    """Makes pings of ``spec``, the table ``pings`` of a workload, for a product.

    ``spec``: ``seed``, ``installs`` (how many there are), ``templates`` (how many), and by field the ``weights`` of
    its values; the value ``""`` leaves the field out. ``tag`` is what they carry as their channel.
    """

    def __init__(self, spec: Mapping[str, Any], product: str, tag: str) -> None:
        rng = random.Random(spec["seed"])
        self.tag = tag
        self.installs = int(spec["installs"])
        self._draw: Callable[[], int] = lambda: rng.randrange(self.installs)
        self.tails = [self._tail(rng, spec["weights"], product) for _ in range(spec["templates"])]

    def _tail(self, rng: random.Random, weights: Mapping[str, Mapping[str, float]], product: str) -> bytes:
        """The rest of a ping behind its install and id: ``"product":…}``."""
        fields = {"product": product, "channel": self.tag}
        for name, values in weights.items():
            (value,) = rng.choices(list(values), list(values.values()))
            if value:
                # A license belongs to a site: as many keys as templates.
                fields[name] = value.replace("#", f"{rng.getrandbits(32):08X}")
        return orjson.dumps({**fields, "users": 1 + int(rng.expovariate(0.2))})[1:]

    def ping(self, install: int | None = None, at_s: float | None = None) -> Ping:
        """A ping of an install, by its number (else drawn), made at a Unix time (else now)."""
        number = self._draw() if install is None else install
        id = new_id(at_s)
        start = b'%b%012d","id":"%b",' % (_INSTALL, number, _uuid(id))
        return Ping(number, id, start + self.tails[number % len(self.tails)])

    def requester(self, *heads: bytes) -> Callable[[], tuple[bytes, bytes]]:
        """A function that makes id and whole request of the next ping.

        ``heads`` end before Content-Length; an install keeps to one of them.
        """
        around = len(_INSTALL) + INSTALL_DIGITS + len(b'","id":"') + _ID_BYTES + len(b'",')
        starts = [
            b"%bContent-Length: %d\r\n\r\n%b" % (head, around + len(tail), _INSTALL)
            for head, tail in zip(cycle(heads), self.tails, strict=False)
        ]
        tails, draw, count = self.tails, self._draw, len(self.tails)

        def request() -> tuple[bytes, bytes]:
            number = draw()
            id, which = new_id(), number % count
            return id, b'%b%012d","id":"%b",%b' % (starts[which], number, _uuid(id), tails[which])

        return request

    def write_parts(self, file: Path) -> None:
        """Write for ping.lua what stands before and behind the install of each template, a line each."""
        file.write_bytes(b"".join(b'%b\n",%b\n' % (_INSTALL, tail) for tail in self.tails))


def _uuid(id: bytes) -> bytes:
    digits = id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()
