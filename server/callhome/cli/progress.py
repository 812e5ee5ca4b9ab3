"""How long work is shown: moving on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Show on stderr that ``doing`` goes on, then how long it took; nothing more if it fails.

    On a terminal a spinner (colours unless ``NO_COLOR`` is set), which leaves one line behind.
    """
    started_s = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(doing):
            yield
    else:
        click.echo(f"{doing} ...", err=True)
        yield
    click.echo(f"{doing}: done in {time.monotonic() - started_s:.1f} s", err=True)
