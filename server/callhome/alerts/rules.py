"""The rules: from what was measured, and what is remembered from the look before, to events. Pure.

Each rule says what holds now and was not told yet. An event whose subject is in its cool-down is left as it is: it is
told at the first look after the cool-down at which it still holds. The first look of an alert only remembers what is
so already, since nobody wants to be told of the past.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, Final

from .facts import Adoption, Confirmed, DayCount, OverLicense, Product, Seen, Watch
from .model import Alert, Event, Kind, Numbers

State = Mapping[str, Any]

# Events of one alert that are told singly at one look; more than these nobody reads.
TOLD_AT_ONCE: Final = 20
# How many of the others the one message names that tells of them.
_NAMED: Final = 10
# Copies that could not reach us repeat their pings, most of them within an hour: a day is judged after that.
DAY_SETTLES: Final = timedelta(hours=1)
_WEEKS: Final = 4
# With the finding's number it is the name of the event that a finding is confirmed.
FINDING_PREFIX: Final = "finding "


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be told, and what is to be remembered."""

    events: tuple[Event, ...]
    state: State


class Gate:
    """Lets each subject through once in a cool-down; ``cooling`` are the subjects that were told of within it."""

    def __init__(self, cooling: Collection[str] = (), cooldown_s: int = 0) -> None:
        self._cooling = set(cooling)
        self._cooldown_s = cooldown_s

    def passes(self, subject: str) -> bool:
        """Whether a subject may be told of now; if so, not again at this look."""
        if subject in self._cooling:
            return False
        if self._cooldown_s:
            self._cooling.add(subject)
        return True


def license_over(over: Sequence[OverLicense], state: State, gate: Gate, now: datetime) -> Judged:
    """Tell of each license that is over its seats, once until it has been within them again.

    ``over`` are all that are over now.
    """
    known, is_first = state.get("over", {}), "over" not in state
    kept, events = {}, []
    for one in over:
        number, subject = str(one.license), f"license {one.license}"
        since, is_told = known.get(number, (now.isoformat(), is_first))
        if not is_told and gate.passes(subject):
            is_told = True
            details = {**_license(one), "seats_used": one.seats_used, "allowed": one.allowed, "since": since}
            events.append(Event(f"{subject} since {since}", subject, details))
        kept[number] = (since, is_told)
    return Judged(tuple(events), {"over": {number: list(each) for number, each in kept.items()}})


def finding_confirmed(confirmed: Sequence[Confirmed], gate: Gate) -> tuple[Event, ...]:
    """Tell of each confirmed finding once. ``confirmed`` are those that are so now and were not told."""
    events = []
    for one in confirmed:
        subject = f"license {one.license}" if one.license is not None else f"install {one.install}"
        if gate.passes(subject):
            details = {
                "finding": one.finding,
                "finding_rule": one.rule,
                "cause": one.cause,
                **_license(one),
                "install": one.install,
                "measure": one.measure,
                "allowed": one.allowed,
            }
            events.append(Event(f"{FINDING_PREFIX}{one.finding}", subject, details))
    return tuple(events)


def release_adopted(adoptions: Sequence[Adoption], numbers: Numbers, state: State, gate: Gate) -> Judged:
    """Tell once of each release and percentage that it has reached; of the highest where it reached several at once.

    A release that is past one when it is first seen is not told of for that.
    """
    known, kept, events = state.get("releases", {}), dict[str, bool](), []
    for one in adoptions:
        subject = _release(one)
        is_enough = one.total >= numbers.least
        due = []
        for percent in numbers.percent:
            name = f"{subject} at {percent} %"
            is_reached = is_enough and one.is_at(percent)
            kept[name] = known.get(name, is_reached)
            if is_reached and not kept[name]:
                due.append((percent, name))
        if due and gate.passes(subject):
            kept.update(dict.fromkeys((name for _, name in due), True))
            percent, name = due[-1]
            events.append(Event(name, subject, {**_adoption(one), "percent": percent}))
    return Judged(tuple(events), {"releases": kept})


def release_slow(
    adoptions: Sequence[Adoption], numbers: Numbers, state: State, gate: Gate, today: date
) -> Judged:
    """Tell once of each release that is not at the percentage when the days are over that follow its own.

    A release whose days are over when it is first seen is not told of.
    """
    known, kept, events = state.get("releases", {}), dict[str, bool](), []
    (percent,) = numbers.percent
    for one in adoptions:
        subject = _release(one)
        # In days, not by a date: the last one may lie beyond the last date there is.
        is_over = (today - one.released.day).days > numbers.days
        is_done = known.get(subject, is_over)
        if is_over and not is_done and one.total >= numbers.least:
            is_done = one.is_at(percent)
            if not is_done and gate.passes(subject):
                is_done = True
                details = {**_adoption(one), "percent": percent, "days": numbers.days}
                events.append(Event(subject, subject, details))
        kept[subject] = is_done
    return Judged(tuple(events), {"releases": kept})


def day_to_judge(state: State, now: datetime, folded_until: datetime) -> date | None:
    """Return the UTC day that `installs_changed` has to judge now: the last one, once it is over and counted.

    None if there is none, as on the day an alert is first looked at.
    """
    day = now.date() - timedelta(days=1)
    settled = min(now, folded_until) - DAY_SETTLES
    if "judged" not in state or settled.date() <= day or day <= date.fromisoformat(state["judged"]):
        return None
    return day


def installs_changed(
    counts: Sequence[DayCount], day: date | None, numbers: Numbers, state: State, gate: Gate, now: datetime
) -> Judged:
    """Tell once of each product and day whose active installs are far off the median of the weekday's last four weeks.

    ``counts`` are those of ``day``, which `day_to_judge` has given; None: there is nothing to judge but what waits for
    the end of a cool-down, which it does until its day is no longer the last one.
    """
    last = now.date() - timedelta(days=1)
    if day is not None:
        found = [event for one in counts if (event := _changed(one, day, numbers)) is not None]
        judged = day.isoformat()
    else:
        judged = state.get("judged", last.isoformat())
        found = [Event(*each) for each in state.get("held", ())] if judged == last.isoformat() else []
    told, held = list[Event](), list[Event]()
    for event in found:
        (told if gate.passes(event.subject) else held).append(event)
    kept = [[event.name, event.subject, dict(event.details)] for event in held]
    return Judged(tuple(told), {"judged": judged, "held": kept} if kept else {"judged": judged})


def silence(seen: Sequence[Seen], numbers: Numbers, state: State, gate: Gate, watch: Watch) -> Judged:
    """Tell once of each product of which no ping has come for so many minutes, until one comes again.

    Only the time counts in which a ping would have been noticed: since ``watch.since``, and until ``watch.until``. A
    product that never sent a ping isn't silent.
    """
    told, kept, events = state.get("told", {}), {}, []
    wanted = timedelta(minutes=numbers.minutes)
    for one in seen:
        if one.seen_at is None:
            continue
        key, last = one.product.key if one.product else "", one.seen_at.isoformat()
        if told.get(key) == last:
            kept[key] = last
        elif watch.until - max(one.seen_at, watch.since) >= wanted and gate.passes(key or "any product"):
            kept[key] = last
            details = {**_product(one.product), "minutes": numbers.minutes, "last": last}
            events.append(Event(f"{key or 'any product'} since {last}", key or "any product", details))
    return Judged(tuple(events), {"told": kept})


def shortened(
    alert: Alert, events: Sequence[Event], now: datetime
) -> tuple[Sequence[Event], Sequence[Event]]:
    """Return the events of a look that are told, and those that are only recorded.

    Where there are too many, the last one told says how many more there are.
    """
    if len(events) <= TOLD_AT_ONCE:
        return events, ()
    told, rest = events[: TOLD_AT_ONCE - 1], events[TOLD_AT_ONCE - 1 :]
    details = {"count": len(rest), "subjects": [event.subject for event in rest[:_NAMED]]}
    name = f"{len(rest)} more at {now.isoformat()}"
    return [*told, Event(name, f"alert {alert.id}", details, Kind.MORE)], rest


def _changed(one: DayCount, day: date, numbers: Numbers) -> Event | None:
    if len(one.before) < _WEEKS:
        return None
    usual = median(one.before)
    dropped = usual >= numbers.least and one.installs * 100 <= usual * (100 - numbers.drop_percent)
    jumped = one.installs >= numbers.least and one.installs * 100 >= usual * (100 + numbers.jump_percent)
    if not dropped and not (jumped and one.installs > usual):
        return None
    details = {**_product(one.product), "day": day.isoformat(), "installs": one.installs, "usual": usual}
    return Event(f"{one.product.key} on {day}", one.product.key, details)


def _product(product: Product | None) -> dict[str, Any]:
    return {
        "product": product.key if product else None,
        "product_name": product.name if product else None,
    }


def _license(one: OverLicense | Confirmed) -> dict[str, Any]:
    return {**_product(one.product), "license": one.license, "last4": one.last4, "customer": one.customer}


def _release(one: Adoption) -> str:
    return f"{one.released.product.key} {one.released.version}"


def _adoption(one: Adoption) -> dict[str, Any]:
    return {
        **_product(one.released.product),
        "version": one.released.version,
        "day": one.released.day.isoformat(),
        "offered_percent": one.released.offered_percent,
        "installs": one.installs,
        "total": one.total,
    }
