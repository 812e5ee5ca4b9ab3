"""How languages say numbers, days and changes, that both say everything, and what becomes of strangers' texts."""

from __future__ import annotations

import re
import string
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import callhome.reports
from callhome.reports.model import LANGUAGES as ORDERED
from callhome.reports.model import Period
from callhome.reports.texts import Texts
from callhome.reports.texts_en import EN
from callhome.reports.texts_fr import FR
from callhome.reports.wording import LANGUAGES, Wording, heading, shown, width

ROOM = Path(callhome.reports.__file__).parent
ENGLISH, FRENCH = Wording(EN), Wording(FR)
NAMES = [field.name for field in fields(Texts) if field.name != "words"]


def placeholders(text: str) -> list[set[str]]:
    """What is put into a text, in each of its forms."""
    return [{name for _, name, _, _ in string.Formatter().parse(form) if name} for form in text.split("|")]


def test_every_language_has_its_texts() -> None:
    """The languages that can be ordered are those that have texts, under their own names."""
    assert tuple(LANGUAGES) == ORDERED
    assert all(texts.language == language for language, texts in LANGUAGES.items())


@pytest.mark.parametrize("name", NAMES)
def test_languages_say_the_same(name: str) -> None:
    """A text has the same placeholders and number of forms in both languages, and is translated."""
    english, french = getattr(EN, name), getattr(FR, name)
    assert placeholders(english) == placeholders(french)
    assert english.strip() == english != ""
    assert french.strip() == french != ""
    assert english != french or name in ("version", "build", "as_many")
    assert "\n" not in english + french


def test_words_are_the_same() -> None:
    """Both languages have words for the same states, rules and causes of findings."""
    assert EN.words.keys() == FR.words.keys()
    assert not set(EN.words.values()) & set(FR.words.values())


def test_no_text_is_unused() -> None:
    """Each text is used somewhere: there is none to translate for nothing."""
    code = "\n".join(
        path.read_text("utf-8") for path in ROOM.glob("*.py") if not path.stem.startswith("texts")
    )
    code += (ROOM / "templates" / "mail.html").read_text("utf-8")
    unused = [name for name in NAMES if not re.search(rf'(\.|"){name}\b', code)]
    assert not unused


@pytest.mark.parametrize(
    ("wording", "said"),
    [
        (
            ENGLISH,
            ("1,234,567", "33%", "0.3%", "+3.0%", "−20%", "±0%", "–", "22 Nov 2026", "Germany", "Unknown"),
        ),
        (
            FRENCH,
            (
                "1 234 567",
                "33 %",
                "0,3 %",
                "+3,0 %",
                "−20 %",
                "±0 %",
                "–",
                "22 nov. 2026",
                "Allemagne",
                "Inconnu",
            ),
        ),
    ],
)
def test_numbers_and_names(wording: Wording, said: tuple[str, ...]) -> None:
    """Numbers, shares, changes, days and countries are said as each language does."""
    told = (
        wording.number(1_234_567), wording.share(1, 3), wording.share(1, 300), wording.change(103, 100),
        wording.change(80, 100), wording.change(1, 1), wording.change(1, 0), wording.day(date(2026, 11, 22)),
        wording.country("DE"), wording.country("ZZ"),
    )  # fmt: skip
    assert tuple(re.sub(r"[\u202f\xa0]", " ", one) for one in told) == said


def test_a_share_of_nothing_is_a_dash() -> None:
    """Nothing is divided by nothing."""
    assert ENGLISH.share(0, 0) == "–"


@pytest.mark.parametrize(
    ("first", "last", "english", "french"),
    [
        ("2026-11-22", "2026-11-22", "22 Nov 2026", "22 nov. 2026"),
        ("2026-11-16", "2026-11-22", "16–22 Nov 2026", "16–22 nov. 2026"),
        ("2026-10-28", "2026-11-26", "28 Oct – 26 Nov 2026", "28 oct. – 26 nov. 2026"),
        ("2026-12-28", "2027-01-03", "28 Dec 2026 – 3 Jan 2027", "28 déc. 2026 – 3 janv. 2027"),
    ],
)
def test_periods(first: str, last: str, english: str, french: str) -> None:
    """A period names month and year once, where they are the same."""
    period = Period(date.fromisoformat(first), date.fromisoformat(last))
    assert ENGLISH.days(period).replace("\N{THIN SPACE}", " ") == english
    assert FRENCH.days(period).replace("\N{THIN SPACE}", " ") == french


def test_numbers_choose_the_form() -> None:
    """One is singular in both languages, none in French alone."""
    forms = "{n} thing|{n} things"
    assert [ENGLISH.counted(forms, n) for n in (0, 1, 2)] == ["0 things", "1 thing", "2 things"]
    assert [FRENCH.counted(forms, n) for n in (0, 1, 2)] == ["0 thing", "1 thing", "2 things"]
    assert FRENCH.counted(forms, 1_000_000).endswith("things")


def test_moment_is_told() -> None:
    """When the numbers were read is told to the minute, in UTC."""
    moment = datetime(2026, 11, 23, 7, 0, 59, tzinfo=UTC)
    assert "23 Nov 2026 at 07:00 UTC" in ENGLISH.read_at(moment)
    assert "23 nov. 2026 à 07:00 UTC" in FRENCH.read_at(moment)


def test_unknown_words_are_shown_as_they_are() -> None:
    """A rule that has no word yet, and a country that has no name, are shown as stored, made harmless."""
    assert ENGLISH.word("new_rule\r\n") == "new_rule\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert ENGLISH.country("Q\u202e") == "Q\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("12.0.1", "12.0.1"),
        ("Näme & Söhne <GmbH>", "Näme & Söhne <GmbH>"),
        ("a\r\nb\u202ec\x00", "a��b�c�"),
        ("x" * 41, "x" * 39 + "…"),
        ("www.evil.example", "www.\u200cevil.\u200cexample"),
        ("http://evil.example", "http:\u200c//evil.\u200cexample"),
        ("a@b.example", "a@\u200cb.\u200cexample"),
    ],
)
def test_shown(text: str, said: str) -> None:
    """Texts of others lose control and bidirectional characters, length and links, and nothing else."""
    assert shown(text) == said


def test_width_counts_columns() -> None:
    """Wide characters take two columns, accents and joiners none."""
    assert [width(text) for text in ("abc", "漢字", "e\u0301", "a\u200cb", "💣")] == [3, 4, 1, 2, 2]


def test_heading_has_plain_blanks() -> None:
    """A subject has no character that a header or a list of mails could stumble over."""
    assert heading("1\u202f234\xa0% a.\u200cb \u2009–") == "1 234 % a.b  –"
