"""The pictures of a mail, at twice their size for screens that have the pixels. Pure: figures in, PNG out.

The background is light and part of the picture: a mail program that turns a mail dark leaves pictures as they are.
The font is Pillow's own, so that every machine draws the same; of characters beyond ASCII it has next to none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw, ImageFont

# Pixels of the file for each of CSS. Drawn twice as large again, and made smaller: lines come out smooth by that.
_FILE_SCALE: Final = 2
_SCALE: Final = 4
# The column of the mail, in CSS pixels.
_WIDTH: Final = 552
DAYS_SIZE: Final = (_WIDTH, 220)
_BAR_ROW: Final = 32
_BARS_TOP: Final = 48
_BARS_BOTTOM: Final = 12
_PADDING: Final = 16
# Sizes of text: a phone shows the picture at three fifths of its size, where the smallest can be read just so.
_TITLE: Final = 15
_TEXT: Final = 14
_SMALL: Final = 13

_PAPER: Final = (246, 248, 250)
_INK: Final = (31, 41, 51)
_QUIET: Final = (91, 105, 120)
_GRID: Final = (221, 226, 232)
_LINE: Final = (15, 98, 172)
_AREA: Final = (207, 225, 241)
_BEFORE: Final = (140, 152, 166)
_TRACK: Final = (229, 234, 239)
# Few colours, all of them shades of those above: a palette halves the size of the file and can't be told from it.
_COLOURS: Final = 64
# Fonts of this size and that: three sizes are in use.
_FONTS: Final = 4
# What the font lacks and a decomposition leaves as it is, as the font's nearest. Blanks of other widths decompose.
_NEAREST: Final = str.maketrans("\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{RIGHT SINGLE QUOTATION MARK}", "---'")


@dataclass(frozen=True, slots=True)
class Days:
    """Active installs by day, with those of the days before as a thin line; ``labels`` say the days.

    Where ``before`` is empty there is no such line.
    """

    title: str
    note: str
    now: Sequence[int]
    before: Sequence[int]
    labels: Sequence[str]
    number: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``said`` stands at its end."""

    label: str
    value: int
    said: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars, one below another."""

    title: str
    bars: Sequence[Bar]


def drawable(text: str) -> str:
    """The text as the font can draw it, letters without their accents; ``""`` where it has others."""
    parts = unicodedata.normalize("NFKD", text.translate(_NEAREST))
    plain = "".join(char for char in parts if not unicodedata.combining(char))
    return plain if all(" " <= char <= "~" for char in plain) else ""


def days(chart: Days) -> bytes:
    """Draw installs by day as PNG, `DAYS_SIZE` at twice the resolution."""
    canvas = _Canvas(*DAYS_SIZE)
    canvas.heading(chart.title, chart.note)
    top, right, bottom = 52, _WIDTH - _PADDING, DAYS_SIZE[1] - 34
    ceiling = _ceiling(max((*chart.now, *chart.before, 1)))
    said = [chart.number(value) for value in (0, ceiling // 2, ceiling)]
    left = _PADDING + max(canvas.width(text, _SMALL) for text in said) + 8

    def place(at: int, count: int, value: int) -> tuple[float, float]:
        x = (left + right) / 2 if count < 2 else left + (right - left) * at / (count - 1)
        return x, bottom - (bottom - top) * value / ceiling

    for value, text in zip((0, ceiling // 2, ceiling), said, strict=True):
        y = place(0, 1, value)[1]
        canvas.line([(left, y), (right, y)], _GRID, 1)
        canvas.text((left - 8, y), text, _SMALL, _QUIET, "rm")
    points = [place(at, len(chart.now), value) for at, value in enumerate(chart.now)]
    canvas.area([(points[0][0], bottom), *points, (points[-1][0], bottom)], _AREA)
    if chart.before:
        line = [place(at, len(chart.before), value) for at, value in enumerate(chart.before)]
        canvas.line(line, _BEFORE, 1.5)
    canvas.line(points, _LINE, 2.25)
    canvas.dot(points[-1], _LINE)
    _label_days(canvas, chart, [x for x, _ in points], bottom + 14)
    return canvas.png()


def _label_days(canvas: _Canvas, chart: Days, places: Sequence[float], y: float) -> None:
    """As many days as have room, at equal distances up to the last; centred, but for the two at the edges."""
    last = len(places) - 1
    room = max(canvas.width(label, _SMALL) for label in chart.labels) * 1.5 + 8
    every = max(1, -(-int(room) // max(1, int((places[-1] - places[0]) / max(1, last)))))
    for at in range(last % every, last + 1, every):
        anchor = "mm" if last == 0 or 0 < at < last else "lm" if at == 0 else "rm"
        canvas.text((places[at], y), chart.labels[at], _SMALL, _QUIET, anchor)


def bars_size(count: int) -> tuple[int, int]:
    """Width and height of so many bars, in CSS pixels."""
    return _WIDTH, _BARS_TOP + _BAR_ROW * count + _BARS_BOTTOM


def bars(chart: Bars) -> bytes:
    """Draw bars as PNG, `bars_size` at twice the resolution."""
    canvas = _Canvas(*bars_size(len(chart.bars)))
    canvas.heading(chart.title, "")
    labels = [canvas.fitting(bar.label, _TEXT, 150) for bar in chart.bars]
    left = _PADDING + max(canvas.width(label, _TEXT) for label in labels) + 12
    right = _WIDTH - _PADDING - max(canvas.width(bar.said, _TEXT) for bar in chart.bars) - 10
    most = max(bar.value for bar in chart.bars) or 1
    for at, (bar, label) in enumerate(zip(chart.bars, labels, strict=True)):
        middle = _BARS_TOP + _BAR_ROW * (at + 0.5)
        canvas.text((_PADDING, middle), label, _TEXT, _INK, "lm")
        canvas.bar(left, middle, right - left, _TRACK)
        canvas.bar(left, middle, max(2.0, (right - left) * bar.value / most), _LINE)
        canvas.text((_WIDTH - _PADDING, middle), bar.said, _TEXT, _INK, "rm")
    return canvas.png()


def _ceiling(most: int) -> int:
    """The next even number of one or two digits that count: 8, 14, 260, 13000."""
    unit: int = 10 ** max(0, len(str(most)) - 2)
    steps = -(-most // unit)
    return (steps + steps % 2) * unit


@lru_cache(maxsize=_FONTS)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)


Point = tuple[float, float]
Colour = tuple[int, int, int]


class _Canvas:
    """Drawing in CSS pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def heading(self, title: str, note: str) -> None:
        self.text((_PADDING, 24), title, _TITLE, _INK, "lm")
        if note:
            self.text((_WIDTH - _PADDING, 24), note, _SMALL, _QUIET, "rm")

    def text(self, at: Point, text: str, size: int, colour: Colour, anchor: str) -> None:
        place = (at[0] * _SCALE, at[1] * _SCALE)
        self._draw.text(place, drawable(text), fill=colour, font=_font(size), anchor=anchor)

    def width(self, text: str, size: int) -> float:
        return self._draw.textlength(drawable(text), font=_font(size)) / _SCALE

    def fitting(self, text: str, size: int, width: float) -> str:
        """The text, cut to a width."""
        if self.width(text, size) <= width:
            return text
        while text and self.width(text + "...", size) > width:
            text = text[:-1]
        return text + "..."

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        self._draw.line(_scaled(points), fill=colour, width=round(width * _SCALE), joint="curve")

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon(_scaled(points), fill=colour)

    def dot(self, at: Point, colour: Colour) -> None:
        self._draw.circle((at[0] * _SCALE, at[1] * _SCALE), 3.5 * _SCALE, fill=colour)

    def bar(self, left: float, middle: float, width: float, colour: Colour) -> None:
        box = (left * _SCALE, (middle - 7) * _SCALE, (left + width) * _SCALE, (middle + 7) * _SCALE)
        self._draw.rounded_rectangle(box, radius=min(3.0, width / 2) * _SCALE, fill=colour)

    def png(self) -> bytes:
        file = BytesIO()
        size = (self._image.width * _FILE_SCALE // _SCALE, self._image.height * _FILE_SCALE // _SCALE)
        few = self._image.resize(size, Image.Resampling.BOX).quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)
        return file.getvalue()


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]
