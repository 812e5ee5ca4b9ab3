"""`callhome.releases.version`: one order for all versions."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from callhome.releases.version import READ_CHARACTERS, compare, is_readable, sort_key, step

ASCENDING = {
    "numbers are numbers": ["5.9", "5.9.1", "5.10", "5.10.0.1", "5.11", "10"],
    "years": ["2026.9", "2026.10", "2026.10.1", "2027.1"],
    "PEP 440": ["1.0.dev1", "1.0a1.dev2", "1.0a1", "1.0b2", "1.0rc1.dev1", "1.0rc1", "1.0", "1.0.post1", "1!0.1"],
    "PEP 440, local versions": ["12.0.1rc1", "12.0.1", "12.0.1+b", "12.0.1+b1", "12.0.1+1", "12.0.2"],
    "what SemVer's own text lists": [
        *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
        *("1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"),
    ],
    "SemVer alone": ["1.0.0-0.3.7", "1.0.0-x.7.z.92", "1.0.0-x.7.z.92.0", "1.0.0-x.7.za", "1.0.0-x-y-z.4"],
    "pre-releases of both": [
        *("1.0.dev3", "1.0.0-a.b", "1.0a1", "1.0.0-alpha.beta", "1.0b1", "1.0rc1", "1.0.0-snapshot.x", "1.0")
    ],
    "any number of numbers": ["2026.9-hotfix.a", "2026.10-hotfix.a", "2026.10", "10000.0.9.1-vm.x", "10000.0.9.1"],
    "a hyphen and a number is a post-release": ["1.0.0-rc.1", "1.0.0", "1.0.0-1", "1.0.0-2"],
    "what can't be read is below": ["", "1..0", "1.0.0-a_b", "R12B", "build 7", "٣.1", "0.0.0.dev0", "0.0.1"],
    "texts are texts": ["R10", "R9", "r1", "über"],
}  # fmt: skip

EQUAL = [
    ("1", "1.0.0"),
    ("v5.10", "5.10"),
    ("V1.0.0-x.y", "1.0.0-x.y"),
    ("1.0.0-alpha.1", "1.0a1"),
    ("1.0-RC1", "1.0rc1"),
    ("1.0.0-alpha.beta+5114f85", "1.0.0-alpha.beta"),
    ("1.0.0+21AF26D3---117B344092BD", "1.0"),
    ("01.02.03", "1.2.3"),
    ("1.0-x.007", "1.0-x.7"),
]

HOSTILE = [
    *("", " ", ".", "-", "+", "v", "1.", ".1", "1..2", "1.0.0-", "1.0.0-+", "1.0.0-a..b", "1.0.0+", "1.0.0-a.b+"),
    *("٣.١٤", "１.０", "1.0.0-é", "1.0poſt1", "1.0+\u212a", "1\n", "1.0.0-a.b\n", "\x00", "\ud800", "\u202e1.0"),
    *("9" * READ_CHARACTERS, "9" * 5_000, "1" + ".0" * 31, "1-" + "a." * 30 + "a", "v" * READ_CHARACTERS),
    "1" + ".1" * 50_000,
]  # fmt: skip

PEP440 = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "v", "1!"]),
        st.sampled_from(["1", "1.0", "1.0.0", "1.1", "1.10", "2"]),
        st.sampled_from(["", "a", "a1", "-alpha.2", "b1", "c1", "rc1", "rc10", ".pre1"]),
        st.sampled_from(["", "-1", ".post", ".post1", "r2"]),
        st.sampled_from(["", ".dev", ".dev1", "dev10"]),
        st.sampled_from(["", "+b1", "+b1.1", "+1", "+1.a", "+10"]),
    ),
)
# "z" begins no pre-release of PEP 440.
SEMVER = st.builds(
    lambda number, identifiers, metadata: f"1.{number}.0-z.{'.'.join(identifiers)}{metadata}",
    st.integers(0, 2),
    st.lists(st.sampled_from(["0", "1", "2", "10", "a", "b", "B", "alpha", "-", "1a", "x-y"]), min_size=1, max_size=4),
    st.sampled_from(["", "+1", "+a.b"]),
)  # fmt: skip
ANY = st.one_of(
    PEP440, SEMVER, st.text(max_size=70), st.sampled_from(HOSTILE), st.text("v1.0-+a!r", max_size=12)
)


def semver_order(a: str, b: str) -> int:
    """What the eleventh rule of SemVer says, word by word."""
    (first, second) = (re.fullmatch(r"([0-9.]+)-([^+]+)(?:\+.*)?", text) for text in (a, b))
    assert first is not None
    assert second is not None
    numbers = [tuple(int(part) for part in each[1].split(".")) for each in (first, second)]
    if numbers[0] != numbers[1]:
        return 1 if numbers[0] > numbers[1] else -1
    identifiers = [each[2].split(".") for each in (first, second)]
    for left, right in zip(*identifiers, strict=False):
        if left == right:
            continue
        if left.isdigit() and right.isdigit():
            return 1 if int(left) > int(right) else -1
        if left.isdigit() != right.isdigit():
            return -1 if left.isdigit() else 1
        return 1 if left > right else -1
    lengths = [len(each) for each in identifiers]
    return (lengths[0] > lengths[1]) - (lengths[0] < lengths[1])


@pytest.mark.parametrize("versions", ASCENDING.values(), ids=ASCENDING)
def test_versions_are_in_order(versions: list[str]) -> None:
    """Each version of a table is newer than the one before it."""
    for older, newer in pairwise(versions):
        assert (compare(older, newer), compare(newer, older)) == (-1, 1), (older, newer)
        assert (step(older, newer), step(newer, older)) == ("upgrade", "downgrade")


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_some_are_equal(a: str, b: str) -> None:
    """Versions of the same precedence are equal, and going from one to the other is no step."""
    assert sort_key(a) == sort_key(b)
    assert (compare(a, b), step(a, b)) == (0, "same")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_any_text_has_a_place(text: str) -> None:
    """No text is refused, whatever it holds and however long it is, and each is equal to itself."""
    assert compare(text, text) == 0
    assert compare(text, "999999!0") == -1


def test_what_cannot_be_read_is_told() -> None:
    """A vendor can ask whether a version is one, or only a text."""
    readable = ("5.10", "1.0.0-alpha.beta", "v1", "2026.10-hotfix.a", "9" * READ_CHARACTERS)
    assert all(is_readable(text) for text in readable)
    assert not any(is_readable(text) for text in ("R12B", "1.0.0-", "", "٣", "9" * (READ_CHARACTERS + 1)))


@given(ANY, ANY, ANY)
def test_the_order_is_total(a: str, b: str, c: str) -> None:
    """Any two texts are in one order, the same from both sides, and any three agree."""
    assert compare(a, b) == -compare(b, a)
    first, second, third = sorted((a, b, c), key=sort_key)
    assert compare(first, second) <= 0
    assert compare(second, third) <= 0
    assert compare(first, third) == max(compare(first, second), compare(second, third), key=abs) * (
        0 if compare(first, second) == compare(second, third) == 0 else 1
    )


@given(PEP440, PEP440)
def test_it_agrees_with_packaging(a: str, b: str) -> None:
    """Two versions of PEP 440 are in the order in which ``packaging`` has them."""
    one, other = Version(a), Version(b)
    assert compare(a, b) == (one > other) - (one < other)


@given(SEMVER, SEMVER)
def test_it_agrees_with_semver(a: str, b: str) -> None:
    """Two versions that are SemVer's alone are in the order of its rule."""
    for text in (a, b):
        with pytest.raises(InvalidVersion):
            Version(text)
    assert compare(a, b) == semver_order(a, b)
