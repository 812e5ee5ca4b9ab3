"""What the rules on misuse need to know: measures of licenses, flips of installs, and the evidence for people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from secrets import token_hex
from typing import Any, Final

from ..licenses.clones import Alternation, Flip
from ..licenses.findings import LOOK_BACK_DAYS, Case, DayUse, Measures, Rule, may_be_shared
from ..licenses.model import Counts, License, Use
from .connection import Connection
from .scratch import is_distributed
from .statements import sql

# A person reads a page of it; the counts beside it tell of the rest.
EVIDENCE_INSTALLS: Final = 100
EVIDENCE_DAYS: Final = 100
EVIDENCE_FLIPS: Final = 100
# Bounds of one look at flips, which anybody can make: 200 × 30 days × 40 = 240,000 rows, a thousand at a time.
_SUSPECT_INSTALLS: Final = 200
_DAY_FLIPS: Final = 40
_PREFETCHED: Final = 1_000

Evidence = dict[str, Any]


async def measures(connection: Connection, licenses: Sequence[int], today: date) -> list[Measures]:
    """Return the measures of those of the licenses (license.id) that break a rule, or have a finding not yet closed.

    Cancelling it changes nothing.
    """
    rows = await connection.fetch(sql("misuse_measures"), licenses, today, LOOK_BACK_DAYS)
    found = [_measures(row, today) for row in rows]
    for number, one in enumerate(found):
        if may_be_shared(one):  # only then: it reads all activity under the license
            new = await connection.fetchval(sql("misuse_new_countries"), one.license.id, today)
            found[number] = replace(one, new_countries=new)
    return found


def _measures(row: Any, today: date) -> Measures:
    terms = License(
        id=row["id"], last4=row["last4"], customer=row["customer"], product=row["product"], seats=row["seats"],
        counts=Counts(row["counts"]), use=Use(row["use"]), window_days=row["window_days"], starts=row["starts"],
        ends=row["ends"], grace_days=row["grace_days"], overage=row["overage"], revoked_on=row["revoked_on"],
    )  # fmt: skip

    def use(name: str) -> DayUse:
        days, most = row[f"{name}_days"], row[f"{name}_most"] or 0
        return DayUse(days, most, row[f"{name}_first"], row[f"{name}_last"])

    return Measures(
        license=terms, today=today, used=use("used"), held=use("held"), expired=use("expired"),
        revoked=use("revoked"), elsewhere=use("elsewhere"),
    )  # fmt: skip


async def evidence_on_license(connection: Connection, terms: License, case: Case, today: date) -> Evidence:
    """Return which installs, when and where stand behind a case of a license. Cancelling it changes nothing."""
    window_days = terms.window_days if case.rule is Rule.OVER_SEATS else LOOK_BACK_DAYS
    first_day = today - timedelta(days=window_days - 1)
    if case.rule is not Rule.OVER_SEATS:
        first_day = max(first_day, case.first)
    is_own = case.rule is not Rule.WRONG_PRODUCT
    installs = await connection.fetch(
        sql("misuse_installs"), terms.id, first_day, today, is_own, EVIDENCE_INSTALLS
    )
    countries = await connection.fetch(sql("misuse_countries"), terms.id, first_day, today, is_own)
    days = await connection.fetch(
        "SELECT day, seats_used, held, active, elsewhere FROM license_usage "
        "WHERE license = $1 AND day BETWEEN $2 AND $3 ORDER BY day DESC LIMIT $4",
        terms.id,
        first_day,
        today,
        EVIDENCE_DAYS,
    )
    return {
        **_common(case),
        "days": [{**row, "day": row["day"].isoformat()} for row in reversed(days)],
        "countries": {row["country"]: row["installs"] for row in countries},
        "installs_total": installs[0]["installs"] if installs else 0,
        "installs": [_install(row) for row in installs],
    }


def _install(row: Any) -> Evidence:
    return {
        "install": row["install"].hex(),
        "product": row["product"],
        "first_day": row["first_day"].isoformat(),
        "last_day": row["last_day"].isoformat(),
        "days": row["days"],
        "country": row["country"],
        "version": row["version"],
        "users": row["users"],
    }


def evidence_on_install(case: Case, suspect: Sequence[Alternation], flips: Sequence[Flip]) -> Evidence:
    """Return what alternated, when, behind a case of an install."""
    return {
        **_common(case),
        "alternations": [
            {
                "day": found.day.isoformat(),
                "kind": found.kind,
                "returns": found.returns,
                "values": list(found.values),
            }
            for found in suspect
        ],
        "flips": [
            {
                "at": flip.at.astimezone(UTC).isoformat(),
                "from": [flip.from_country, flip.from_version],
                "to": [flip.to_country, flip.to_version],
            }
            for flip in flips[-EVIDENCE_FLIPS:]
        ],
    }


def _common(case: Case) -> Evidence:
    return {
        "first": case.first.isoformat(),
        "last": case.last.isoformat(),
        "terms": case.terms,
        "held": case.held,
    }


async def suspects(connection: Connection, today: date) -> AsyncIterator[tuple[bytes, int, list[Flip]]]:
    """Yield installs that may be cloned: pseudonym, product.id, and the flips of their days with many, in order.

    Within the caller's transaction. Cancelling it changes nothing.
    """
    day = today - timedelta(days=LOOK_BACK_DAYS - 1)
    since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    whose: tuple[bytes, int] | None = None
    flips = list[Flip]()
    name = "misuse_flips_distributed" if await is_distributed(connection) else "misuse_flips"
    cursor = connection.cursor(
        sql(name), since, _SUSPECT_INSTALLS, _DAY_FLIPS, token_hex(8), prefetch=_PREFETCHED
    )
    async for row in cursor:
        install, product, *values = row
        if whose is not None and whose != (install, product):
            yield *whose, flips
            flips = []
        whose = install, product
        flips.append(Flip(*values))
    if whose is not None:
        yield *whose, flips
