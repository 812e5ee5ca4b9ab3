"""Licenses and their usage as people and programs see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import click

from .. import csvcells
from ..licenses.model import Counts
from ..licenses.verdict import verdict
from ..store.licenses import Listed, UsageDay
from .listing import show, show_json
from .text import printable

_CSV: Final = (
    "id", "last4", "customer", "product", "seats", "allowed", "counts", "use", "window_days", "starts", "ends",
    "grace_days", "overage", "revoked_on", "seats_used", "used_max", "max_day", "verdict",
)  # fmt: skip


def name(listed: Listed) -> str:
    """Return what a license is called in a message: its number, and the end of its key."""
    one = listed.license
    return f"license {one.id}" + ("" if one.last4 is None else f" (…{printable(one.last4)})")


def summary(listed: Listed) -> str:
    """Return in a line what was sold to whom."""
    one = listed.license
    what = "installs" if one.counts is Counts.INSTALL else "users"
    overage = (
        "any number more" if one.overage is None else f"{one.allowed} allowed" if one.overage > 1 else ""
    )
    span = " ".join(
        [f"from {one.starts}"] * (one.starts is not None) + [f"to {one.ends}"] * (one.ends is not None)
    )
    terms = [
        f"{one.seats} {what}",
        overage,
        f"{one.use} within {one.window_days} days",
        f"{span} and {one.grace_days} days of grace" if one.ends is not None else span,
        "" if one.revoked_on is None else f"revoked from {one.revoked_on} on",
    ]
    return f"{listed.product}, {printable(one.customer, None)}, {', '.join(filter(None, terms))}"


def show_list(found: Sequence[Listed], today: date, form: str) -> None:
    """Print licenses: ``form`` is ``json`` or ``csv``, with everything, or ``""``: a table, or lines with tabs."""
    if form == "json":
        show_json([_record(each, today) for each in found])
    elif form == "csv":
        records = (_record(each, today) for each in found)
        lines = csvcells.rows(_CSV, ([record[head] for head in _CSV] for record in records))
        click.echo("".join(lines), nl=False)
    else:
        heads = ("id", "key", "customer", "product", "seats", "used", "most", "ends", "verdict")
        show(heads, [_row(each, today) for each in found], "No such license: callhome license add PRODUCT")


def show_usage(listed: Listed, found: Sequence[UsageDay], as_json: bool) -> None:
    """Print the usage of a license, a line for each day from the first to the last that is known."""
    one, days = listed.license, _without_gaps(found)
    if as_json:
        usage = [
            {"day": str(each.day), "seats_used": each.seats_used, "held": each.held, "active": each.active}
            for each in days
        ]
        show_json([_record(listed, None) | {"usage": usage}])
        return
    seats, allowed = str(one.seats), _text(one.allowed)
    rows = [
        [str(each.day), str(each.seats_used), seats, allowed, str(each.held), str(each.active)]
        for each in days
    ]
    heads = ("day", "used", "seats", "allowed", "held", "active")
    show(heads, rows, "No usage was counted in these days.")


def _without_gaps(found: Sequence[UsageDay]) -> list[UsageDay]:
    days: list[UsageDay] = []
    for each in found:
        while days and days[-1].day + timedelta(days=1) < each.day:
            days.append(UsageDay(days[-1].day + timedelta(days=1), 0, 0, 0))
        days.append(each)
    return days


def _row(listed: Listed, today: date) -> list[str]:
    one = listed.license
    said = verdict(listed.terms, one.product, today)
    used = (_text(listed.seats_used), _text(listed.used_max), _text(one.ends))
    return [str(one.id), one.last4 or "", one.customer, listed.product, str(one.seats), *used, said.value]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _record(listed: Listed, today: date | None) -> dict[str, str | int | None]:
    one = listed.license
    record = {
        "id": one.id,
        "last4": one.last4,
        "customer": one.customer,
        "product": listed.product,
        "seats": one.seats,
        "allowed": one.allowed,
        "counts": one.counts.value,
        "use": one.use.value,
        "window_days": one.window_days,
        "starts": _day(one.starts),
        "ends": _day(one.ends),
        "grace_days": one.grace_days,
        "overage": "unlimited" if one.overage is None else str(one.overage),
        "revoked_on": _day(one.revoked_on),
        "seats_used": listed.seats_used,
        "used_max": listed.used_max,
        "max_day": _day(listed.max_day),
    }
    return record if today is None else record | {"verdict": verdict(listed.terms, one.product, today).value}


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
