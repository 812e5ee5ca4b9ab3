"""A composed mail: what each section says, in both languages, and what hostile texts come to."""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO

import pytest
from PIL import Image

import figures as samples
from callhome.reports import product_sections
from callhome.reports.compose import compose
from callhome.reports.figures import Build, Counted, Country, Endings, Figures, Flow, Product, Usage
from callhome.reports.model import LANGUAGES, SECTIONS, UNSUBSCRIBE, Order, Period

CONSOLE = "https://callhome.example"


def text_of(figures: Figures, order: Order | None = None) -> str:
    """The plain text, in which no sentence is broken over lines."""
    text = compose(order or samples.order(), figures, CONSOLE).text
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text.replace("\N{WORD JOINER}", ""))


def of_studio(**changes: object) -> Figures:
    """The usual figures with something else in its one product."""
    studio: Product = replace(samples.STUDIO, **changes)  # type: ignore[arg-type]
    return replace(samples.USUAL, products=(studio,))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("figures", [samples.USUAL, samples.SEVERAL, samples.EMPTY, samples.hostile()])
def test_same_figures_same_bytes(figures: Figures, language: str) -> None:
    """Composed twice, a mail is the same to the last byte, pictures too: a preview is what is sent."""
    order = samples.order(language)
    assert compose(order, figures, CONSOLE) == compose(order, figures, CONSOLE)


def test_all_sections_in_a_usual_mail() -> None:
    """Each section says its numbers: those of the figures, and what follows from them."""
    composed = compose(samples.order(), samples.USUAL, CONSOLE)
    assert composed.subject == "Weekly figures: 12,345 active installs (+3.0%), 16–22 Nov 2026"
    assert composed.composed_at == samples.AS_OF
    text = text_of(samples.USUAL)
    for said in (
        "Example Studio: 12,345 active installs in the week of 16–22 Nov 2026, 3.0% more than the week before.",
        "Launches 61,802 +3.0%",
        "Besides, 12 unverified installs were active: they are in no other number.",
        "12.1.1 12112 6,910 45%",
        "Others 8 0.1%",
        "12.1.1, the latest release, came out on 7 Nov 2026, 16 days ago, and is on 46% of the installs in use "
        "(6,919 of 15,200).",
        "1,420 updates: 1,402 to a newer version, 18 to an older one.",
        "12.1.0 12.1.1 1,011 71%",
        "Active in 30 days, 15 Nov 2026 15,010 14,890",
        "New +402 +377",
        "Lost −273 −312",
        "Active in 30 days, 22 Nov 2026 15,200 15,010",
        "Germany 1,980 16% +7.6%",
        "2 opened, 1 confirmed, 1 closed in this period. Now 2 confirmed, 1 open.",
        "Over its seats Northwind GmbH (…9F2A) confirmed 34 / 25",
        "Install id likely Example Server open 3 / 1",
        "3 licenses end by 22 Jan 2027.",
        "30 Nov 2026 Northwind GmbH (…9F2A) Example Studio 34 25",
        "14 Jan 2027 Tailspin Toys Example Studio – 5",
        "The numbers were read on 23 Nov 2026 at 07:00 UTC.",
    ):
        assert said in re.sub(r" +", " ", text), said


def test_sections_come_as_ordered() -> None:
    """A mail has the sections of its order, in that order, with the notes and tables that belong to them alone."""
    order = samples.order(sections=("countries", "usage"))
    composed = compose(order, samples.USUAL, CONSOLE)
    assert composed.text.index("\nCountries\n") < composed.text.index("\nUsage\n")
    assert "Builds in use" not in composed.text
    assert "Finding:" not in composed.text
    assert [table.name for table in composed.attachments] == ["countries.csv", "usage.csv", "days.csv"]
    assert len(composed.images) == 1


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (103, 100, "103 active installs in the week of 16–22 Nov 2026, 3.0% more than the week before."),
        (80, 100, "80 active installs in the week of 16–22 Nov 2026, 20% fewer than the week before."),
        (1, 1, "1 active install in the week of 16–22 Nov 2026, as many as the week before."),
        (5, 0, "5 active installs in the week of 16–22 Nov 2026, after none in the week before."),
    ],
)
def test_headline_compares(now: int, before: int, said: str) -> None:
    """The first sentence says the number and how it compares, whether there is one before or not."""
    usage = replace(samples.STUDIO.usage, now=Counted(now, 1, 1), before=Counted(before, 1, 1))
    assert f"Example Studio: {said}" in text_of(of_studio(usage=usage))


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (1, "on 22 Nov 2026, 3.0% more than the day before"),
        (30, "in the 30 days 24 Oct – 22 Nov 2026, 3.0% more than the 30 days before"),
    ],
)
def test_period_is_named(days: int, said: str) -> None:
    """A day, a week and any other number of days have names of their own."""
    last = samples.WEEK.last_day
    usage = replace(samples.STUDIO.usage, by_day=(5,) * days, by_day_before=(4,) * days)
    order = samples.order(period=Period(last - timedelta(days=days - 1), last))
    assert said in text_of(of_studio(usage=usage), order).replace("\N{THIN SPACE}", " ")


def test_several_products_are_summed_and_told_apart() -> None:
    """The first sentence is of all, the next names the largest, and each has its part in a section."""
    composed = compose(samples.order(), samples.SEVERAL, CONSOLE)
    assert composed.subject.startswith("Weekly figures: 15,546 active installs (+1.6%)")
    assert "2 products: 15,546 active installs" in composed.text
    assert "Example Studio is the largest, with 12,345 of them." in composed.text
    assert composed.text.count("[Example Server]") == 5
    assert len({image.cid for image in composed.images}) == len(composed.images) == 4
    assert all(f"cid:{image.cid}" in composed.html for image in composed.images)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sections_without_data_say_so(language: str) -> None:
    """With a product that nobody uses each section is a sentence, and no picture or empty table is there."""
    composed = compose(samples.order(language), samples.EMPTY, CONSOLE)
    assert composed.images == ()
    assert "<table role" in composed.html
    assert "<th " not in composed.html
    if language == "en":
        for said in (
            "No install was active in these days or in those before.", "No install was active in the last 30 days.",
            "No release is registered", "No install changed its version", "No install was active in these 30 days.",
            "No finding is open", "No license ends by 22 Jan 2027.",
        ):  # fmt: skip
            assert said in composed.text, said


def test_without_a_product_the_mail_says_so() -> None:
    """Without any product there is a sentence, and no section."""
    composed = compose(samples.order(), samples.NO_PRODUCT, CONSOLE)
    assert "No product is registered yet" in composed.text
    assert "\nUsage\n" not in composed.text
    assert composed.attachments == ()


def test_licensing_mail_has_a_subject_of_its_own() -> None:
    """A mail of findings and licenses alone begins with those, not with installs."""
    order = samples.order(sections=("findings", "licenses"), name="Licensing")
    composed = compose(order, samples.USUAL, CONSOLE)
    assert composed.subject == "Licensing: 2 confirmed, 1 open, 16–22 Nov 2026"
    assert "License findings: 2 confirmed, 1 open. 3 licenses end by 22 Jan 2027." in text_of(
        samples.USUAL, order
    )
    assert "Active install:" not in composed.text


def test_what_is_left_out_of_a_table_is_summed() -> None:
    """Builds, flows and countries beyond the first few make one row, and shares are of all."""
    figures = of_studio(
        builds=tuple(Build(f"1.{at}", "", 10) for at in range(12)), in_use=200,
        flows=tuple(Flow(f"1.{at}", "2.0", 10) for at in range(12)), updates=200,
        countries=tuple(Country(code, 10, 5) for code in "DE FR GB US JP BR IN CA PL SE ES IT".split()),  # noqa: SIM905
        usage=replace(samples.STUDIO.usage, now=Counted(120, 1, 1), before=Counted(60, 1, 1)),
    )  # fmt: skip
    text = re.sub(r" +", " ", text_of(figures))
    assert "Others 120 60%" in text  # 200 less 8 builds
    assert "Others 140 70%" in text  # 200 less 6 flows
    assert "Others 20 17% +100%" in text  # 2 countries


def test_more_licenses_than_shown_are_counted() -> None:
    """Where a section shows the first of many, it says how many more there are and where."""
    ending = samples.ENDINGS.listed[0]
    figures = replace(samples.USUAL, endings=Endings(1_500, (ending,) * 1_000))
    assert "1,488 more are in licenses.csv." in text_of(figures)
    assert "1,500 licenses end by" in text_of(figures)


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_texts_come_to_nothing(language: str) -> None:
    """Subject and text have no control or bidirectional character, no foreign line, and no address to click on."""
    order = samples.order(language, name="Report\r\nBcc: all@example.com \u202egpj")
    composed = compose(order, samples.hostile(), CONSOLE)
    assert composed.subject.isprintable()
    text = composed.text.replace(UNSUBSCRIBE, "")
    ours = ("\n", "\N{ZERO WIDTH NON-JOINER}", "\N{WORD JOINER}")
    assert not [char for char in text if unicodedata.category(char) in ("Cc", "Cf") and char not in ours]
    assert not re.search(r"^Bcc:", text, re.MULTILINE)
    assert not re.search(r"\bwww\.evil|evil\.example|http://|all@example", text)
    assert composed.text.count(UNSUBSCRIBE) == 1
    for table in composed.attachments:
        for row in csv.reader(table.content.decode("utf-8-sig").splitlines()):
            assert not [cell for cell in row if re.match(r"\s*[=+@]", cell)]


def test_without_console_nothing_to_click_on() -> None:
    """Without the console's address there is none to unsubscribe at, and the mail says whom to ask."""
    composed = compose(samples.order(), samples.USUAL, None)
    assert UNSUBSCRIBE not in composed.text + composed.html
    assert "ask those who run callhome" in composed.text
    assert "href" not in composed.html


def test_pictures_are_small_files() -> None:
    """Each picture is a PNG at twice its size, of less than 30 kB."""
    for image in compose(samples.order(), samples.SEVERAL, CONSOLE).images:
        picture = Image.open(BytesIO(image.content))
        assert (picture.format, picture.width) == ("PNG", 1104)
        assert len(image.content) < 30_000


def test_version_in_another_script_is_in_the_table() -> None:
    """A version that the picture's font can't draw is in the table beneath, and the picture says so."""
    figures = of_studio(builds=(Build("漢字", "", 5), Build("1.0", "", 4)), in_use=9)
    assert "漢字" in text_of(figures)
    assert product_sections.BARS_SHOWN == 6
    compose(samples.order(), figures, CONSOLE)  # nothing is raised


def test_periods_of_two_days_and_more_are_drawn() -> None:
    """A picture is drawn of two days as of a whole year; of a single one it would be a dot, and is left out."""
    for days in (1, 2, 14, 15, 366):
        last = date(2026, 11, 22)
        order = samples.order(period=Period(last - timedelta(days=days - 1), last), sections=("usage",))
        usage = Usage(Counted(9, 9, 9), Counted(9, 9, 9), 0, (7,) * days, tuple(range(days)))
        composed = compose(order, of_studio(usage=usage), CONSOLE)
        assert len(composed.images) == composed.html.count("<img") == (days > 1)


def test_without_days_before_nothing_is_said_of_them() -> None:
    """Where nothing was active before, the picture has no thin line and nothing speaks of one."""
    order = samples.order(sections=("usage",))
    assert "The thin line shows the days before." in compose(order, samples.USUAL, CONSOLE).html
    usage = replace(samples.STUDIO.usage, by_day_before=(0,) * 7)
    composed = compose(order, of_studio(usage=usage), CONSOLE)
    assert len(composed.images) == 1
    assert "thin line" not in composed.html


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "0 active installs, 16–22 Nov 2026"), ("fr", "0 installation active, 16–22 nov")],
)
def test_subject_without_a_change_has_no_parentheses(language: str, said: str) -> None:
    """Where none was active before there is no change to tell, and the subject goes on with the days."""
    usage = replace(samples.STUDIO.usage, now=Counted(0, 0, 0), before=Counted(0, 0, 0))
    assert said in compose(samples.order(language), of_studio(usage=usage), CONSOLE).subject


@pytest.mark.parametrize(("language", "said"), [("en", "Counted / allowed"), ("fr", "Compté / permis")])
def test_column_of_findings_names_both_numbers(language: str, said: str) -> None:
    """The column with "34 / 25" says what each is, in the text and in the HTML."""
    composed = compose(samples.order(language), samples.USUAL, CONSOLE)
    assert said in composed.text
    assert f">{said}</th>" in composed.html


def test_every_section_is_known() -> None:
    """Each section that can be ordered can be composed, with notes and tables of its own."""
    for section in SECTIONS:
        assert compose(samples.order(sections=(section,)), samples.USUAL, CONSOLE).attachments
