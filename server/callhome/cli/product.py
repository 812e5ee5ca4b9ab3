"""``callhome product``: which products may call home."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .database import run
from .options import config, database_url

if TYPE_CHECKING:
    from ..store.products import Product


@click.group()
def product() -> None:
    """Register the products that may call home.

    A ping of a product that isn't registered is refused. Running servers know of a change within a second.
    """


@product.command()
@click.argument("key")
@click.option("--name", help="What people call it. [default: the key; for one that is there, as it was]")
@config
@database_url
def add(key: str, name: str | None, config: Path | None, database_url: str | None) -> None:
    """Register the product KEY, or change its name.

    KEY is what its pings say in `product`: lower-case letters, digits, dot, dash and underscore.

    \b
    Example:
      callhome product add es --name "Example Server"
    """
    from ..store import products

    name = None if name is None else name.strip()
    products.check(key, name)  # before a connection is made for nothing
    is_new, called = run(lambda connection: products.add(connection, key, name), config, database_url)
    click.echo(f"{key} is registered as {called!r}" if is_new else f"{key} was there; its name is {called!r}")


@product.command("list")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array, for programs.")
@config
@database_url
def list_(as_json: bool, config: Path | None, database_url: str | None) -> None:
    """List the registered products.

    A table on a terminal; elsewhere a line each: key, name and date, with tabs between them.
    """
    from ..store import products

    found = run(products.list_all, config, database_url)
    if as_json:
        keys = [{"key": one.key, "name": one.name, "created_at": one.created_at.isoformat()} for one in found]
        click.echo(json.dumps(keys, ensure_ascii=False, indent=2))
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for one in found:
            click.echo(f"{one.key}\t{one.name}\t{one.created_at:%Y-%m-%d}")


def _print_table(products: list[Product]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("key", "name", "since")
    for one in products:
        table.add_row(one.key, Text(one.name), f"{one.created_at:%Y-%m-%d}")
    Console().print(table if products else "No product is registered: callhome product add KEY")
