"""The attached tables: every figure in them, in CSV that spreadsheets read and don't run."""

from __future__ import annotations

import csv
from dataclasses import replace

import figures as samples
from callhome.reports import tables
from callhome.reports.figures import Figures
from callhome.reports.model import SECTIONS


def read(figures: Figures) -> dict[str, list[dict[str, str]]]:
    """The tables of a mail with all sections, by the names of their files."""
    found = tables.attachments(samples.order(), figures)
    assert all(table.content_type == "text/csv" for table in found)
    return {
        table.name: list(csv.DictReader(table.content.decode("utf-8-sig").splitlines())) for table in found
    }


def test_tables_have_the_figures() -> None:
    """Each table has the figures of its section, of both periods where there are two."""
    found = read(samples.USUAL)
    assert found["usage.csv"] == [
        {
            "product": "studio", "first_day": "2026-11-16", "last_day": "2026-11-22", "active_installs": "12345",
            "users": "48210", "launches": "61802", "unverified_installs": "12",
        },
        {
            "product": "studio", "first_day": "2026-11-09", "last_day": "2026-11-15", "active_installs": "11984",
            "users": "47030", "launches": "60011", "unverified_installs": "",
        },
    ]  # fmt: skip
    assert len(found["days.csv"]) == 14
    assert found["days.csv"][0] == {"product": "studio", "day": "2026-11-09", "active_installs": "7704"}
    assert found["days.csv"][-1] == {"product": "studio", "day": "2026-11-22", "active_installs": "2764"}
    assert found["builds.csv"][0] == {
        "product": "studio", "version": "12.1.1", "build": "12112", "installs": "6910",
    }  # fmt: skip
    assert len(found["builds.csv"]) == len(samples.STUDIO.builds)
    assert found["updates.csv"][3]["installs"] == "18"
    assert found["installs.csv"][0]["lost"] == "273"
    assert found["countries.csv"][1] == {
        "product": "studio", "country": "DE", "active_installs": "1980", "active_installs_before": "1840",
    }  # fmt: skip
    assert found["findings.csv"][0]["customer"] == "Northwind GmbH"
    assert found["findings.csv"][0]["confirmed_at"] == "2026-11-20T09:00:00+00:00"
    assert found["licenses.csv"][2] == {
        "ends": "2027-01-14", "customer": "Tailspin Toys", "last4": "", "product": "Example Studio",
        "seats_used": "", "seats": "5",
    }  # fmt: skip


def test_tables_have_full_texts_that_are_no_formulas() -> None:
    """A text is not cut in a table, and one that could be a formula has a quote before it."""
    found = read(samples.hostile())
    versions = {row["version"] for row in found["builds.csv"]}
    assert "漢" * 64 in versions
    assert '\'=HYPERLINK("http://evil.example","x")' in versions
    assert not [version for version in versions if version.startswith("=")]


def test_tables_are_bounded() -> None:
    """A table has at most so many lines, however many products and builds there are."""
    figures = replace(samples.USUAL, products=(samples.STUDIO,) * 1_000)
    assert max(len(rows) for rows in read(figures).values()) == tables.LINES


def test_no_table_is_empty() -> None:
    """What has no line is not attached."""
    assert {"usage.csv", "days.csv", "installs.csv"} == read(samples.EMPTY).keys()
    assert read(samples.NO_PRODUCT) == {}


def test_files_begin_with_a_mark() -> None:
    """A file begins with the mark by which spreadsheets know UTF-8, and its lines end as RFC 4180 says."""
    (first, *_) = tables.attachments(samples.order(sections=SECTIONS), samples.USUAL)
    assert first.content.startswith(b"\xef\xbb\xbfproduct,")
    assert first.content.endswith(b"\r\n")
