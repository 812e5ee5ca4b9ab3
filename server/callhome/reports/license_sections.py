"""What a mail says of licenses: findings, and those that end soon. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from .figures import ENDING_DAYS, Figures, Findings
from .outline import Group, Paragraph, Section, Table
from .telling import Telling
from .wording import WORD_JOINER, Wording, shown

# What is read at a glance; the attached tables have the rest.
LISTED_SHOWN: Final = 12


def findings(telling: Telling) -> Section:
    """What changed among the findings, and those that stand."""
    wording, figures = telling.wording, telling.figures.findings
    texts = wording.texts
    if not figures.listed:
        return Section(texts.findings, (Group("", (Paragraph(texts.no_findings),)),))
    changed = texts.findings_changed.format(
        opened=wording.counted(texts.n_opened, figures.opened),
        confirmed=wording.counted(texts.n_confirmed, figures.confirmed),
        closed=wording.counted(texts.n_closed, figures.closed),
    )
    said = Paragraph(f"{changed} {texts.findings_now.format(**standing(wording, figures))}")
    rows = tuple(
        (
            wording.finding(finding),
            _licensee(finding.customer, finding.last4) or shown(finding.product),
            wording.word(finding.state),
            f"{wording.number(finding.measure)} / {wording.number(finding.allowed)}",
        )
        for finding in figures.listed[:LISTED_SHOWN]
    )
    table = Table((texts.what, texts.license, texts.state, texts.counted), rows, 3)
    more = _more(wording, "findings.csv", len(figures.listed))
    return Section(texts.findings, (Group("", (said, table, *more)),))


def standing(wording: Wording, figures: Findings) -> dict[str, str]:
    """How many findings are ``confirmed`` and ``open`` now, in words."""
    texts = wording.texts
    return {
        "confirmed": wording.counted(texts.n_confirmed, figures.confirmed_now),
        "open": wording.counted(texts.n_open, figures.open_now),
    }


def licenses(telling: Telling) -> Section:
    """The licenses that end soon."""
    wording, endings = telling.wording, telling.figures.endings
    texts, said = wording.texts, Paragraph(licenses_end(wording, telling.figures))
    if not endings.count:
        return Section(texts.licenses, (Group("", (said,)),))
    rows = tuple(
        (
            wording.day(ending.ends),
            _licensee(ending.customer, ending.last4),
            shown(ending.product),
            "–" if ending.used is None else wording.number(ending.used),
            wording.number(ending.seats),
        )
        for ending in endings.listed[:LISTED_SHOWN]
    )
    table = Table((texts.ends, texts.customer, texts.product, texts.seats_used, texts.seats), rows, 3)
    more = _more(wording, "licenses.csv", endings.count)
    return Section(texts.licenses, (Group("", (said, table, *more)),))


def licenses_end(wording: Wording, figures: Figures) -> str:
    """How many licenses end soon, in a sentence."""
    texts, count = wording.texts, figures.endings.count
    until = wording.day(figures.today + timedelta(days=ENDING_DAYS))
    if not count:
        return texts.no_licenses.format(date=until)
    return wording.counted(texts.licenses_end, count, date=until)


def _licensee(customer: str | None, last4: str | None) -> str:
    """Whom a license was sold to, with the end of its key; ``""`` of none."""
    if customer is None:
        return ""
    return shown(customer) if last4 is None else f"{shown(customer)} (…{WORD_JOINER}{shown(last4)})"


def _more(wording: Wording, file: str, count: int) -> Iterable[Paragraph]:
    """That the attached table has more."""
    if count > LISTED_SHOWN:
        yield Paragraph(wording.counted(wording.texts.more_rows, count - LISTED_SHOWN, file=file), quiet=True)
