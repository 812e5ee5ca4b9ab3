"""Alerts in the database: what is watched, and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import orjson

from .. import addresses
from ..alerts.model import Alert, Rule
from ..alerts.parameters import (
    COOLDOWN_S,
    InvalidAlert,
    check_name,
    check_told,
    check_webhook,
    complete,
    read,
)
from ..alerts.telling import TEXTS
from ..errors import UsageError
from .connection import Connection
from .registered import product_id

# What is told of the alerts that are there: as many as fit a line.
_NAMED: Final = 5

# Of an alert, a, and its product, p: what `alert_of` reads.
COLUMNS: Final = (
    "a.id, a.name, a.rule, p.key AS product, a.parameters, a.recipients, a.webhook, a.language, a.cooldown_s, "
    "a.created_at"
)


class UnknownAlert(UsageError):
    """There is no such alert; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is given of an alert; ``product`` is a key, ``numbers`` maps names to one number or several."""

    name: str
    rule: Rule
    product: str | None = None
    numbers: Mapping[str, Sequence[int]] | None = None
    recipients: tuple[str, ...] = ()
    webhook: str | None = None
    language: str = "en"
    cooldown_s: int = COOLDOWN_S


def check(given: Given) -> Given:
    """Return it with what was left out. Raises `InvalidAlert` or `InvalidAddress` where `add` would without looking."""
    check_name(given.name)
    numbers = complete(given.rule, given.numbers or {})
    recipients = tuple(dict.fromkeys(addresses.checked(each) for each in given.recipients))
    check_told(recipients, given.webhook)
    if given.webhook is not None:
        check_webhook(given.webhook)
    if given.language not in TEXTS:
        raise InvalidAlert("language", given.language, " or ".join(TEXTS))
    kept = {name: value if isinstance(value, list) else [value] for name, value in numbers.items()}
    return Given(
        given.name,
        given.rule,
        given.product,
        kept,
        recipients,
        given.webhook,
        given.language,
        given.cooldown_s,
    )


async def add(connection: Connection, given: Given) -> Alert:
    """Make an alert and return it. Raises `InvalidAlert`, `InvalidAddress` and `UnknownProduct`.

    Cancelling it: done or not, never half.
    """
    given = check(given)
    product = None if given.product is None else await product_id(connection, given.product)
    try:
        await connection.execute(
            "INSERT INTO alert (name, rule, product, parameters, recipients, webhook, language, cooldown_s) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            given.name,
            given.rule.value,
            product,
            orjson.dumps(complete(given.rule, given.numbers or {})).decode(),
            list(given.recipients),
            given.webhook,
            given.language,
            given.cooldown_s,
        )
    except asyncpg.UniqueViolationError:
        raise InvalidAlert(
            "name", given.name, "a name that no alert has; `callhome alert list` shows them"
        ) from None
    return await named(connection, given.name)


async def named(connection: Connection, name: str) -> Alert:
    """Return the alert of that name. Raises `UnknownAlert`. Cancelling it changes nothing."""
    there = await list_all(connection)
    for one in there:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in there[:_NAMED]) + (" …" if len(there) > _NAMED else "")
    raise UnknownAlert(
        f"there is no alert {name!r}; {f'there are {names}' if there else 'there is none'}: "
        "`callhome alert list` shows all"
    )


async def list_all(connection: Connection) -> list[Alert]:
    """Return the alerts in the order of their names. Cancelling it changes nothing."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM alert a LEFT JOIN product p ON p.id = a.product ORDER BY a.name"  # noqa: S608 - constants
    )
    return [alert_of(row) for row in rows]


async def remove(connection: Connection, name: str) -> None:
    """Remove an alert with its history; what it has still to tell is not told. Raises `UnknownAlert`.

    Cancelling it: done or not.
    """
    alert = await named(connection, name)
    await connection.execute("DELETE FROM alert WHERE id = $1", alert.id)


def alert_of(row: Any) -> Alert:
    """Return the alert of a row with `COLUMNS`. Raises `InvalidAlert`."""
    rule = Rule(row["rule"])
    return Alert(
        id=row["id"],
        name=row["name"],
        rule=rule,
        product=row["product"],
        numbers=read(rule, orjson.loads(row["parameters"])),
        recipients=tuple(row["recipients"]),
        webhook=row["webhook"],
        language=row["language"],
        cooldown_s=row["cooldown_s"],
        created_at=row["created_at"],
    )
