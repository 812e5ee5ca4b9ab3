"""The one order of versions, whatever scheme their vendor uses. Pure.

A text is read as PEP 440 says if ``packaging`` can read it, else as Semantic Versioning 2.0 says, else compared as a
text. All share one form of key, so a list of all kinds has one order: docs/decisions/0011-version-order.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from packaging.version import InvalidVersion, Version

# What a ping, a release and a notice can hold. A longer text is compared as a text: Python refuses to read numbers
# of more than 4,300 digits, and what an order costs stays bounded.
READ_CHARACTERS: Final = 64
# The versions of 200 releases, and those that run out there. A key takes 0.6 kB, and 6 kB at worst (32 identifiers
# in 64 characters): 2,048 × 6 kB = 12 MB if strangers send nothing else. One that was dropped costs 1 to 5 µs again.
_KEPT_KEYS: Final = 2_048

# SemVer's grammar, with any number of numbers (5.10-hotfix.a, 10.0.19041.1-vm.x) and with leading zeros.
_SEMVER: Final = re.compile(
    r"[vV]?(?P<numbers>[0-9]+(?:\.[0-9]+)*)"
    r"(?:-(?P<before>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
# PEP 440 has three names of pre-releases. Spelled out, they have their place among those of SemVer.
_SPELLED: Final = {"a": "alpha", "b": "beta", "rc": "rc"}

# Whether it is a number, the number, the text: of an identifier between two dots.
_Identifier = tuple[int, int, str]
# Readable or not; epoch; numbers; final or before that; identifiers of the pre-release; post-release; whether it is no
# dev-release, and which; local version; the text of what can't be read.
SortKey = tuple[
    int,
    int,
    tuple[int, ...],
    int,
    tuple[_Identifier, ...],
    int,
    tuple[int, int],
    tuple[_Identifier, ...],
    str,
]
_NO_IDENTIFIERS: Final[tuple[_Identifier, ...]] = ()
_NO_POST: Final = -1
_NO_DEV: Final = (1, 0)


@lru_cache(maxsize=_KEPT_KEYS)
def sort_key(version: str) -> SortKey:
    """Return what sorts versions from the oldest to the newest; equal for versions that are the same step.

    Any text has one: nothing is raised. What can't be read lies below all that can.
    """
    if len(version) <= READ_CHARACTERS:
        try:
            return _pep440_key(Version(version))
        except InvalidVersion:
            if matched := _SEMVER.fullmatch(version):
                return _semver_key(matched["numbers"], matched["before"])
    return (0, 0, (), 0, (), _NO_POST, _NO_DEV, (), version)


def is_readable(version: str) -> bool:
    """Whether it is a version of PEP 440 or SemVer, not just a text."""
    return sort_key(version)[0] == 1


def compare(a: str, b: str) -> Literal[-1, 0, 1]:
    """Return -1 if ``a`` is older than ``b``, 1 if it is newer, 0 if neither."""
    first, second = sort_key(a), sort_key(b)
    return -1 if first < second else 1 if first > second else 0


def step(before: str, after: str) -> Literal["upgrade", "downgrade", "same"]:
    """Return what it is to go from ``before`` to ``after``; ``same`` as well between 1.0 and 1.0.0."""
    order = compare(before, after)
    return "upgrade" if order < 0 else "downgrade" if order > 0 else "same"


def _pep440_key(version: Version) -> SortKey:
    """As ``packaging`` compares: 1.0.dev1 < 1.0a1 < 1.0 < 1.0+x < 1.0.post1."""
    is_final, before = 1, _NO_IDENTIFIERS
    if version.pre is not None:
        name, number = version.pre
        is_final, before = 0, ((1, 0, _SPELLED[name]), (0, number, ""))
    elif version.post is None and version.dev is not None:
        is_final = 0  # without an identifier, hence before every pre-release
    return (
        1,
        version.epoch,
        _without_zeros(version.release),
        is_final,
        before,
        _NO_POST if version.post is None else version.post,
        _NO_DEV if version.dev is None else (0, version.dev),
        _local(version.local),
        "",
    )


def _local(local: str | None) -> tuple[_Identifier, ...]:
    """A number is above a text here, unlike in SemVer's pre-releases."""
    if local is None:
        return ()
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in local.split("."))


def _semver_key(numbers: str, before: str | None) -> SortKey:
    """As SemVer's precedence: numbers below texts, fewer identifiers below more; build metadata doesn't count."""
    release = _without_zeros(tuple(int(part) for part in numbers.split(".")))
    if before is None:
        return (1, 0, release, 1, _NO_IDENTIFIERS, _NO_POST, _NO_DEV, (), "")
    identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split("."))
    return (1, 0, release, 0, identifiers, _NO_POST, _NO_DEV, (), "")


def _without_zeros(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Without the zeros at the end: 1, 1.0 and 1.0.0 are equal."""
    end = len(numbers)
    while end and numbers[end - 1] == 0:
        end -= 1
    return numbers[:end]
