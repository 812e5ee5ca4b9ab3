"""A report from its figures: subject, plain text, HTML, pictures and tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .figures import Figures
from .html import html
from .license_sections import licenses_end, standing
from .model import Composed, Order
from .outline import Outline
from .plain import plain
from .sections import sections
from .tables import attachments
from .telling import Telling
from .texts import Texts
from .wording import LANGUAGES, Wording, heading, shown

# Gmail shows no more than 102 kB of a message.
HTML_BYTES: Final = 99_000
# How many products have a part of their own: three, or as many as there is room for.
_DETAILED: Final = (3, 2, 1, 0)
# As long as a report's name may be.
_NAME_CHARACTERS: Final = 100

_LICENSING: Final = frozenset({"findings", "licenses"})
# Which of the notes at the end belong to a section.
_MEANINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "usage": ("means_installs", "means_users", "means_launches"),
        "builds": ("means_builds",),
        "updates": ("means_updates",),
        "installs": ("means_moved",),
        "countries": ("means_countries",),
        "findings": ("means_findings",),
        "licenses": ("means_licenses",),
    }
)


def compose(order: Order, figures: Figures, console_url: str | None) -> Composed:
    """Compose the mail that everybody gets who is subscribed.

    It draws pictures, which takes a tenth of a second of a processor: call it in a thread, off the event loop. It reads
    no clock: the same order and figures give the same bytes. With a ``console_url`` each copy has an address to
    unsubscribe at (`UNSUBSCRIBE`).
    """
    can_unsubscribe = console_url is not None
    for detailed in _DETAILED:
        outlined = outline(order, figures, detailed)
        page = html(outlined, can_unsubscribe=can_unsubscribe)
        if len(page.encode()) <= HTML_BYTES:
            break
    return Composed(
        subject=outlined.subject,
        composed_at=figures.as_of,
        text=plain(outlined, can_unsubscribe=can_unsubscribe),
        html=page,
        images=tuple(picture.image for picture in outlined.pictures()),
        attachments=attachments(order, figures),
    )


def outline(order: Order, figures: Figures, detailed: int) -> Outline:
    """What the mail consists of, in its language; the largest ``detailed`` products have a part in each section."""
    wording = Wording(LANGUAGES[order.language])
    texts, name = wording.texts, shown(order.name, _NAME_CHARACTERS)
    return Outline(
        language=texts.language,
        subject=heading(_subject(wording, order, figures)),
        name=name,
        days=wording.days(order.period),
        headline=_headline(wording, order, figures, detailed),
        sections=sections(Telling(order, figures, wording, detailed)),
        meaning=texts.meaning,
        meanings=_meanings(texts, order),
        read_at=wording.read_at(figures.as_of),
        as_of=figures.as_of,
        sent_by=texts.sent_by.format(name=name),
        unsubscribe=texts.unsubscribe,
        unsubscribe_here=texts.unsubscribe_here,
        no_unsubscribe=texts.no_unsubscribe,
    )


def _totals(figures: Figures) -> tuple[int, int]:
    """Active installs of all products in the period and in the one before."""
    usages = [product.usage for product in figures.products]
    return sum(usage.now.installs for usage in usages), sum(usage.before.installs for usage in usages)


def _is_licensing(order: Order) -> bool:
    return _LICENSING.issuperset(order.sections)


def _subject(wording: Wording, order: Order, figures: Figures) -> str:
    texts, name, days = wording.texts, shown(order.name, _NAME_CHARACTERS), wording.days(order.period)
    if _is_licensing(order):
        return texts.subject_of_licensing.format(name=name, days=days, **standing(wording, figures.findings))
    now, before = _totals(figures)
    change = f" ({wording.change(now, before)})" if before else ""
    return wording.counted(texts.subject, now, name=name, change=change, days=days)


def _headline(wording: Wording, order: Order, figures: Figures, detailed: int) -> tuple[str, ...]:
    texts, products = wording.texts, figures.products
    if not products:
        return (texts.no_product,)
    if _is_licensing(order):
        return (_licensing_headline(wording, figures),)
    now, before = _totals(figures)
    when, change = wording.when(order.period), wording.compared(now, before, order.period)
    largest = shown(products[0].name)
    if len(products) == 1:
        return (wording.counted(texts.headline, now, product=largest, when=when, change=change),)
    count = wording.number(len(products))
    said = wording.counted(texts.headline_of_all, now, products=count, when=when, change=change)
    more = []
    if now:
        more.append(texts.largest.format(product=largest, n=wording.number(products[0].usage.now.installs)))
    if detailed < len(products):
        more.append(texts.more_products.format(n=wording.number(detailed), all=count))
    return said, *more


def _licensing_headline(wording: Wording, figures: Figures) -> str:
    said = wording.texts.licensing_headline.format(**standing(wording, figures.findings))
    return f"{said} {licenses_end(wording, figures)}"


def _meanings(texts: Texts, order: Order) -> tuple[str, ...]:
    """What the numbers of the ordered sections mean; what an active install is comes first."""
    names = [name for section in order.sections for name in _MEANINGS[section]]
    if not _is_licensing(order):
        names.insert(0, "means_installs")
    return tuple(getattr(texts, name) for name in dict.fromkeys(names))
