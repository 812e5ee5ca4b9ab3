"""How ``callhome watch`` shows the live counters: a table that moves on a terminal, lines elsewhere.

Names, versions and builds come from whoever sends pings. They reach a terminal only as printable
characters: no escape sequences, no bidirectional tricks, no markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click
import orjson

from ..live.counters import ZERO, CountryCounts, Dirty
from ..live.wire import LiveState
from .text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live


class View(Protocol):
    """What the connection tells; each call shows at once."""

    def update(self, state: LiveState, dirty: Dirty, at: str) -> None:
        """The counters are as in ``state``; ``dirty`` has changed by the server's time ``at`` (RFC 3339)."""

    def status(self, text: str) -> None:
        """How the connection is, in a few words; called with the same words again, nothing is new."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is shown: one product or all, and how many countries and builds of each."""

    product: str | None
    top: int

    def products(self, state: LiveState) -> list[str]:
        """Keys of the products to show, those with the most installs first."""
        totals = state.totals()
        keys = [key for key in totals if self.product in (None, key)]
        return sorted(keys, key=lambda key: (-totals[key].installs_30d, key))


class Lines:
    """A line for each product that changed, to stdout; the connection's state to stderr."""

    def __init__(self, choice: Choice, *, as_json: bool) -> None:
        self._choice = choice
        self._as_json = as_json
        self._status = ""

    def update(self, state: LiveState, dirty: Dirty, at: str) -> None:
        """One line a product of the choice that is ``dirty``."""
        totals, changed = state.totals(), dirty.product_keys()
        for key in self._choice.products(state):
            if key in changed or dirty.today:
                click.echo(self._line(at, key, state.products.get(key, key), totals[key]))

    def status(self, text: str) -> None:
        """One line, if it is news."""
        if text != self._status:
            self._status = text
            click.echo(f"callhome: {printable(text)}", err=True)

    def _line(self, at: str, key: str, name: str, counts: CountryCounts) -> str:
        if self._as_json:
            return orjson.dumps({"at": at, "product": key, "name": name, **counts._asdict()}).decode()
        numbers = " ".join(f"{field}={value}" for field, value in counts._asdict().items())
        return f"{at} {printable(key)} {numbers}"


class Table:
    """One table, drawn again in place at each change."""

    def __init__(self, choice: Choice, live: Live) -> None:
        self._choice = choice
        self._live = live
        self._status = ""
        self._state = LiveState()

    def update(self, state: LiveState, dirty: Dirty, at: str) -> None:
        """Draw the table anew."""
        self._state = state
        self._live.update(self._render(), refresh=True)

    def status(self, text: str) -> None:
        """Show it in the line below the table."""
        self._status = printable(text)
        self._live.update(self._render(), refresh=True)

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        return Group(render_table(self._state, self._choice), Text(self._status, style="dim"))


def render_table(state: LiveState, choice: Choice) -> RenderableType:
    """The products' totals with their top countries and builds, as a rich table."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    title = f"UTC day {state.today}" if state.today else "nothing counted yet"
    table = RichTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("product")
    for heading in (
        "installs\ntoday",
        "users\ntoday",
        "launches\ntoday",
        "installs\n30 days",
        "users\n30 days",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("top countries\ninstalls, 30 days")
    table.add_column("builds in use\ninstalls, 30 days")
    totals = state.totals()
    for key in choice.products(state):
        counts = totals.get(key, ZERO)
        figures = [f"{value:,}" for value in counts[:5]]
        countries = {row[1]: value.installs_30d for row, value in state.countries.items() if row[0] == key}
        builds = {" ".join(row[1:]).strip(): value for row, value in state.builds.items() if row[0] == key}
        name = Text(printable(state.products.get(key, key)), style="bold")
        table.add_row(name, *figures, Text(_top(countries, choice.top)), Text(_top(builds, choice.top)))
    return table


def _top(numbers: dict[str, int], most: int) -> str:
    """The largest, such as ``DE 12, FR 3, and 7 more``."""
    ranked = sorted(numbers.items(), key=lambda row: (-row[1], row[0]))
    shown = [f"{printable(name)} {value:,}" for name, value in ranked[:most]]
    if len(ranked) > most:
        shown.append(f"and {len(ranked) - most:,} more")
    return ", ".join(shown)
