"""The endpoints of statistics over a real database: what they answer is what the pings say."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import asyncpg
import pytest

from apis import asking, day, row, store
from callhome.access.model import Role

HOSTILE = '<img src=x onerror="alert(1)">'
FORMULA = '=HYPERLINK("http://evil.example","x")'


async def test_headlines_count_each_install_once_in_each_window(database: str) -> None:
    """Installs, users and launches of a day, a week, a month, and of the time before."""
    await store(
        database,
        [
            row(1, install=1, users=3), row(1, 60, install=1, users=4),
            row(3, install=2, users=10), row(20, install=3, users=100),
            row(35, install=4, users=7),
        ],
        "one",
    )  # fmt: skip
    async with asking(database) as asker:
        said = await asker.ok("/statistics/one")
    assert (said["from"], said["to"]) == (str(day(30)), str(day(1)))
    assert said["first_day"] == str(day(35))
    assert said["counted_at"] is not None
    assert said["installs"] == {
        "day": {"now": 1, "before": 0},
        "week": {"now": 2, "before": 1},
        "month": {"now": 3, "before": 1},
    }
    assert said["users"]["month"] == {"now": 114, "before": 7}
    assert said["launches"] == {"now": 4, "before": 1}
    assert (said["new"], said["lost"]) == ({"now": 3, "before": 1}, {"now": 1, "before": 0})
    assert said["unverified"] == 0
    assert said["median_age_days"] == 34.0


async def test_the_overview_has_every_product(database: str) -> None:
    """All products, those with the most installs first, with their trend and how far the latest version has come."""
    rows = [row(1, install=1, product=2), row(1, install=2, product=2, version="2.0"), row(2, install=3)]
    await store(database, rows, "one", "two", "three")
    async with asking(database) as asker:
        said = await asker.ok("/statistics", first=day(3), last=day(1))
        products = await asker.ok("/products")
    assert [product["key"] for product in said["products"]] == ["two", "one", "three"]
    two = said["products"][0]
    assert (two["trend"], two["latest"], two["latest_share"]) == ([0, 0, 2], "2.0", 0.5)
    assert said["products"][2]["latest"] is None
    assert [product["name"] for product in products["products"]] == ["One", "Three", "Two"]


async def test_series_name_the_largest_and_sum_up_the_others(database: str) -> None:
    """A line for each of the top values, one for the others, and they add up to the total, on each day."""
    rows = [row(1, install=number, version=f"{number}.0") for number in (1, 2, 3)]
    rows += [row(1, install=number, version="1.0") for number in (11, 12)]
    await store(database, [*rows, row(2, install=1, version="1.0")], "one")
    query: dict[str, Any] = {"first": day(3), "last": day(1), "by": "version", "top": 2}
    async with asking(database) as asker:
        said = await asker.ok("/statistics/one/series", **query)
        week = await asker.ok("/statistics/one/series", **query, window="week", measure="users")
        status, text, headers = await asker.get("/statistics/one/series.csv", **query)
    assert said["days"] == [str(day(3)), str(day(2)), str(day(1))]
    assert "rows" not in said
    assert [(line["value"], line["counts"]) for line in said["series"]] == [
        ("1.0", [0, 1, 3]),
        ("2.0", [0, 0, 1]),
    ]
    assert (said["others"], said["total"]) == ([0, 0, 1], [0, 1, 5])
    assert week["total"] == [0, 1, 5]
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert lines[2] == {"day": str(day(1)), "value": "1.0", "count": "3"}
    assert len(lines) == 9


async def test_filters_narrow_down_two_at_a_time(database: str) -> None:
    """Each pair of filters counts what has both; three at once are refused with what to do."""
    rows = [
        row(1, install=1, version="1.0", country="DE", os="linux"),
        row(1, install=2, version="1.0", country="FR", os="linux"),
        row(1, install=3, version="2.0", country="DE", os="macos"),
    ]
    await store(database, rows, "one")
    async with asking(database) as asker:
        for query, expected in (
            ({"version": "1.0"}, 2),
            ({"country": "DE"}, 2),
            ({"os": "macos"}, 1),
            ({"version": "1.0", "country": "DE"}, 1),
            ({"version": "1.0", "os": "linux"}, 2),
            ({"country": "DE", "os": "macos"}, 1),
            ({"country": "FR", "os": "macos"}, 0),
        ):
            said = await asker.ok("/statistics/one", **query)
            assert said["installs"]["month"]["now"] == expected, query
        by_os = await asker.ok("/statistics/one/breakdown", by="os", country="DE")
        refused = await asker.refused("/statistics/one", version="1.0", country="DE", os="linux")
        crowded = await asker.refused("/statistics/one/breakdown", by="os", country="DE", version="1.0")
    assert [(one["value"], one["installs"]) for one in by_os["rows"]] == [("linux", 1), ("macos", 1)]
    assert refused == (400, "not_counted", None)
    assert crowded == (400, "not_counted", None)


async def test_breakdowns_go_in_pages_and_compare(database: str) -> None:
    """The most used first; a page tells where the next begins; before is the day before the range."""
    rows = [row(1, install=number, build=f"b{number % 3}") for number in range(1, 8)]
    await store(database, [*rows, row(5, install=1, build="b1")], "one")
    query = {"by": "build", "first": day(4), "last": day(1)}
    async with asking(database) as asker:
        first = await asker.ok("/statistics/one/breakdown", **query, limit=2)
        second = await asker.ok("/statistics/one/breakdown", **query, limit=2, offset=first["next"])
        beyond = await asker.ok("/statistics/one/breakdown", **query, limit=2, offset=9)
        daily = await asker.ok("/statistics/one/breakdown", **query, window="day")
    assert [(one["value"], one["build"], one["installs"], one["before"]) for one in first["rows"]] == [
        ("1.0", "b1", 3, 1),
        ("1.0", "b0", 2, 0),
    ]
    assert (first["total"], first["next"], first["sum"]["installs"]) == (3, 2, 7)
    assert ([one["build"] for one in second["rows"]], second["next"]) == (["b2"], None)
    assert (beyond["rows"], beyond["total"]) == ([], 3)
    assert [one["installs"] for one in daily["rows"]] == [3, 2, 2]


async def test_releases_tell_how_fast_they_were_taken_up(database: str) -> None:
    """Days to half and to nine tenths of the installs, from the day of the release, newer ones included."""
    rows = [row(ago, install=number, version="1.0") for number in range(10) for ago in (12, 10)]
    for ago, numbers in ((9, range(3)), (7, range(3, 6)), (5, range(6, 9))):
        rows += [row(ago, install=number, version="2.0") for number in numbers]
    rows += [row(5, install=number, version="2.0") for number in range(6)] + [
        row(6, install=9, version="1.0")
    ]
    await store(database, rows, "one")
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO release (product, version, day) VALUES (1, '2.0', $1)", day(10))
    await connection.close()
    async with asking(database) as asker:
        said = await asker.ok("/statistics/one/releases")
        summary = await asker.ok("/statistics/one")
    newest, oldest = said["rows"]
    assert (newest["version"], newest["day"], newest["source"]) == ("2.0", str(day(10)), "registered")
    assert (newest["days_to_50"], newest["days_to_90"]) == (3, 5)
    assert newest["share"] == 0.9
    assert (oldest["version"], oldest["source"], oldest["share_or_newer"]) == ("1.0", "seen", 1.0)
    assert summary["versions_behind"] == [{"behind": 0, "installs": 9}, {"behind": 1, "installs": 1}]


async def test_updates_moved_and_cohorts_are_told(database: str) -> None:
    """From which version to which; what came, returned and went; who of a month stays."""
    rows = [
        row(40, install=1, version="1.0"),
        row(2, install=1, version="2.0"),
        row(1, install=1, version="1.5"),
    ]
    await store(database, rows, "one")
    async with asking(database) as asker:
        updates = await asker.ok("/statistics/one/updates")
        narrowed = await asker.ok("/statistics/one/updates", version="1.5")
        moved = await asker.ok("/statistics/one/moved", first=day(45), last=day(1))
        cohorts = await asker.ok("/statistics/one/cohorts")
        refused = await asker.refused("/statistics/one/updates", country="DE")
    assert [(one["from"], one["to"], one["direction"]) for one in updates["rows"]] == [
        ("1.0", "2.0", "upgrade"),
        ("2.0", "1.5", "downgrade"),
    ]
    assert (updates["sum"], narrowed["sum"]) == (2, 1)
    told = {name: [str(day) for day, count in zip(moved["days"], moved[name], strict=True) if count]
            for name in ("new", "returned", "lost")}  # fmt: skip
    assert told == {"new": [str(day(40))], "returned": [str(day(2))], "lost": [str(day(10))]}
    (cohort,) = cohorts["cohorts"]
    assert (cohort["month"], cohort["active"][0]) == (f"{day(40):%Y-%m}", 1)
    assert refused == (400, "not_counted", None)


async def licensed(database: str) -> None:
    connection = await asyncpg.connect(database)
    for key, customer in ((b"1" * 16, "Acme"), (b"2" * 16, "Acme"), (b"3" * 16, "Other")):
        await connection.execute(
            "INSERT INTO license (key_hash, customer, product, seats) VALUES ($1, $2, 1, 5)", key, customer
        )
    await connection.close()


async def test_a_license_or_a_customer_is_counted_by_its_installs(database: str) -> None:
    """Of the installs that had one of the licenses at their last ping in the window; for analysts alone."""
    rows = [
        row(1, install=1, license=b"1" * 16, version="2.0"), row(2, install=1, license=b"2" * 16),
        row(3, install=2, license=b"2" * 16), row(3, install=3, license=b"3" * 16),
        row(2, install=4, license=b"2" * 16), row(1, install=4),
    ]  # fmt: skip
    await store(database, rows, "one")
    await licensed(database)
    async with asking(database) as asker:
        acme = await asker.ok("/statistics/one", customer="Acme", role=Role.ANALYST)
        second = await asker.ok("/statistics/one", license=2, role=Role.ANALYST)
        series = await asker.ok(
            "/statistics/one/series", license=2, role=Role.ANALYST, first=day(3), last=day(1), window="week"
        )
        versions = await asker.ok(
            "/statistics/one/breakdown", by="version", customer="Acme", role=Role.ANALYST
        )
        assert await asker.refused("/statistics/one", license=2) == (403, "forbidden", None)
        assert await asker.refused("/statistics/one", license=9, role=Role.ANALYST) == (
            404,
            "unknown_license",
            None,
        )
        assert (await asker.refused("/statistics/one", license=0, role=Role.ANALYST))[2] == "license"
    assert acme["installs"]["month"]["now"] == 2
    assert second["installs"]["month"]["now"] == 1
    assert series["total"] == [1, 3, 1]
    assert [(one["value"], one["installs"]) for one in versions["rows"]] == [("1.0", 1), ("2.0", 1)]


async def test_what_is_hostile_stays_text_in_json_and_csv(database: str) -> None:
    """A version of markup is told as it is; in a CSV no cell is a formula."""
    await store(database, [row(1, install=1, version=HOSTILE), row(1, install=2, version=FORMULA)], "one")
    async with asking(database) as asker:
        _, said, headers = await asker.get("/statistics/one/breakdown", by="version")
        _, text, table_headers = await asker.get("/statistics/one/breakdown.csv", by="version")
    assert {one["value"] for one in said["rows"]} == {HOSTILE, FORMULA}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert {line["value"] for line in csv.DictReader(io.StringIO(text))} == {HOSTILE, f"'{FORMULA}"}
    assert (
        table_headers["Content-Disposition"] == 'attachment; filename="callhome-statistics-one-breakdown.csv"'
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"first": "yesterday"}, "from"),
        ({"last": "2999-01-01"}, "to"),
        ({"last": "1066-10-14"}, "to"),
        ({"first": "2001-01-01"}, "from"),
        ({"by": "planet"}, "by"),
        ({"top": "0"}, "top"),
        ({"top": "many"}, "top"),
        ({"planet": "mars"}, "planet"),
        ({"version": "1\0"}, "version"),
        ({"measure": "launches", "window": "week"}, "window"),
    ],
)
async def test_what_is_wrong_with_a_parameter_is_told(
    database: str, query: dict[str, str], field: str
) -> None:
    """A wrong parameter is named, with what was expected."""
    await store(database, [row(1)], "one")
    async with asking(database) as asker:
        status, reason, at_fault = await asker.refused("/statistics/one/series", **query)
    assert (status, reason, at_fault) == (400, "invalid_parameter", field)


async def test_an_unknown_product_is_told(database: str) -> None:
    """A product that isn't registered is a 404, whatever its name."""
    await store(database, [], "one")
    async with asking(database) as asker:
        assert await asker.refused("/statistics/none") == (404, "unknown_product", "product")
        assert await asker.refused("/statistics/%00") == (404, "unknown_product", "product")


async def test_a_new_product_has_today(database: str) -> None:
    """Where all pings are of today, that is the range; where there are none, all is nought."""
    await store(database, [row(0)], "one", "two")
    async with asking(database) as asker:
        one, two = await asyncio.gather(asker.ok("/statistics/one"), asker.ok("/statistics/two"))
    assert (one["to"], one["installs"]["day"]["now"]) == (str(day(0)), 1)
    assert (two["first_day"], two["installs"]["day"]["now"], two["median_age_days"]) == (None, 0, None)
