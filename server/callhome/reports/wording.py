"""How a language says a number, a day, a period and a change; and what is done to texts that strangers sent. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Final

from babel import Locale
from babel.dates import format_date, format_interval, format_skeleton, format_time
from babel.numbers import format_decimal, format_percent

from .figures import Finding
from .model import Period
from .texts import Texts
from .texts_en import EN
from .texts_fr import FR

LANGUAGES: Final[Mapping[str, Texts]] = MappingProxyType({"en": EN, "fr": FR})

# What is shown of a text that a client or a customer's name brought; the attached tables have all of it.
SHOWN_CHARACTERS: Final = 40
# Below ten percent the tenths matter, above they are noise.
_TENTHS_BELOW: Final = 0.1
_MINUS: Final = "\N{MINUS SIGN}"
_WEEK: Final = 7
# In two weeks the days of the week tell more than the month does.
_NAMED_DAYS: Final = 14
# What mail programs make links of: a host, an address. A joiner that is not seen keeps them from it: nobody who sends a
# ping may put a link into a mail. Versions such as 12.0.1 are none.
_UNSEEN: Final = ("\N{ZERO WIDTH NON-JOINER}", "\N{WORD JOINER}")
_LINKED: Final = re.compile(r"(?<=\w)([.@:])(?=[^\W\d_]|//)")
_NO_LINK: Final = r"\1" + "\N{ZERO WIDTH NON-JOINER}"
# No line is broken where it stands.
WORD_JOINER: Final = "\N{WORD JOINER}"


def shown(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """A text of others on one line: without control and bidirectional characters, links and length."""
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    if len(plain) > characters:
        plain = plain[: characters - 1] + "…"
    return _LINKED.sub(_NO_LINK, plain)


def heading(text: str) -> str:
    """A text as the subject of a mail: without the joiner, which nothing there needs, and with plain blanks."""
    plain = text.replace("\N{ZERO WIDTH NON-JOINER}", "")
    return "".join(" " if unicodedata.category(char) == "Zs" else char for char in plain)


def width(text: str) -> int:
    """How many columns a text takes where each character has the same width."""
    return sum(
        0 if unicodedata.combining(char) or char in _UNSEEN
        else 2 if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """A language at work."""

    texts: Texts

    @cached_property
    def _locale(self) -> Locale:
        return Locale.parse(self.texts.locale)

    def number(self, value: int) -> str:
        """Such as 12,345."""
        return format_decimal(value, locale=self._locale)

    def share(self, part: int, whole: int) -> str:
        """A part in percent; a dash of nothing."""
        return self._percent(part / whole) if whole else "–"

    def change(self, now: int, before: int) -> str:
        """By how much a number has changed, in percent with its sign; a dash where there was none before."""
        if not before:
            return "–"
        ratio = (now - before) / before
        sign = "+" if now > before else _MINUS if now < before else "±"
        return sign + self._percent(abs(ratio))

    def compared(self, now: int, before: int, period: Period) -> str:
        """By how much a number has changed, in words."""
        texts, than = self.texts, self.before(period)
        if not before:
            return texts.none_before.format(before=than)
        if now == before:
            return texts.as_many.format(before=than)
        said = texts.more if now > before else texts.fewer
        return said.format(percent=self._percent(abs(now - before) / before), before=than)

    def _percent(self, ratio: float) -> str:
        # "#,##0 %" in French, "#,##0%" in English.
        pattern = self._locale.percent_formats[None].pattern
        if 0 < ratio < _TENTHS_BELOW:
            pattern = pattern.replace("#,##0", "#,##0.0")
        return format_percent(ratio, format=pattern, locale=self._locale)

    def counted(self, forms: str, n: int, /, **more: str) -> str:
        """A sentence in the form that its number takes: ``one|other``."""
        one, _, other = forms.partition("|")
        form = one if self._locale.plural_form(n) == "one" else other
        return form.format(n=self.number(n), **more)

    def day(self, day: date) -> str:
        """Such as 22 Nov 2026."""
        return format_date(day, "medium", locale=self._locale)

    def weekday(self, day: date) -> str:
        """Such as Sun 22 Nov."""
        return format_skeleton("MMMEd", day, locale=self._locale)

    def short_day(self, day: date, of: int) -> str:
        """A day on the axis of a picture, one of so many: Sun 22, or of many 22 Nov."""
        return format_skeleton("Ed" if of <= _NAMED_DAYS else "MMMd", day, locale=self._locale)

    def days(self, period: Period) -> str:
        """Such as 16–22 Nov 2026."""
        if period.first_day == period.last_day:
            return self.day(period.first_day)
        return str(format_interval(period.first_day, period.last_day, "yMMMd", locale=self._locale))

    def when(self, period: Period) -> str:
        """A period within a sentence: in the week of 16–22 Nov 2026."""
        texts, length = self.texts, _length(period)
        said = texts.day if length == 1 else texts.week if length == _WEEK else texts.days
        return said.format(days=self.days(period), n=self.number(length))

    def before(self, period: Period) -> str:
        """The period before, within a sentence: in the week before."""
        texts, length = self.texts, _length(period)
        said = (
            texts.the_day_before if length == 1
            else texts.the_week_before if length == _WEEK
            else texts.the_days_before
        )  # fmt: skip
        return said.format(n=self.number(length))

    def read_at(self, moment: datetime) -> str:
        """When the numbers were read; ``moment`` is in UTC."""
        time = format_time(moment, "short", locale=self._locale)
        return self.texts.read_at.format(date=self.day(moment.date()), time=time)

    def country(self, code: str) -> str:
        """The name of a country; its code where it has none."""
        if code == "ZZ":
            return self.texts.unknown_country
        return shown(self._locale.territories.get(code, code))

    def word(self, stored: str) -> str:
        """The word for a state, rule or cause of a finding."""
        return self.texts.words.get(stored, shown(stored))

    def finding(self, finding: Finding) -> str:
        """What a finding says, with its likely cause."""
        said = self.word(finding.rule)
        return f"{said}: {self.word(finding.cause)}" if finding.cause else said


def _length(period: Period) -> int:
    return (period.last_day - period.first_day + timedelta(days=1)).days
