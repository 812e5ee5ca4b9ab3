"""What ``callhome findings`` prints: a finding as a line, as cells, as a record, as a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from ..licenses.findings import Cause, Rule, State
from .text import printable, printable_lines

if TYPE_CHECKING:
    from ..csvcells import Cell
    from ..store.findings import Finding

HEADS: Final = ("id", "state", "rule", "cause", "product", "of", "measure", "allowed", "since")
CSV_COLUMNS: Final = (
    "id", "state", "rule", "cause", "product", "customer", "license", "last4", "install", "measure", "allowed",
    "first_day", "last_day", "opened_at", "confirmed_at", "closed_at", "closed_by", "note",
)  # fmt: skip
# As much as fits beside other columns and still tells one install from another.
_PSEUDONYM_CHARACTERS: Final = 12

_RULES: Final = {
    Rule.OVER_SEATS: "More seats are in use than allowed",
    Rule.EXPIRED_USE: "It is used after its end and the days of grace",
    Rule.REVOKED_USE: "It is used though it is revoked",
    Rule.WRONG_PRODUCT: "It is used with a product that it isn't for",
    Rule.CLONED_INSTALL: "Two machines seem to share one install id",
}
_CAUSES: Final = {
    Cause.TURNOVER: "Likely cause: turnover. Installs follow one another; never more at once than allowed.",
    Cause.SHARED_KEY: "Likely cause: the key is known to strangers, in countries where it was never used.",
}
_MEASURES: Final = {
    Rule.OVER_SEATS: "seats used",
    Rule.EXPIRED_USE: "seats active on a day",
    Rule.REVOKED_USE: "seats active on a day",
    Rule.WRONG_PRODUCT: "installs active on a day",
    Rule.CLONED_INSTALL: "returns on a day",
}


def subject(finding: Finding) -> str:
    """Return what a finding is about: the customer and the end of the key, or the begin of the install's pseudonym."""
    if finding.install is not None:
        return f"install {finding.install[:_PSEUDONYM_CHARACTERS]}"
    key = f" …{finding.last4}" if finding.last4 else ""
    return f"{printable(finding.customer or '')}{key}"


def line(finding: Finding) -> tuple[str, ...]:
    """Return a finding as texts, one for each of `HEADS`."""
    return (
        str(finding.id), finding.state, finding.rule, finding.cause, finding.product, subject(finding),
        str(finding.measure), str(finding.allowed), str(finding.evidence["first"]),
    )  # fmt: skip


def cells(finding: Finding) -> tuple[Cell, ...]:
    """Return a finding as cells, one for each of `CSV_COLUMNS`."""
    return (
        finding.id, finding.state, finding.rule, finding.cause, finding.product, finding.customer, finding.license,
        finding.last4, finding.install, finding.measure, finding.allowed, finding.evidence["first"],
        finding.evidence["last"], finding.opened_at, finding.confirmed_at, finding.closed_at, finding.closed_by,
        finding.note,
    )  # fmt: skip


def record(finding: Finding) -> dict[str, object]:
    """Return a finding for JSON, its evidence left out: times in ISO 8601."""
    plain = dict(zip(CSV_COLUMNS, cells(finding), strict=True))
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in plain.items()}


def page(finding: Finding) -> Iterator[str]:
    """Yield the lines of a page on a finding, with its evidence."""
    said = finding.evidence
    yield f"Finding {finding.id}: {_RULES[finding.rule]}. {finding.state.capitalize()}."
    if finding.cause in _CAUSES:
        yield _CAUSES[finding.cause]
    whose = f"license {finding.license}, " if finding.license is not None else ""
    yield f"  of        {whose}{subject(finding)}, product {finding.product}"
    yield f"  measure   {finding.measure} {_MEASURES[finding.rule]}; allowed {finding.allowed}" + _held(
        finding
    )
    yield f"  days      {said['first']} to {said['last']}"
    yield f"  opened    {finding.opened_at:%Y-%m-%d %H:%M} UTC"
    if finding.confirmed_at:
        yield f"  confirmed {finding.confirmed_at:%Y-%m-%d %H:%M} UTC"
    if finding.state is State.CLOSED and finding.closed_at:
        yield f"  closed    {finding.closed_at:%Y-%m-%d %H:%M} UTC by {printable(finding.closed_by or '')}"
        yield f"  note      {printable_lines(finding.note or '')}"
    yield from _on_install(said) if finding.install is not None else _on_license(finding.rule, said)
    yield f"As of {finding.updated_at:%Y-%m-%d %H:%M} UTC."


def _held(finding: Finding) -> str:
    held = finding.evidence["held"]
    return f"; held at once {held}" if held else ""


def _on_license(rule: Rule, said: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "Day         used  held  active  elsewhere"
    for day in said["days"]:
        yield (
            f"{day['day']}  {day['seats_used']:4}  {day['held']:4}  {day['active']:6}  {day['elsewhere']:9}"
        )
    yield ""
    yield "Countries: " + ", ".join(
        f"{printable(country)} {count}" for country, count in said["countries"].items()
    )
    total, shown = said["installs_total"], len(said["installs"])
    yield f"Installs: {total}" + (f", the {shown} seen last:" if shown < total else ":")
    for one in said["installs"]:
        country, version = printable(one["country"]), printable(one["version"])
        other = f"  {one['product']}" if rule is Rule.WRONG_PRODUCT else ""
        yield (
            f"  {one['install']}  {one['first_day']} to {one['last_day']}  {one['days']:3} days  {country}  "
            f"{one['users']} users  version {version}{other}"
        )


def _on_install(said: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    for day in said["alternations"]:
        values = " and ".join(printable(value) for value in day["values"])
        yield f"{day['day']}  {day['kind']} alternates between {values}: {day['returns']} returns"
    yield ""
    yield f"The last {len(said['flips'])} changes (country, version):"
    for flip in said["flips"]:
        before, after = (" ".join(printable(value) for value in flip[side]) for side in ("from", "to"))
        yield f"  {flip['at']}  {before} -> {after}"
