"""How ``callhome report`` shows subscriptions, runs and mails: as rows of texts, and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..store.report_history import PastDelivery, PastRun
    from ..store.reports import Subscription


def when(moment: Any) -> str:
    """A moment for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def soon(config: Path | None) -> str:
    """When an order is sent, as far as the settings here tell: those of the servers may be others."""
    from ..settings import collect

    has_server = "smtp_url" in collect({}, config, os.environ, {}).given
    return "in a moment" if has_server else "as soon as a server with CALLHOME_SMTP_URL runs"


def many(made: Subscription) -> str:
    """How many get it."""
    count = sum(each.unsubscribed_at is None for each in made.recipients)
    return f"{count:,} recipient{'s' if count != 1 else ''}"


def still_unsubscribed(made: Subscription, addresses: Iterable[str]) -> Iterator[str]:
    """Of who was to be added, a line for each that gets nothing all the same."""
    wanted = set(addresses)
    for each in made.recipients:
        if each.unsubscribed_at is not None and each.address in wanted:
            yield (
                f"{each.address} has unsubscribed and stays so; to put them back: --not-to {each.address}, "
                f"then --to {each.address}"
            )


def row(each: Subscription) -> tuple[str, ...]:
    """A line of `report list`."""
    addresses = [
        one.address if one.unsubscribed_at is None else f"({one.address})" for one in each.recipients
    ]
    return (
        *(each.name, ",".join(each.products) or "all", ",".join(each.sections), each.language),
        *(each.schedule, each.time_zone, str(each.days), "paused" if each.is_paused else when(each.next_due)),
        " ".join(addresses),
    )


def record(each: Subscription) -> Any:
    """The same for programs."""
    return plain({name: value for name, value in asdict(each).items() if name != "id"})


def run_row(each: PastRun) -> tuple[str, ...]:
    """A line of `report history`."""
    counts = " ".join(f"{state}={count}" for state, count in each.states.items())
    state = counts or each.failure or ("no recipient" if each.composed_at else "to be composed")
    days = (each.first_day.isoformat(), each.last_day.isoformat())
    return each.report, when(each.due), *days, each.subject or "", state


def mail_row(each: PastDelivery) -> tuple[str, ...]:
    """A line of `report history --state`."""
    return (
        *(str(each.id), each.report, when(each.due), each.address, each.state, str(each.tries)),
        each.outcome or "",
    )


def plain(record: Any) -> Any:
    """As JSON has it: moments and days in ISO 8601."""
    match record:
        case dict():
            return {name: plain(value) for name, value in record.items()}
        case list() | tuple():
            return [plain(value) for value in record]
        case None | str() | int() | bool():
            return record
    return record.isoformat()
