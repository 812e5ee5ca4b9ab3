"""What a mail says of products: usage, builds in use, updates, new and lost installs, countries. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from ..releases.version import step
from . import charts
from .figures import Moved, Product
from .model import Image
from .outline import Block, Fact, Facts, Group, Paragraph, Picture, Section, Table
from .telling import Telling, by_product
from .wording import shown

# What is read at a glance; the attached tables have the rest.
BUILDS_SHOWN: Final = 8
FLOWS_SHOWN: Final = 6
COUNTRIES_SHOWN: Final = 10
BARS_SHOWN: Final = 6
PRODUCTS_SHOWN: Final = 20
# A line takes two points.
_CHARTED_DAYS: Final = 2


def usage(telling: Telling) -> Section:
    """Active installs, users and launches against the period before, and the days in a picture."""
    texts = telling.wording.texts
    if len(telling.figures.products) == 1:
        return by_product(telling, texts.usage, _usage_of)
    rest = by_product(telling, texts.usage, _usage_of)
    return Section(texts.usage, (Group("", (_usage_of_all(telling),)), *rest.groups))


def _usage_of_all(telling: Telling) -> Table:
    wording = telling.wording
    texts = wording.texts
    rows = [
        (
            shown(product.name),
            wording.number(product.usage.now.installs),
            wording.change(product.usage.now.installs, product.usage.before.installs),
            wording.number(product.usage.now.users),
        )
        for product in telling.figures.products[:PRODUCTS_SHOWN]
    ]
    columns = (texts.product, texts.installs_column, texts.change, texts.users)
    return Table(columns, tuple(rows), 1)


def _usage_of(telling: Telling, product: Product) -> Iterable[Block]:
    wording, usage = telling.wording, product.usage
    texts = wording.texts
    if not any((*usage.by_day, *usage.by_day_before)):
        yield Paragraph(texts.no_usage)
    else:
        pairs = (
            (texts.active_installs, usage.now.installs, usage.before.installs),
            (texts.users, usage.now.users, usage.before.users),
            (texts.launches, usage.now.launches, usage.before.launches),
        )
        facts = (
            Fact(label, wording.number(now), wording.change(now, before)) for label, now, before in pairs
        )
        yield Facts(tuple(facts))
        if len(usage.by_day) >= _CHARTED_DAYS:
            yield _chart_of_days(telling, product)
    if usage.unverified:
        yield Paragraph(wording.counted(texts.unverified, usage.unverified), quiet=True)


def _chart_of_days(telling: Telling, product: Product) -> Picture:
    wording, by_day = telling.wording, product.usage.by_day
    texts, period = wording.texts, telling.order.period
    days = [period.first_day + timedelta(days=at) for at in range(len(by_day))]
    before = product.usage.by_day_before if any(product.usage.by_day_before) else ()
    chart = charts.Days(
        title=texts.chart_days,
        note=texts.chart_days_before.format(before=wording.before(period)) if before else "",
        now=by_day,
        before=before,
        labels=tuple(wording.short_day(day, len(days)) for day in days),
        number=wording.number,
    )
    low, high = by_day.index(min(by_day)), by_day.index(max(by_day))
    alt = texts.chart_days_alt.format(
        product=shown(product.name), days=wording.days(period), low=wording.number(by_day[low]),
        low_day=wording.weekday(days[low]), high=wording.number(by_day[high]), high_day=wording.weekday(days[high]),
    )  # fmt: skip
    if before:
        alt = f"{alt} {texts.chart_days_before_alt}"
    return Picture(Image(_cid("days", telling, product), charts.days(chart)), alt, *charts.DAYS_SIZE)


def _cid(kind: str, telling: Telling, product: Product) -> str:
    """Unique within a mail, and without a character of a stranger's."""
    return f"{kind}-{telling.figures.products.index(product)}@callhome"


def builds_of(telling: Telling, product: Product) -> Iterable[Block]:
    """The builds in use, those of most installs first."""
    wording = telling.wording
    texts = wording.texts
    if not product.builds:
        yield Paragraph(texts.no_builds)
        return
    yield _chart_of_versions(telling, product)
    top = product.builds[:BUILDS_SHOWN]
    rows = [
        (
            shown(build.version),
            shown(build.build) or "–",
            wording.number(build.installs),
            wording.share(build.installs, product.in_use),
        )
        for build in top
    ]
    rest = product.in_use - sum(build.installs for build in top)
    if rest > 0:
        rows.append((texts.others, "", wording.number(rest), wording.share(rest, product.in_use)))
    yield Table((texts.version, texts.build, texts.installs_column, texts.share), tuple(rows), 2)


def _chart_of_versions(telling: Telling, product: Product) -> Picture:
    wording = telling.wording
    installs: dict[str, int] = {}
    for build in product.builds:
        installs[build.version] = installs.get(build.version, 0) + build.installs
    top = sorted(installs.items(), key=lambda pair: (-pair[1], pair[0]))[:BARS_SHOWN]
    rest = product.in_use - sum(count for _, count in top)
    bars = [
        charts.Bar(
            charts.drawable(version) or wording.texts.in_the_table,
            count,
            wording.share(count, product.in_use),
        )
        for version, count in top
    ]
    if rest > 0:
        bars.append(charts.Bar(wording.texts.others, rest, wording.share(rest, product.in_use)))
    chart = charts.Bars(wording.texts.chart_builds, tuple(bars))
    said = ", ".join(f"{shown(version)} {wording.share(count, product.in_use)}" for version, count in top)
    alt = wording.texts.chart_builds_alt.format(product=shown(product.name), list=said)
    return Picture(
        Image(_cid("versions", telling, product), charts.bars(chart)), alt, *charts.bars_size(len(bars))
    )


def updates_of(telling: Telling, product: Product) -> Iterable[Block]:
    """Adoption of the latest release, and who went from which version to which."""
    wording = telling.wording
    texts = wording.texts
    if product.adoption is None:
        yield Paragraph(texts.no_release)
    elif product.in_use:
        adoption = product.adoption
        age = (telling.figures.today - adoption.day).days
        yield Paragraph(wording.counted(
            texts.adoption, age, version=shown(adoption.version), day=wording.day(adoption.day),
            share=wording.share(adoption.installs, product.in_use),
            installs=wording.number(adoption.installs), all=wording.number(product.in_use),
        ))  # fmt: skip
    if not product.updates:
        yield Paragraph(texts.no_updates)
        return
    made = {"upgrade": 0, "downgrade": 0, "same": 0}
    for flow in product.flows:
        made[step(flow.from_version, flow.to_version)] += flow.installs
    yield Paragraph(wording.counted(
        texts.updates_made, product.updates, upgrades=wording.number(made["upgrade"]),
        downgrades=wording.number(made["downgrade"]),
    ))  # fmt: skip
    top = product.flows[:FLOWS_SHOWN]
    rows = [
        (
            shown(flow.from_version),
            shown(flow.to_version),
            wording.number(flow.installs),
            wording.share(flow.installs, product.updates),
        )
        for flow in top
    ]
    if (rest := product.updates - sum(flow.installs for flow in top)) > 0:
        rows.append((texts.others, "", wording.number(rest), wording.share(rest, product.updates)))
    yield Table((texts.from_version, texts.to_version, texts.installs_column, texts.share), tuple(rows), 2)


def installs_of(telling: Telling, product: Product) -> Iterable[Block]:
    """What came and went between two states of the last 30 days."""
    wording, now, before = telling.wording, product.moved, product.moved_before
    texts, period = wording.texts, telling.order.period
    if now == Moved(0, 0, 0, 0, 0):
        yield Paragraph(texts.no_installs)
        return

    def row(label: str, *counts: int, sign: str = "") -> tuple[str, ...]:
        return label, *(sign + wording.number(count) if count else "0" for count in counts)

    at_begin = wording.day(period.first_day - timedelta(days=1))
    rows = (
        row(texts.in_use_at.format(day=at_begin), now.at_begin, before.at_begin),
        row(texts.new, now.new, before.new, sign="+"),
        row(texts.returned, now.returned, before.returned, sign="+"),
        row(texts.lost, now.lost, before.lost, sign="\N{MINUS SIGN}"),
        row(texts.in_use_at.format(day=wording.day(period.last_day)), now.at_end, before.at_end),
    )
    yield Table(("", texts.this_period, texts.period_before), rows, 1, has_total=True)


def countries_of(telling: Telling, product: Product) -> Iterable[Block]:
    """Active installs by country, and how that changed."""
    wording = telling.wording
    texts, usage = wording.texts, product.usage
    if not usage.now.installs:
        yield Paragraph(texts.no_countries)
        return
    countries = [country for country in product.countries if country.installs]
    top, rest = countries[:COUNTRIES_SHOWN], countries[COUNTRIES_SHOWN:]
    lines = [(wording.country(country.code), country.installs, country.before) for country in top]
    if rest:
        others = usage.before.installs - sum(country.before for country in top)
        lines.append((texts.others, sum(country.installs for country in rest), others))
    rows = tuple(
        (name, wording.number(now), wording.share(now, usage.now.installs), wording.change(now, before))
        for name, now, before in lines
    )
    yield Table((texts.country, texts.installs_column, texts.share, texts.change), rows, 1)
