"""What a mail consists of, before it is plain text or HTML: both say the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .model import Image


@dataclass(frozen=True, slots=True)
class Fact:
    """One number that stands out: what it is, the number, and its change (``""`` where there is none)."""

    label: str
    value: str
    change: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Numbers beside each other."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or two; a ``quiet`` one is beside the point."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in rows under the titles ``columns``. From ``numbers_from`` on they are numbers and stand to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers_from: int
    has_total: bool = False  # the last row sums up those above it


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, and in words what it shows; ``width`` and ``height`` are those it is shown at, in CSS pixels."""

    image: Image
    alt: str
    width: int
    height: int


Block = Facts | Paragraph | Table | Picture


@dataclass(frozen=True, slots=True)
class Group:
    """What a section says of one product, under its name, or of all (``""``)."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section under its heading."""

    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """All of a mail. ``name`` is the subscription's, ``days`` its period; ``meanings`` say what the numbers mean."""

    language: str
    subject: str
    name: str
    days: str
    headline: tuple[str, ...]
    sections: tuple[Section, ...]
    meaning: str
    meanings: tuple[str, ...]
    read_at: str
    as_of: datetime
    sent_by: str
    # What to click on, the same with its address behind it, and what stands there where there is no address.
    unsubscribe: str
    unsubscribe_here: str
    no_unsubscribe: str

    def pictures(self) -> Iterator[Picture]:
        """All pictures, in their order."""
        for section in self.sections:
            for group in section.groups:
                yield from (block for block in group.blocks if isinstance(block, Picture))
