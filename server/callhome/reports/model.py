"""A composed report: what the mail consists of, before anybody's name is on it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

# In the order in which they stand in a mail, unless a subscription says otherwise.
SECTIONS: Final = (
    "usage", "builds", "updates", "installs", "countries", "findings", "licenses",
)  # fmt: skip
LANGUAGES: Final = ("en", "fr")


@dataclass(frozen=True, slots=True)
class Period:
    """Whole UTC days, both included. The period before it is as long, and ends the day before ``first_day``."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be composed: ``products`` are keys, none for all; ``sections`` are of `SECTIONS`, in this order."""

    name: str
    products: tuple[str, ...]
    sections: tuple[str, ...]
    language: str
    period: Period


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside the text, such as a CSV."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """A picture within the HTML, which names it ``cid:`` and its ``cid``."""

    cid: str
    content: bytes  # PNG


@dataclass(frozen=True, slots=True)
class Composed:
    """A report for everybody who gets it. Texts may hold `UNSUBSCRIBE`, which each recipient's own address replaces."""

    subject: str
    composed_at: datetime
    text: str
    html: str
    images: tuple[Image, ...]
    attachments: tuple[Attachment, ...]


# Stands in text and HTML where the address to unsubscribe at comes; nothing that a client sends can look like it, since
# it has characters that no stored text has.
UNSUBSCRIBE: Final = "\x02unsubscribe\x03"
