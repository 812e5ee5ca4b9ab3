"""`callhome.releases.shelf`: the same offers as the plain rules, whatever the releases."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from callhome.releases import offers
from callhome.releases.model import Release, Severity
from callhome.releases.shelf import STAGED, Shelf

TODAY = date(2026, 11, 25)
VERSIONS = st.sampled_from(["0.9", "1.0", "1.0.0", "1.1-rc.1", "1.1", "1.2", "1.10", "2.0", "two", ""])
CHANNELS = st.sampled_from(["stable", "beta"])
RELEASES = st.lists(
    st.builds(
        Release,
        id=st.integers(1, 1_000_000),
        product=st.just(1),
        version=VERSIONS.filter(bool),
        channel=CHANNELS,
        day=st.sampled_from([date(2026, 1, 1), TODAY, date(2027, 1, 1)]),
        severity=st.sampled_from(Severity),
        url=st.none(),
        notes_url=st.none(),
        share=st.sampled_from([0, 1, 50, 100]),
        oldest=st.none() | VERSIONS.filter(bool),
    ),
    max_size=8,
    unique_by=lambda release: release.id,
)


@given(RELEASES, VERSIONS, st.none() | CHANNELS)
def test_a_shelf_offers_what_the_rules_say(
    releases: list[Release], version: str, channel: str | None
) -> None:
    """Up to the first release for all, a shelf gives the candidates and their severity, of staged ones the newest."""
    expected, staged = [], 0
    for release in offers.candidates(releases, version, channel, TODAY):
        staged += release.share < 100
        if release.share < 100 and staged > STAGED:
            continue
        outdated = offers.outdated(version, release.version)
        severity = offers.severity_between(releases, version, release.version, channel, TODAY)
        expected.append((release, outdated, severity))
        if release.share == 100:
            break
    assert list(Shelf(releases, channel, TODAY).offers(version)) == expected
