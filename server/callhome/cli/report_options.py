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
    """Add them to a command; each is None or empty where it isn't given."""
    options = (
        click.option(
            "--product",
            "products",
            multiple=True,
            metavar="KEY",
            help="A product that it covers. [default: all]",
        ),
        click.option(
            "--section",
            "sections",
            multiple=True,
            type=click.Choice(SECTIONS),
            help="A section, in this order. [default: all]",
        ),
        click.option("--language", type=click.Choice(LANGUAGES), help="Its language. [default: en]"),
        click.option(
            "--cron", "schedule", metavar="CRON", help=f"When it is due: five fields. [default: {CRON!r}]"
        ),
        click.option(
            "--time-zone", metavar="ZONE", help="Time zone of that, such as Europe/Paris. [default: UTC]"
        ),
        click.option(
            "--days",
            type=click.IntRange(0, 366),
            help="How many UTC days it covers; 0: those since the one before. [default: 0]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
