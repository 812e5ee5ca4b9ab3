"""The demo's story: addresses are where they say, releases spread, days are shared out, each ping is a right one."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime
from functools import cache
from itertools import pairwise
from statistics import mean

import pytest

from callhome.demo.addresses import by_country
from callhome.demo.history import Batch, Writer, batches, pings_by_day
from callhome.demo.story import LEAKED, PRODUCTS, Install, hour_weight, installs, local_hours, spread
from callhome.demo.world import Country, countries
from callhome.ingest.decode import decode_ping
from callhome.ingest.geo import Countries
from callhome.ingest.model import Ping
from callhome.store.ids import id_ms

DAYS = 89
BEGINS = date(2026, 8, 26)


@cache
def fleet() -> tuple[Install, ...]:
    """Five thousand installs."""
    return tuple(installs(5_000, DAYS, countries(), 1))


def day(number: int, pings: int) -> list[Batch]:
    """One day of the history."""
    return batches(fleet(), Writer(fleet()), BEGINS, number, pings, random.Random(number))


def test_addresses_are_where_they_say() -> None:
    """The server finds each address in its country, and nearly every country of the world has some."""
    found, lookup = by_country(), Countries(None)
    for code, some in found.items():
        assert {lookup.country_of(address) for address in some} == {code}
    there = {country.code for country in countries()} & set(found)
    assert len(there) > 225


def test_the_world_is_weighted_by_people_online() -> None:
    """China and India are the largest, together a third; each country has a weight and a clock."""
    world = sorted(countries(), key=lambda country: -country.online)
    assert [country.code for country in world[:3]] == ["CN", "IN", "US"]
    assert 5_000 < sum(country.online for country in world) < 6_500
    assert all(country.online > 0 and -12 <= country.utc_offset_h <= 14 for country in world)
    assert len({country.code for country in world}) == len(world)


def test_installs_are_the_same_for_a_seed() -> None:
    """Ids are stable and distinct; another seed gives other installs."""
    assert installs(200, DAYS, countries(), 1) == installs(200, DAYS, countries(), 1)
    assert len({install.id for install in fleet()}) == len(fleet())
    assert {install.id for install in installs(200, DAYS, countries(), 2)}.isdisjoint(i.id for i in fleet())


def test_releases_are_adopted_over_weeks() -> None:
    """After a release its share grows week by week, some never take it, and nobody goes back."""
    product = PRODUCTS[0]
    release = product.releases[3]
    mine = [install for install in fleet() if install.product is product and install.first_day < release.day]
    newer = [
        mean(install.release(release.day + after).day >= release.day for install in mine)
        for after in (-1, 1, 3, 7, 14, 28)
    ]
    assert newer[0] == 0
    assert newer == sorted(newer)
    assert newer[1] < 0.25 < newer[3] < newer[5] < 0.95
    for install in mine[:200]:
        versions = [product.releases.index(install.release(number)) for number in range(DAYS + 1)]
        assert versions == sorted(versions)


def test_some_licenses_are_overused_and_some_have_ended() -> None:
    """Among the licenses in use there are some with more installs than seats, and some that end within the story."""
    used = Counter(install.license for install in fleet() if install.license)
    over = [license for license, copies in used.items() if copies > license.seats]
    assert 0 < len(over) < 0.2 * len(used)
    assert any(license.ends < DAYS for license in used)
    leaked = [install for install in fleet() if install.license == LEAKED]
    assert len(leaked) > 2 * LEAKED.seats
    assert {install.first_day for install in leaked} == {DAYS}
    assert {one.product for one in used} == {"studio", "server", "field"}


def test_people_start_programs_in_their_morning() -> None:
    """At nine local time ten times as much starts as at three, wherever that is on the clock of UTC."""
    tokyo, new_york = Country("JP", 1, 9), Country("US", 1, -5)
    for country, nine in ((tokyo, 0), (new_york, 14)):
        assert hour_weight(country, nine) > 10 * hour_weight(country, nine - 6)
    hours = Counter(int(hour) for hour in local_hours(10_000, random.Random(1)))
    assert hours.most_common(1)[0][0] == 9
    assert set(hours) <= set(range(24))


@pytest.mark.parametrize(("total", "weights"), [(2_000_000, range(1, 90)), (3, (1, 1, 1, 1, 1)), (0, (1, 2))])
def test_spread_gives_out_everything(total: int, weights: range | tuple[int, ...]) -> None:
    """Shares add up to the total, and each is within one of its part."""
    shares = spread(total, list(weights))
    assert sum(shares) == total
    assert all(
        abs(share - total * weight / sum(weights)) <= 1 for share, weight in zip(shares, weights, strict=True)
    )


def test_days_follow_the_week_and_grow() -> None:
    """A Sunday has less than half of a Tuesday; the last week has more than the first."""
    counts = pings_by_day(BEGINS, DAYS, 200_000)
    sunday, tuesday = 4, 6  # 2026-08-30, 2026-09-01
    assert counts[sunday] < counts[tuesday] / 2
    assert sum(counts[-7:]) > sum(counts[:7])


def test_each_line_is_a_ping_of_its_day() -> None:
    """Every line decodes, its id's time is on its day, ids are distinct, and batches keep the route's limit."""
    made = day(40, 3_000)
    pings = [decode_ping(line) for batch in made for line in batch.body.split(b"\n")]
    assert len(pings) == sum(batch.pings for batch in made) == 3_000
    assert max(batch.pings for batch in made) <= 1_000
    at = {datetime.fromtimestamp(id_ms(ping.id.bytes) / 1000, UTC).date() for ping in pings if ping.id}
    assert at == {date(2026, 10, 5)}
    assert len({ping.id for ping in pings}) == 3_000
    of = {install.id: install for install in fleet()}
    for ping in pings:
        install = of[ping.install]
        assert not install.is_old
        assert install.is_there(40)
        assert ping.product == install.product.key
        assert install.is_cloned or ping.version == install.release(40).version


def test_a_cloned_install_has_two_versions_within_minutes() -> None:
    """Two machines with one id: their pings of a day alternate between a release and the one before it."""
    (clone,) = [install.id for install in fleet() if install.is_cloned][:1]
    lines = [decode_ping(line) for batch in day(40, 3_000) for line in batch.body.split(b"\n")]
    mine = sorted(
        (ping for ping in lines if ping.install == clone and ping.id), key=lambda ping: str(ping.id)
    )
    turns = [ping.version for ping in mine if "11:00" <= when(ping) <= "11:08"]
    assert len(turns) >= 6
    assert all(one != other for one, other in pairwise(turns))


def when(ping: Ping) -> str:
    """The time of day of a ping's id."""
    assert ping.id is not None
    return f"{datetime.fromtimestamp(id_ms(ping.id.bytes) / 1000, UTC):%H:%M}"


def test_a_day_sent_again_is_the_same() -> None:
    """The same day twice gives the same bytes, so a day that was interrupted can be sent again and counts once."""
    assert day(7, 500) == day(7, 500)
