"""Addresses of every country: looked for in the registry data by which the server looks countries up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import iptocc

# A /20 is what small countries' providers have: of 250 countries, 235 are found, in less than a second.
_STEP: Final = 1 << 12
# Unicast, without 0/8 and above 224/4.
_FIRST, _LAST = 1 << 24, 224 << 24
# So many of a country are plenty: the address itself is never stored.
_EACH: Final = 20
# Looked up at a time: keeps the texts of a million addresses out of memory.
_AT_ONCE: Final = 65_536


def by_country() -> dict[str, list[str]]:
    """Return some IPv4 addresses of each country that has any, by alpha-2 code. Takes 0.7 s."""
    found: dict[str, list[str]] = {}
    candidates = _candidates()
    while some := list(islice(candidates, _AT_ONCE)):
        for address, code in zip(some, iptocc.country_code(some), strict=True):
            if code is not None and len(addresses := found.setdefault(code, [])) < _EACH:
                addresses.append(address)
    return found


def _candidates() -> Iterator[str]:
    for number in range(_FIRST, _LAST, _STEP):
        yield f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255 | 1}"
