"""The sections of a mail by their names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from . import license_sections, product_sections
from .outline import Section
from .telling import Tell, Telling, by_product
from .texts import Texts


def sections(telling: Telling) -> tuple[Section, ...]:
    """The sections that were ordered, in the order's order. Without a product there is none."""
    if not telling.figures.products:
        return ()
    return tuple(_SECTIONS[name](telling) for name in telling.order.sections)


def _each(title: Callable[[Texts], str], tell: Tell) -> Callable[[Telling], Section]:
    """A section with a part for each product."""
    return lambda telling: by_product(telling, title(telling.wording.texts), tell)


_SECTIONS: Final[Mapping[str, Callable[[Telling], Section]]] = MappingProxyType(
    {
        "usage": product_sections.usage,
        "builds": _each(lambda texts: texts.builds, product_sections.builds_of),
        "updates": _each(lambda texts: texts.updates, product_sections.updates_of),
        "installs": _each(lambda texts: texts.installs, product_sections.installs_of),
        "countries": _each(lambda texts: texts.countries, product_sections.countries_of),
        "findings": license_sections.findings,
        "licenses": license_sections.licenses,
    }
)
