"""Figures of reports for the tests of mails: a usual week, an empty one, and one whose every text is hostile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Final

from callhome.reports.figures import (
    Adoption,
    Build,
    Counted,
    Country,
    Ending,
    Endings,
    Figures,
    Finding,
    Findings,
    Flow,
    Moved,
    Product,
    Usage,
)
from callhome.reports.model import SECTIONS, Order, Period

WEEK: Final = Period(date(2026, 11, 16), date(2026, 11, 22))
AS_OF: Final = datetime(2026, 11, 23, 7, 0, 4, tzinfo=UTC)
NOTHING: Final = Findings(0, 0, 0, 0, 0, ())
NO_END: Final = Endings(0, ())

STUDIO: Final = Product(
    "studio", "Example Studio",
    Usage(
        Counted(12_345, 48_210, 61_802), Counted(11_984, 47_030, 60_011), 12,
        (7_912, 8_240, 8_193, 8_011, 7_425, 3_310, 2_764), (7_704, 8_002, 7_950, 7_803, 7_266, 3_224, 2_701),
    ),
    15_200,
    (
        Build("12.1.1", "12112", 6_910), Build("12.1.0", "12103", 3_120), Build("12.0.1", "12011", 2_011),
        Build("11.3.1", "11317", 1_440), Build("12.0.0", "12002", 702), Build("11.3.0", "11301", 610),
        Build("11.2.0", "11204", 390), Build("12.1.1", "12109", 9), Build("12.2.0-beta.1", "", 8),
    ),
    1_420,
    (
        Flow("12.1.0", "12.1.1", 1_011), Flow("12.0.1", "12.1.1", 330), Flow("11.3.1", "12.1.1", 61),
        Flow("12.1.1", "12.1.0", 18),
    ),
    Adoption("12.1.1", date(2026, 11, 7), 6_919),
    Moved(15_010, 402, 61, 273, 15_200), Moved(14_890, 377, 55, 312, 15_010),
    (
        Country("US", 3_201, 3_150), Country("DE", 1_980, 1_840), Country("FR", 1_322, 1_300), Country("GB", 980, 991),
        Country("JP", 811, 702), Country("BR", 640, 655), Country("IN", 611, 540), Country("CA", 420, 420),
        Country("PL", 312, 290), Country("SE", 288, 291), Country("ES", 280, 270), Country("ZZ", 1_500, 1_535),
    ),
)  # fmt: skip
SERVER: Final = replace(
    STUDIO, key="server", name="Example Server", countries=STUDIO.countries[:4], adoption=None,
    usage=Usage(
        Counted(3_201, 90_400, 3_960), Counted(3_310, 91_200, 4_100), 0,
        (3_001, 3_020, 3_011, 2_990, 2_954, 2_900, 2_899), (3_104, 3_110, 3_099, 3_080, 3_060, 3_015, 3_000),
    ),
)  # fmt: skip
FINDINGS: Final = Findings(2, 1, 1, 1, 2, (
    Finding(7, "over_seats", "Example Studio", "Northwind GmbH", "9F2A", "confirmed", "", 34, 25,
            datetime(2026, 11, 17, 9, tzinfo=UTC), datetime(2026, 11, 20, 9, tzinfo=UTC), None),
    Finding(4, "over_seats", "Example Studio", "Contoso SA", "11C0", "confirmed", "shared_key", 212, 10,
            datetime(2026, 10, 2, 9, tzinfo=UTC), datetime(2026, 10, 5, 9, tzinfo=UTC), None),
    Finding(9, "cloned_install", "Example Server", None, None, "open", "", 3, 1,
            datetime(2026, 11, 21, 9, tzinfo=UTC), None, None),
    Finding(5, "over_seats", "Example Studio", "Fabrikam & Söhne", "77D1", "closed", "turnover", 12, 10,
            datetime(2026, 11, 2, 9, tzinfo=UTC), None, datetime(2026, 11, 19, 9, tzinfo=UTC)),
))  # fmt: skip
ENDINGS: Final = Endings(3, (
    Ending("Northwind GmbH", "9F2A", "Example Studio", 25, 34, date(2026, 11, 30)),
    Ending("Universität Example", "03BB", "Example Server", 500, 312, date(2026, 12, 31)),
    Ending("Tailspin Toys", None, "Example Studio", 5, None, date(2027, 1, 14)),
))  # fmt: skip

USUAL: Final = Figures(AS_OF, AS_OF.date(), (STUDIO,), FINDINGS, ENDINGS)
SEVERAL: Final = replace(USUAL, products=(STUDIO, SERVER))
EMPTY: Final = replace(
    USUAL, findings=NOTHING, endings=NO_END,
    products=(
        Product("new", "Example New", Usage(Counted(0, 0, 0), Counted(0, 0, 0), 0, (0,) * 7, (0,) * 7), 0, (), 0, (),
                None, Moved(0, 0, 0, 0, 0), Moved(0, 0, 0, 0, 0), ()),
    ),
)  # fmt: skip
NO_PRODUCT: Final = replace(EMPTY, products=())

# What somebody might send as a version, or be called: each is shown as what it is, and nothing more.
HOSTILE: Final = (
    "<img src=x onerror=alert(1)>", '=HYPERLINK("http://evil.example","x")', "1.0\r\nBcc: all@example.com",
    "\u202e1.0.gpj", "漢" * 64, "<" * 64, "www.evil.example/login", "&amp;{{7*7}}{% raw %}", "\x02unsubscribe\x03",
    "\U0001f4a3" * 64, "a\u0301" * 32, "",
)  # fmt: skip


def hostile(copies: int = 1) -> Figures:
    """Figures of which every text is hostile, and more of each than a mail shows."""
    texts = HOSTILE * 40
    pairs = list(pairwise(texts))
    product = replace(
        STUDIO, name=HOSTILE[0], key="key",
        builds=tuple(Build(text, other, 900 - at) for at, (text, other) in enumerate(pairs)),
        in_use=900 * len(texts),
        flows=tuple(Flow(text, other, 900 - at) for at, (text, other) in enumerate(pairs)),
        updates=900 * len(texts),
        adoption=Adoption(HOSTILE[1], date(2026, 11, 7), 10),
        countries=tuple(Country(code, 900, 1) for code in ("US", "QQ", "", "<b", *("DE",) * 40)),
    )  # fmt: skip
    products = tuple(
        replace(product, key=f"key{at}", name=(HOSTILE * copies)[at]) for at in range(len(HOSTILE) * copies)
    )
    finding, ending = FINDINGS.listed[0], ENDINGS.listed[0]
    return Figures(
        AS_OF, AS_OF.date(), products,
        replace(FINDINGS, listed=tuple(
            replace(finding, rule=text, cause=text, customer=text, last4=text[:4], product=text) for text in texts
        )),
        Endings(len(texts), tuple(replace(ending, customer=text, last4=text[:4], product=text) for text in texts)),
    )  # fmt: skip


def order(
    language: str = "en",
    sections: tuple[str, ...] = SECTIONS,
    name: str = "Weekly figures",
    period: Period = WEEK,
) -> Order:
    """An order for all products."""
    return Order(name, (), sections, language, period)
