"""What a subscription says: who gets which report, of which products, when. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .. import addresses
from ..errors import UsageError
from . import schedule
from .model import LANGUAGES, SECTIONS

# Names stand in subjects; schema.sql says the same.
NAME_CHARACTERS: Final = 100
# Within what single pings are kept for by default, with the period before for most of it.
DAYS_MOST: Final = 366
# A mailing list is the better way to more, and a typing error must not fill a table.
RECIPIENTS_MAX: Final = 100_000


class InvalidSubscription(UsageError):
    """Something of a subscription is wrong; the message says what and what was expected."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A subscription as somebody wants it: ``products`` are keys, none for all of them.

    ``days``: how many each report covers; 0 for those since the due before.
    """

    name: str
    products: tuple[str, ...]
    sections: tuple[str, ...]
    language: str
    schedule: str
    time_zone: str
    recipients: tuple[str, ...]
    days: int = 0


def checked(draft: Draft) -> Draft:
    """Return it tidied: each product, section and recipient once. Raises `UsageError`, naming what is wrong.

    Whether its products are registered only the database knows.
    """
    if not draft.name.isprintable() or not 0 < len(draft.name) <= NAME_CHARACTERS:
        raise InvalidSubscription(
            f"{draft.name[:NAME_CHARACTERS]!r} is no name of a report: expected 1 to {NAME_CHARACTERS} "
            "printable characters; it stands in the subject"
        )
    if unknown := [section for section in draft.sections if section not in SECTIONS]:
        raise InvalidSubscription(f"{unknown[0]!r} is no section: expected some of {', '.join(SECTIONS)}")
    if draft.language not in LANGUAGES:
        raise InvalidSubscription(
            f"{draft.language!r} is no language here: expected one of {', '.join(LANGUAGES)}"
        )
    schedule.check(draft.schedule, draft.time_zone)
    if not 0 <= draft.days <= DAYS_MOST:
        raise InvalidSubscription(
            f"a report covers 1 to {DAYS_MOST} days (0: those since the one before), not {draft.days}"
        )
    recipients = _each_once(addresses.checked(address) for address in draft.recipients)
    if not 0 < len(recipients) <= RECIPIENTS_MAX:
        raise InvalidSubscription(
            f"a report has 1 to {RECIPIENTS_MAX:,} recipients, not {len(recipients):,}: name each with --to ADDRESS"
        )
    return Draft(
        name=draft.name,
        products=_each_once(draft.products),
        sections=_each_once(draft.sections) or SECTIONS,
        language=draft.language,
        schedule=" ".join(draft.schedule.split()),
        time_zone=draft.time_zone,
        recipients=recipients,
        days=draft.days,
    )


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
