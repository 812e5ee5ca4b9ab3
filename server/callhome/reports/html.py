"""A mail as HTML, to the rules of docs/mail-rules.md. Pure."""

from __future__ import annotations

from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from .model import UNSUBSCRIBE
from .outline import Outline

_TEMPLATE: Final = "mail.html"
# Longer texts may be broken anywhere, so that a phone shows the whole row; a date or a state is not.
_WHOLE_WORD: Final = 14


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("callhome.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    return environment.get_template(_TEMPLATE)


def html(outline: Outline, *, can_unsubscribe: bool) -> str:
    """The whole HTML: every text in it is escaped. `UNSUBSCRIBE` stands where the address comes."""
    unsubscribe = UNSUBSCRIBE if can_unsubscribe else ""
    return _template().render(outline=outline, unsubscribe=unsubscribe, whole_word=_WHOLE_WORD) + "\n"
