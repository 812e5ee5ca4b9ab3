"""What every section of a mail is told from, and how it is parted by products. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .figures import Figures, Product
from .model import Order
from .outline import Block, Group, Section
from .wording import Wording, shown


@dataclass(frozen=True, slots=True)
class Telling:
    """What every section needs: the order, the figures, the language; the largest ``detailed`` products have parts."""

    order: Order
    figures: Figures
    wording: Wording
    detailed: int


# What one section says of one product.
Tell = Callable[[Telling, Product], Iterable[Block]]


def by_product(telling: Telling, title: str, tell: Tell) -> Section:
    """A part for each of the largest products; their names stand over it where there are several."""
    products = telling.figures.products
    groups = (
        Group(shown(product.name) if len(products) > 1 else "", tuple(tell(telling, product)))
        for product in products[: telling.detailed]
    )
    return Section(title, tuple(groups))
