"""The first pass over a file: every record is converted or rejected, before the first row goes into the database."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import UsageError
from ..pseudonyms import keyed
from .converting import Converted, Plan, Reach, converting
from .mapping import FileMapping
from .reading import Block, Source
from .records import IMPORT
from .rejects import Rejected, Rejects, quoted
from .sorting import Runs

# What these say is in the report, and need not be on a terminal.
_PRIVATE: Final = ("install", "license", "address")
# More names than these help nobody to find what was meant.
_NAMED: Final = 20
# Enough to see whether columns and time zone are right.
_SHOWN: Final = 3


class UnknownProducts(UsageError):
    """The file has products that are not registered; ``counts`` has their rows."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        lines = [f"  {name!r}: {rows:,} rows" for name, rows in counts.most_common(_NAMED)]
        more = [f"  and {len(counts) - _NAMED} more"] if len(counts) > _NAMED else []
        advice = (
            "Register them with `callhome product add KEY`, or say in the mapping what they are called here, in\n"
            '[values.product], such as "Old name" = "es"; "Old name" = "" leaves its rows out.'
        )
        told = ("these products are not registered; nothing was imported:", *lines, *more, advice)
        super().__init__("\n".join(told))


@dataclass(slots=True)
class Prepared:
    """What a file has. ``rows`` are good, ``left_out`` good and not wanted; ``reach`` is by the number of the product,
    ``first`` are the first records, as they were read."""

    left_out: int = 0
    reach: dict[int, Reach] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    fingerprint: bytes = b""
    first: list[Any] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows there are to import."""
        return sum(reach.rows for reach in self.reach.values())

    def take(self, converted: Converted) -> None:
        """Count a block."""
        self.left_out += converted.left_out
        self.unknown += converted.unknown
        for product, reach in converted.reach.items():
            before = self.reach.get(product)
            self.reach[product] = reach if before is None else before.joined(reach)


def prepare(
    source: Source,
    plan: Plan,
    mapping: FileMapping,
    into: tuple[Runs, Rejects],
    processes: int,
    tell: Callable[[int], None],
) -> Prepared:
    """Read all of a file: its rows go into the runs, what becomes none to the rejects; return what was found.

    ``tell`` is called with the bytes read so far. Raises `UnreadableFile`, and ``OSError`` where a disk is full.
    """
    runs, rejects = into
    prepared = Prepared()
    with converting(plan, processes) as convert:
        for block, converted in convert(source.blocks()):
            runs.add(converted.run)
            prepared.take(converted)
            prepared.first = prepared.first or block.split().records[:_SHOWN]
            _reject(block, converted, mapping, rejects)
            tell(source.read_bytes)
    # Under another secret no row would be known again.
    secret = keyed(plan.secret, IMPORT)(b"")
    told = (source.digest, mapping.canonical.encode(), repr(plan.span[:2]).encode(), secret)
    prepared.fingerprint = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in told)).digest()
    return prepared


def _reject(block: Block, converted: Converted, mapping: FileMapping, rejects: Rejects) -> None:
    private = {mapping.fields[name] for name in _PRIVATE if name in mapping.fields}
    block = block.split() if converted.bad else block
    for at, column, given, expected in converted.bad:
        shown = "" if column in private else quoted(given)
        rejects.add(Rejected(block.lines[at], column, shown, expected), block.records[at])
    for line, given, expected in converted.broken:
        rejects.add(Rejected(line, "", given, expected), None)
