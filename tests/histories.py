"""Histories of an older service: made up, written as its export, and sent in the ordinary way to compare with."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from callhome.ingest.enrich import Enricher
from callhome.ingest.model import LegacyPing
from callhome.jobs import licenses
from callhome.store import partitions, rollup
from callhome.store.writer import BatchWriter
from running import SECRET, connected

TODAY: Final = datetime.now(UTC).date()
RETENTION_DAYS: Final = 400
# Both sides of the retention, of a month and of the partitions that are there; and next to one another.
DAYS: Final = (-800, -799, -770, -500, -431, -430, -402, -401, -400, -399, -200, -91, -90, -30, -2, -1)
HEADER: Final = ("when", "program", "ver", "build", "uid", "serial", "people", "system", "cc", "what")
MAPPING: Final = """
[time]
column = "when"
[fields]
product = "program"
version = "ver"
build = "build"
install = "uid"
license = "serial"
users = "people"
os = "system"
country = "cc"
event = "what"
[values.product]
"Example Server" = "es"
"Example Client" = "ec"
"""
NAMES: Final = {"es": "Example Server", "ec": "Example Client"}
# What a summary is made of. Of activity, but for the id of the last ping, which an import makes anew.
TABLES: Final = {
    "usage_daily": "*",
    "usage_again": "*",
    "upgrade_daily": "*",
    "install": "*",
    "live_count": "*",
    "live_build": "*",
    "license_usage": "*",
    "activity": "install, product, day, launches, at, version, build, country, os, license, users, verified, "
    "prev_day, prev_version",
}


@dataclass(frozen=True, order=True)
class Event:
    """One start of a program, as the older service noted it."""

    at: datetime
    product: str
    version: str
    install: str
    license: str
    users: int
    country: str
    event: str = "start"

    def cells(self) -> tuple[str, ...]:
        """As a line of its export."""
        return (
            self.at.isoformat(),
            NAMES[self.product],
            self.version,
            f"b{self.version}",
            self.install,
            self.license,
            str(self.users),
            "windows",
            self.country,
            self.event,
        )

    def ping(self) -> LegacyPing:
        """As its program would have sent it here."""
        return msgspec.convert(
            {
                "product": self.product,
                "version": self.version,
                "build": f"b{self.version}",
                "install": self.install,
                "license": self.license,
                "users": self.users,
                "os": "windows",
                "event": self.event,
            },
            LegacyPing,
        )


def history(seed: int, count: int = 1_500, days: Sequence[int] = DAYS) -> list[Event]:
    """Events of few installs, so that they meet: updates, several a day, other countries. No two at the same time."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        midnight = datetime.combine(TODAY + timedelta(days=chance.choice(days)), datetime.min.time(), UTC)
        found.append(
            Event(
                midnight + timedelta(seconds=chance.randrange(86_399), milliseconds=number % 1000),
                chance.choice(("es", "es", "ec")),
                chance.choice(("1.0", "1.1", "2.0")),
                f"install-{chance.randrange(60)}",
                chance.choice(("", "KEY-0001-AAAA", "KEY-0002-BBBB")),
                chance.randrange(20),
                chance.choice(("DE", "FR", "FJ")),
                chance.choice(("start", "start", "alive", "stop")),
            )
        )
    return sorted(found)


def repeated(events: Sequence[Event]) -> list[Event]:
    """Some of them twice, so that the file has lines that are the same."""
    return sorted([*events, *(replace(event) for event in events[::50])])


def export(path: Path, events: Iterable[Event]) -> Path:
    """Write the export."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(event.cells() for event in events)
    path.write_text(text.getvalue(), "utf-8")
    return path


async def products(dsn: str) -> None:
    """Register the products and a license of one, in the same order everywhere."""
    from callhome.licenses.keys import KeyHasher

    key = KeyHasher(SECRET.encode())("KEY-0001-AAAA")
    async with connected(dsn) as connection:
        await connection.execute("INSERT INTO product (key, name) VALUES ('es', 'ES'), ('ec', 'EC')")
        await connection.execute(
            "INSERT INTO license (key_hash, last4, customer, product, seats) VALUES ($1, $2, 'Example', 1, 5)",
            key.hash,
            key.last4,
        )


async def send(dsn: str, events: Iterable[Event]) -> None:
    """Store and fold the pings as servers do that get each at its time."""
    writer = BatchWriter(dsn)
    async with connected(dsn) as connection:
        await rollup.prepare(connection)
        numbers = {row["key"]: row["id"] for row in await connection.fetch("SELECT id, key FROM product")}
        enricher = Enricher(SECRET.encode(), numbers)
        rows = [
            enricher.row(event.ping(), "", event.country, (event.at.timestamp() * 1000 + 0.5) / 1000)
            for event in events
        ]
        for at in range(0, len(rows), 400):
            await writer.write(rows[at : at + 400])
            await fold(connection)
    await writer.close()


async def fold(connection: Any) -> None:
    """Fold all that waits."""
    while (folded := await rollup.fold(connection)) is None or folded.batches:
        pass


async def summaries(dsn: str) -> dict[str, list[str]]:
    """Count licenses, let the retention run when imports are long over, and return what is left.

    That is every summary, sorted, and the kept pings.
    """
    async with connected(dsn) as connection:
        await licenses.look(connection, TODAY)
        await connection.execute("UPDATE import_run SET advanced_at = advanced_at - interval '8 days'")
        await partitions.drop_old(connection, TODAY, RETENTION_DAYS)
        found = {
            name: sorted(map(repr, await connection.fetch(f"SELECT {columns} FROM {name}")))
            for name, columns in TABLES.items()
        }
        for name in ("live_count", "live_build"):  # what came to nothing is told to viewers as nothing
            found[name] = [row for row in found[name] if not row.endswith(" installs=0>")]
        found["ping"] = sorted(
            map(
                repr,
                await connection.fetch(
                    "SELECT install, at, day, product, users, event, verified, weak, country, version, build, os, "
                    "license, license_last4 FROM ping"
                ),
            )
        )
        assert await connection.fetchval("SELECT count(*) FROM batch") == 0
    return found


async def retain(dsn: str) -> None:
    """Count licenses and let the retention run, as servers do each hour."""
    async with connected(dsn) as connection:
        await licenses.look(connection, TODAY)
        await partitions.drop_old(connection, TODAY, RETENTION_DAYS)


def keep_from(day: date = TODAY) -> date:
    """The first day that is kept."""
    return day - timedelta(days=RETENTION_DAYS)
