"""`callhome.releases.advice`: what the answer to a ping says, when, and to whom."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from callhome.licenses.model import Terms
from callhome.releases.advice import Advisor
from callhome.releases.model import Level, Notice, Release, Severity

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
INSTALL = b"i" * 16
KEY = b"k" * 16
TERMS = Terms(product=1, starts=None, ends=date(2026, 12, 31), grace_days=14, revoked_on=None)


def release(version: str, id: int = 1, **fields: Any) -> Release:
    """Return a release of product 1."""
    plain = Release(
        id=id, product=1, version=version, channel="stable", day=date(2026, 1, 1), severity=Severity.NORMAL,
        url=f"https://example.com/{version}", notes_url=None, share=100, oldest=None,
    )  # fmt: skip
    return replace(plain, **fields)


def notice(text: str, **fields: Any) -> Notice:
    """Return a notice for every product."""
    plain = Notice(
        id=1, product=None, text=text, level=Level.INFO, url=None, from_version=None, to_version=None,
        starts_at=NOW - timedelta(days=1), ends_at=None,
    )  # fmt: skip
    return replace(plain, **fields)


def advisor(*, next_s: int = 0) -> Advisor:
    """Return one that knows the products ``es`` and ``other``."""
    return Advisor({"es": 1, "other": 2}, next_s, NOW.timestamp())


def told(
    by: Advisor,
    version: str = "1.0",
    *,
    product: str = "es",
    channel: str | None = None,
    license: bytes | None = None,
    install: bytes = INSTALL,
) -> dict[str, Any]:
    """Return what an install is told; its length is right."""
    answer = by.advise(product, version, channel, license, install)
    if answer is None:
        return {}
    length, _, body = answer.partition(b"\r\n\r\n")
    assert int(length) == len(body)
    said: dict[str, Any] = orjson.loads(body)
    return said


def test_nothing_known_is_nothing_to_say() -> None:
    """Without releases, licenses and notices there is no answer, license or not."""
    assert advisor().advise("es", "1.0", None, None, INSTALL) is None
    assert advisor().advise("es", "1.0", None, KEY, INSTALL) is None


def test_an_outdated_install_hears_where_to_go() -> None:
    """The newest version, how much it matters, and its address; who has it hears no more than that."""
    by = advisor()
    by.set_releases(
        [release("1.1", 1, severity=Severity.SECURITY), release("1.2", 2, notes_url="https://n.example/")]
    )
    expected = {"latest": "1.2", "outdated": True, "severity": "security", "url": "https://example.com/1.2"}
    assert told(by) == {**expected, "notes_url": "https://n.example/"}
    assert told(by, "1.2") == {"latest": "1.2", "outdated": False}
    assert told(by, "1.1")["severity"] == "normal"
    assert told(by, product="other") == {}


def test_a_channel_hears_of_its_own_and_of_stable_releases() -> None:
    """Beta is for those who asked for it; a channel that nobody knows is as good as stable."""
    by = advisor()
    by.set_releases([release("1.2", 1), release("2.0", 2, channel="beta")])
    assert told(by, channel="beta")["latest"] == "2.0"
    assert told(by)["latest"] == told(by, channel="night")["latest"] == "1.2"


def test_a_share_is_offered_to_so_many_and_grows() -> None:
    """A fifth of the installs hears of a release with a share of 20; all of them still do at 60."""
    installs = [number.to_bytes(16, "big") for number in range(2_000)]
    by = advisor()
    heard = {}
    for share in (0, 20, 60, 100):
        by.set_releases([release("1.1", 1), release("1.2", 77, share=share)])
        heard[share] = {install for install in installs if told(by, install=install)["latest"] == "1.2"}
    assert not heard[0]
    assert 300 < len(heard[20]) < 500
    assert heard[20] < heard[60] < heard[100] == set(installs)


def test_who_is_in_no_share_and_has_no_other_release_hears_nothing() -> None:
    """The first release of a product, for half of the installs, says nothing to the other half."""
    by = advisor()
    by.set_releases([release("1.1", 1, share=50)])
    answers = Counter(bool(told(by, install=number.to_bytes(16, "big"))) for number in range(200))
    assert set(answers) == {True, False}


def test_registered_licenses_are_known() -> None:
    """A license is known once it is registered, whatever its terms, and no longer when it is not."""
    by = advisor()
    assert KEY not in by.licenses
    by.set_licenses({KEY: replace(TERMS, ends=date(2020, 1, 1))})
    assert KEY in by.licenses
    by.set_licenses({})
    assert KEY not in by.licenses


@pytest.mark.parametrize(
    ("key", "product", "verdict"),
    [(KEY, "es", "ok"), (b"?" * 16, "es", "unknown"), (KEY, "other", None), (None, "es", None)],
)
def test_a_license_gets_its_verdict(key: bytes | None, product: str, verdict: str | None) -> None:
    """A known license gets a verdict, an unknown one too; a product without registered licenses has none."""
    by = advisor()
    by.set_licenses({KEY: TERMS})
    said = told(by, license=key, product=product)
    assert said.get("license") == (verdict if product == "es" else "wrong_product" if key else None)


def test_a_verdict_changes_at_midnight() -> None:
    """On the day after its last one a license is in grace, whatever was answered before."""
    by = advisor()
    by.set_licenses({KEY: replace(TERMS, ends=TODAY)})
    assert told(by, license=KEY) == {"license": "ok"}
    by.refresh((NOW + timedelta(hours=11, minutes=59)).timestamp())
    assert told(by, license=KEY) == {"license": "ok"}
    by.refresh((NOW + timedelta(hours=12)).timestamp())
    assert told(by, license=KEY) == {"license": "grace"}


def test_a_change_is_told_at_once() -> None:
    """What is set replaces what was known, also in answers that were kept."""
    by = advisor()
    by.set_licenses({KEY: TERMS})
    by.set_releases([release("1.1")])
    assert told(by, license=KEY)["license"] == "ok"
    by.set_licenses({KEY: replace(TERMS, revoked_on=TODAY)})
    by.set_releases([release("1.2")])
    by.set_notices([notice("Hello.")])
    said = told(by, license=KEY)
    assert (said["license"], said["latest"], said["notices"][0]["text"]) == ("revoked", "1.2", "Hello.")


def test_time_alone_begins_and_ends_things() -> None:
    """A release waits for its day; a notice begins and ends on the second."""
    by = advisor()
    by.set_releases([release("1.1", day=TODAY + timedelta(1))])
    by.set_notices(
        [notice("Soon.", starts_at=NOW + timedelta(seconds=5), ends_at=NOW + timedelta(seconds=9))]
    )
    heard = []
    for seconds in (0, 4.9, 5, 8.9, 9, 43_199, 43_200):
        by.refresh((NOW + timedelta(seconds=seconds)).timestamp())
        heard.append(sorted(told(by)))
    assert heard == [[], [], ["notices"], ["notices"], [], [], ["latest", "outdated", "severity", "url"]]


@pytest.mark.parametrize("next_s", [1, 10, 99, 100, 86_400, 95_000, 2_592_000])
def test_next_s_is_spread_around_the_setting(next_s: int) -> None:
    """Each answer says when to come again, a tenth more or less at most, and not the same for all."""
    by = advisor(next_s=next_s)
    by.set_releases([release("1.1")])
    heard = {told(by)["next_s"] for _ in range(500)} | {told(by, product="other")["next_s"]}
    assert all(next_s * 0.9 - 1 <= one <= next_s * 1.1 for one in heard)
    assert len(heard) > (100 if next_s >= 86_400 else 0)


def test_invented_versions_and_keys_take_no_memory() -> None:
    """However many versions and licenses are made up, a bounded number of answers is kept."""
    by = advisor()
    by.set_releases([release("1.1")])
    by.set_licenses({KEY: TERMS})
    for number in range(20_000):
        told(by, f"0.{number}", license=number.to_bytes(16, "big"))
    assert len(by._answers) <= 8_192
    assert not by._verdicts


def test_long_answers_of_invented_versions_take_no_memory() -> None:
    """With many staged releases and long notices fewer answers are kept: their bytes are bounded, too."""
    by = advisor()
    by.set_releases([release(f"9.{number}", number, share=50) for number in range(1, 30)])
    by.set_notices([notice("長" * 500, id=number) for number in range(10)])
    for number in range(2_000):
        by.advise("es", f"0.{number}", None, None, INSTALL)
    kept = sum(
        len(one[2]) for choices in by._answers.values() if isinstance(choices, tuple) for one in choices
    )
    assert 0 < kept <= 8_000_000


def test_each_field_of_an_answer_is_documented() -> None:
    """The table in docs/protocol.md has exactly the fields that an answer can have."""
    page = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text("utf-8")
    section = page.partition("## The answer")[2].partition("\n## ")[0]
    by = advisor(next_s=60)
    by.set_licenses({KEY: TERMS})
    by.set_releases([release("1.1", notes_url="https://n.example/")])
    by.set_notices([notice("Hello.")])
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(told(by, license=KEY))
