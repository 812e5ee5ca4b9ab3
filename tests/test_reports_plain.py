"""The plain text of a mail: in columns, narrow, and nothing of HTML in it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import figures as samples
from callhome.reports.compose import compose
from callhome.reports.figures import Figures
from callhome.reports.model import LANGUAGES, UNSUBSCRIBE
from callhome.reports.plain import COLUMNS
from callhome.reports.wording import width


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("figures", [samples.USUAL, samples.SEVERAL, samples.EMPTY, samples.hostile(2)])
def test_lines_are_narrow(figures: Figures, language: str) -> None:
    """No line takes more than 76 columns, wide characters counted twice, and only the signature's ends in a blank."""
    text = compose(samples.order(language), figures, "https://callhome.example").text
    lines = text.split("\n")
    assert max(width(line) for line in lines if UNSUBSCRIBE not in line) <= COLUMNS
    assert [line for line in lines if line != line.rstrip()] == ["-- "]
    assert text.endswith("\n")


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_of_html_is_left(language: str) -> None:
    """There is no tag, no entity and no style in it."""
    text = compose(samples.order(language), samples.USUAL, "https://callhome.example").text
    assert not re.search(r"<[a-z/]|&\w+;|&#|style=|cid:", text)


def test_numbers_stand_below_each_other() -> None:
    """The columns of numbers end at the same place in each row."""
    text = compose(samples.order(sections=("countries",)), samples.USUAL, None).text
    rows = [line for line in text.partition("\nCountry ")[2].split("\n") if line.endswith("%")]
    assert len(rows) == 11
    assert len({width(row) for row in rows}) == 1
    assert len({row.index("%") for row in rows}) == 1


def test_long_texts_are_folded_not_cut() -> None:
    """What is too long for its column goes on in the next line of its row."""
    finding = replace(
        samples.FINDINGS.listed[1], rule="wrong_product", customer="Universität von weit her, Außenstelle 4"
    )
    figures = replace(samples.USUAL, findings=replace(samples.FINDINGS, listed=(finding,)))
    text = compose(samples.order(sections=("findings",)), figures, None).text.replace("\N{WORD JOINER}", "")
    rows = text.partition("Counted / allowed\n")[2].partition("\n\n")[0].split("\n")
    assert len(rows) == 3
    assert "…" not in text.replace("(…11C0)", "")
    for word in (
        "Used with another product: the key is shared",
        "Universität von weit her, Außenstelle 4 (…11C0)",
    ):
        assert all(part in " ".join(rows) for part in word.split())
