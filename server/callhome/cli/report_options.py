"""The options that say what a report is about and when it is due; those of ``report add`` and ``report change``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from ..reports.model import LANGUAGES, SECTIONS

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Mondays at seven, so that it is there when the week begins.
CRON: Final = "0 7 * * MON"


def content_options(function: _Function) -> _Function:
    """Add them to a command that makes a report; each is None or empty where it isn't given."""
    return _added(function, "", ("all", "all", "en", repr(CRON), "UTC", "0"))


def changing_options(function: _Function) -> _Function:
    """Add the same to one that changes a report: what isn't given stays as it is."""
    return _added(function, '; "": all', ("as it is",) * 6)


def _added(function: _Function, all_products: str, defaults: tuple[str, ...]) -> _Function:
    products, sections, language, cron, zone, days = (f"[default: {each}]" for each in defaults)
    options = (
        click.option(
            "--product", "products", multiple=True, metavar="KEY",
            help=f"A product that it covers{all_products}. {products}",
        ),
        click.option(
            "--section", "sections", multiple=True, type=click.Choice(SECTIONS),
            help=f"A section, in this order. {sections}",
        ),
        click.option("--language", type=click.Choice(LANGUAGES), help=f"Its language. {language}"),
        click.option("--cron", "schedule", metavar="CRON", help=f"When it is due: five fields. {cron}"),
        click.option(
            "--time-zone", metavar="ZONE", help=f"Time zone of that, such as Europe/Paris. {zone}"
        ),
        click.option(
            "--days", type=click.IntRange(0, 366),
            help=f"How many UTC days it covers; 0: those since the one before. {days}",
        ),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function
