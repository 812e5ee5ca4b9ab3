"""What the vendor of the demo has registered: products, releases, notices, and licenses as they were sold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from ..alerts.model import Rule
from ..licenses.badlines import BadLines
from ..licenses.fields import Sold
from ..licenses.keys import KeyHasher
from ..licenses.model import Counts, Use
from ..releases.model import Level, Severity
from ..reports.subscription import Draft
from ..store import alerts, licenses, notices, products, releases, report_runs, reports
from ..store.alerts import Given
from ..store.connection import Connection
from .story import LEAKED, PRODUCTS, Install, License

# Invented names, as such companies have them; a number tells those of the same name apart.
_NAMES: Final = (
    "Alder Works", "Baltic Freight", "Cedar Clinic", "Delta Printing", "Elm Street Dental", "Fjord Engineering",
    "Garonne Conseil", "Harbour Foods", "Iris Optics", "Juniper Textiles", "Kestrel Air", "Loire Habitat", "Maple Law",
    "Northwind Energy", "Oslo Instruments", "Prairie Seeds", "Quay Logistics", "Rhône Mécanique", "Summit Schools",
    "Tidewater Bank",
)  # fmt: skip
_SITE: Final = "https://www.example.com"
# The version that mends what a researcher has found, and the last that has it.
_SECURITY: Final = {("studio", "12.1.1"), ("server", "5.0.1")}
_RECOMMENDED: Final = {("studio", "12.0.1"), ("server", "5.0.0"), ("field", "2026.10")}
# Of every so many licenses one counts people, one is for those who share seats, and one may be exceeded.
_PEOPLE: Final = 11
_SHARED: Final = 13
_LENIENT: Final = 7
# People of an install, at most as a rule.
_USERS: Final = 25


MAIL_FROM: Final = "callhome@example.com"
# Each every six minutes, in turns: a mail every two. A real subscription is weekly or monthly.
_REPORTS: Final = (
    Draft("Product management", (), ("usage", "builds", "updates", "installs", "countries"), "en",
          "0-59/6 * * * *", "UTC", ("products@example.com",), 7),
    Draft("Licensing", ("studio", "server"), ("usage", "findings", "licenses"), "en",
          "2-59/6 * * * *", "UTC", ("licensing@example.com",), 7),
    Draft("Direction", ("studio",), ("usage", "countries", "updates"), "fr",
          "4-59/6 * * * *", "Europe/Paris", ("direction@example.com",), 30),
)  # fmt: skip
_LEAK: Final = Given(
    "A key of Example Field in too many hands",
    Rule.LICENSE_OVER,
    LEAKED.product,
    recipients=("licensing@example.com",),
)
_LATER: Final = (
    Given("A release is taken up", Rule.RELEASE_ADOPTED, recipients=("products@example.com",)),
    Given("Silence", Rule.SILENCE, numbers={"minutes": (5,)}, recipients=("operations@example.com",)),
)


async def subscribe(connection: Connection) -> None:
    """Have the departments subscribe to reports and alerts, and each get a first report now.

    Doing it again changes nothing. Cancelling it leaves some of it out.
    """
    there = {report.name for report in await reports.list_all(connection)}
    for draft in _REPORTS:
        if draft.name not in there:
            await reports.add(connection, draft)
            await report_runs.order_now(connection, draft.name, None)
    await _watch(connection, _LATER)


async def _watch(connection: Connection, wanted: Sequence[Given]) -> None:
    there = {alert.name for alert in await alerts.list_all(connection)}
    for given in wanted:
        if given.name not in there:
            await alerts.add(connection, given)


async def register(connection: Connection, secret: bytes, begins: date, installs: Sequence[Install]) -> None:
    """Register all that the story knows; ``begins`` is its day 0. Doing it again changes nothing.

    Cancelling it leaves some of it out.
    """
    for product in PRODUCTS:
        await products.add(connection, product.key, product.name)
        for release in product.releases:
            place = f"{_SITE}/{product.key}/{release.version}"
            mark = (product.key, release.version)
            await releases.add(
                connection,
                releases.Given(
                    product.key,
                    release.version,
                    day=begins + timedelta(release.day),
                    severity=_severity(mark),
                    url=place,
                    notes_url=f"{place}/notes",
                ),
            )
    if not await notices.list_all(connection, over=True):
        await _notices(connection)
    # Before the past comes: what it fires for happens today.
    await _watch(connection, (_LEAK,))
    sold = sorted({install.license for install in installs if install.license}, key=lambda one: one.key)
    hasher = KeyHasher(secret)
    # A demo that is kept has them all already.
    await licenses.import_many(connection, _lines(sold, hasher, begins), _GIVEN, BadLines())


def _severity(mark: tuple[str, str]) -> Severity:
    if mark in _SECURITY:
        return Severity.SECURITY
    return Severity.RECOMMENDED if mark in _RECOMMENDED else Severity.NORMAL


async def _notices(connection: Connection) -> None:
    now = datetime.now(UTC)
    await notices.add(
        connection,
        notices.Given(
            "Example Server 4 is supported until the end of next quarter.",
            level=Level.WARNING,
            product="server",
            to_version="4.9.1",
            url=f"{_SITE}/server/support",
        ),
    )
    await notices.add(
        connection,
        notices.Given("Our support is closed on Friday.", product=None, ends_at=now + timedelta(days=7)),
    )


# What is given of a license beside what must be.
_GIVEN: Final = ("counts", "use", "starts", "ends", "overage")


def _lines(sold: Sequence[License], hasher: KeyHasher, begins: date) -> Iterator[tuple[int, Sold]]:
    # From 1: the first is nobody's special case.
    for number, license in enumerate(sold, 1):
        name = _NAMES[number % len(_NAMES)]
        is_plain = license == LEAKED
        counts = Counts.USER if number % _PEOPLE == 0 and not is_plain else Counts.INSTALL
        yield (
            number,
            Sold(
                *hasher(license.key),
                customer=name if number < len(_NAMES) else f"{name} {number // len(_NAMES) + 1}",
                product=license.product,
                seats=license.seats * (_USERS if counts is Counts.USER else 1),
                counts=counts,
                use=Use.CONCURRENT if number % _SHARED == 0 and not is_plain else Use.NAMED,
                starts=begins - timedelta(days=365 - license.ends % 365),
                ends=begins + timedelta(license.ends),
                overage=Decimal("1.25") if number % _LENIENT == 0 else Decimal(1),
            ),
        )
