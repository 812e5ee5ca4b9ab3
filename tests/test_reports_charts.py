"""The pictures: sizes, what is drawn where, and what no figure can break."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from callhome.reports import charts
from callhome.reports.charts import Bar, Bars, Days
from callhome.reports.model import LANGUAGES as NAMES
from callhome.reports.model import Period
from callhome.reports.wording import LANGUAGES, Wording

LINE, AREA, PAPER, TRACK = (15, 98, 172), (207, 225, 241), (246, 248, 250), (229, 234, 239)


def of_days(now: list[int], before: list[int]) -> Days:
    """A picture of days with plain labels."""
    return Days("Title", "note", now, before, [f"Mon {at}" for at in range(len(now))], str)


def opened(png: bytes) -> Image.Image:
    """The picture in plain colours."""
    return Image.open(BytesIO(png)).convert("RGB")


def columns(picture: Image.Image, colour: tuple[int, int, int]) -> list[int]:
    """The columns in which a colour is."""
    pixels = picture.load()
    assert pixels is not None
    return [
        x for x in range(picture.width) if any(pixels[x, y] == colour for y in range(90, picture.height - 80))
    ]


def test_picture_of_days_has_its_size() -> None:
    """It is drawn at twice the size that it is shown at, on a light ground."""
    picture = opened(charts.days(of_days([1, 2, 3], [3, 2, 1])))
    assert picture.size == tuple(2 * size for size in charts.DAYS_SIZE)
    assert picture.getpixel((2, 2)) == PAPER


def test_higher_is_more() -> None:
    """The area reaches higher where there are more installs: twice as many, twice as high."""
    picture = opened(charts.days(of_days([50, 50, 100, 100], [0, 0, 0, 0])))
    pixels = picture.load()
    assert pixels is not None
    heights = {}
    for x in (columns(picture, AREA)[30], columns(picture, AREA)[-30]):
        heights[x] = sum(pixels[x, y] in (AREA, LINE) for y in range(picture.height))
    low, high = heights.values()
    assert 1.85 < high / low < 2.15


def test_bars_are_as_long_as_their_values() -> None:
    """A bar of half the installs is half as long as the longest."""
    picture = opened(charts.bars(Bars("Title", [Bar("a", 100, "x"), Bar("b", 50, "x"), Bar("c", 0, "x")])))
    assert picture.size == tuple(2 * size for size in charts.bars_size(3))
    pixels = picture.load()
    assert pixels is not None
    lengths = [
        sum(pixels[x, 2 * (48 + 32 * at + 16)] == LINE for x in range(picture.width)) for at in range(3)
    ]
    assert abs(lengths[0] - 2 * lengths[1]) < 8
    assert lengths[2] < 8


COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)


@settings(max_examples=25)
@given(now=COUNTS, before=COUNTS)
def test_any_days_can_be_drawn(now: list[int], before: list[int]) -> None:
    """Any numbers and numbers of days give a picture of the same size."""
    assert opened(charts.days(of_days(now, before))).size == (1104, 2 * charts.DAYS_SIZE[1])


BARS = st.builds(Bar, st.text(max_size=64), st.integers(0, 10**9), st.text(max_size=8))


@settings(max_examples=25)
@given(bars=st.lists(BARS, min_size=1, max_size=7))
def test_any_bars_can_be_drawn(bars: list[Bar]) -> None:
    """Any labels and numbers give a picture that has room for each bar."""
    assert opened(charts.bars(Bars("Title", bars))).size == (1104, 2 * charts.bars_size(len(bars))[1])


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("12.0.1-β", ""),
        ("12.0.1", "12.0.1"),
        ("Évolution –3\xa0%", "Evolution -3 %"),
        ("±3", ""),
        ("漢", ""),
        ("1\u202f234", "1 234"),
    ],
)
def test_drawable(text: str, drawn: str) -> None:
    """What the font has is drawn; a text with anything else is not, rather than as boxes."""
    assert charts.drawable(text) == drawn


def said_in(language: str) -> set[str]:
    """Every text of ours that a picture may have: titles, notes, each day of a year, numbers and shares."""
    wording, first = Wording(LANGUAGES[language]), date(2026, 1, 1)
    texts = wording.texts
    said = {
        texts.chart_days,
        texts.chart_builds,
        texts.others,
        texts.in_the_table,
        wording.number(12_345_678),
    }
    for days in (1, 7, 30):
        before = wording.before(Period(first, first + timedelta(days=days - 1)))
        said.add(texts.chart_days_before.format(before=before))
    for at in range(365):
        said |= {wording.short_day(first + timedelta(days=at), of) for of in (7, 365)}
    return said | {wording.share(part, 1_000) for part in range(1_001)} | {wording.share(0, 0)}


@pytest.mark.parametrize("language", NAMES)
def test_font_has_every_character_that_is_drawn(language: str) -> None:
    """No text of ours is left out of a picture, and none has a box in place of a character."""
    font = ImageFont.load_default(56)
    missing = bytes(font.getmask("\uffff"))
    assert bytes(font.getmask("Ж")) == missing
    for text in said_in(language):
        drawn = charts.drawable(text)
        assert drawn, text
        assert not [char for char in drawn if bytes(font.getmask(char)) == missing], text


def test_without_days_before_there_is_no_line() -> None:
    """Where nothing was before, only the line of these days is drawn."""
    assert charts.days(of_days([1, 2], [])) != charts.days(of_days([1, 2], [0, 0]))
