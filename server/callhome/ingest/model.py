"""A ping as it is on the wire: names, types and bounds, which msgspec checks while it decodes.

The bounds count characters, not bytes. They are the only place where the rules of a field stand;
JSON and the old requests are both held to them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

# As in the CHECK on product.key; versions of PEP 440 and SemVer fit easily.
Name = Annotated[str, Meta(min_length=1, max_length=64)]
# Names of systems, languages and channels, not sentences.
Short = Annotated[str, Meta(max_length=64)]
# 8: too short an id would fall together with another's; 128: a SHA-512 in hexadecimal digits.
Install = Annotated[str, Meta(min_length=8, max_length=128)]
License = Annotated[str, Meta(max_length=128)]
# More people than live on Earth would be a mistake; it fits PostgreSQL's integer.
Users = Annotated[int, Meta(ge=0, le=1_000_000_000)]
ExtraKey = Annotated[str, Meta(max_length=64)]
ExtraText = Annotated[str, Meta(max_length=256)]
# PostgreSQL's bigint: what a query may cast such a value to.
ExtraInteger = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Scalar = ExtraText | ExtraInteger | float | bool | None
# 16 × (64 + 256) characters of ASCII fit the 16 KiB of a ping.
Extra = Annotated[dict[ExtraKey, Scalar], Meta(max_length=16)]


class Event(StrEnum):
    """What the product did when it sent the ping."""

    START = "start"
    ALIVE = "alive"
    STOP = "stop"


# As stored in ping.event.
EVENT_CODES: Final = {Event.START: 0, Event.ALIVE: 1, Event.STOP: 2}


class Ping(msgspec.Struct, frozen=True, gc=False):
    """One decoded ping. Optional texts are None where the client sent none; null means the same."""

    product: Name
    version: Name
    install: Install
    id: UUID | None = None
    build: Short | None = None
    license: License | None = None
    users: Users = 1
    os: Short | None = None
    os_version: Short | None = None
    arch: Short | None = None
    locale: Short | None = None
    channel: Short | None = None
    event: Event = Event.START
    extra: Extra | None = None

    @property
    def weak(self) -> bool:
        """Whether there is no install id, which only an old request may lack."""
        return not self.install


class LegacyPing(Ping, frozen=True, gc=False, kw_only=True):
    """A ping of an old request: the same but that it may come without an install id, then ``""``."""

    install: Install = ""
