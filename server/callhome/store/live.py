"""The live counters as the database has them: a snapshot, its number, and the messages that tell of changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import orjson

from .connection import Connection

LIVE_CHANNEL: Final = "callhome_live"
# PostgreSQL takes payloads shorter than 8,000 bytes ("NOTIFY" in its manual); the rest is for the frame of a part.
PART_BYTES: Final = 7_800
# Of each product the builds with the most installs: clients name their builds, and whoever invents a million of them
# must not make every message a million rows long. A product has some dozens in use.
BUILDS_SHOWN: Final = 100

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All live counters as of one ``seq``.

    ``products`` maps key to name; ``countries`` holds rows of product key, country and six numbers (installs, users,
    launches today; then over 30 days); ``builds`` rows of product key, version, build, installs over 30 days,
    of each product the ``BUILDS_SHOWN`` with the most.
    """

    seq: int
    today: date
    products: dict[str, str]
    countries: list[Row]
    builds: list[Row]


async def live_snapshot(connection: Connection) -> Snapshot:
    """Read counters and number in one REPEATABLE READ snapshot. Cancelling it changes nothing."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        seq = await connection.fetchrow("SELECT seq, today FROM live_seq")
        assert seq is not None, "live_seq has its row from schema.sql"
        products = await connection.fetch("SELECT key, name FROM product ORDER BY key")
        countries = await connection.fetch(
            "SELECT p.key, c.country, installs_today, users_today, launches_today, installs_30d, users_30d, "
            "launches_30d FROM live_count c JOIN product p ON p.id = c.product ORDER BY 1, 2"
        )
        builds = await connection.fetch(
            "SELECT p.key, b.version, b.build, b.installs FROM product p CROSS JOIN LATERAL ("
            "  SELECT version, build, installs FROM live_build WHERE product = p.id AND installs > 0"
            "  ORDER BY installs DESC, version, build LIMIT $1"
            ") b ORDER BY 1, 2, 3",
            BUILDS_SHOWN,
        )
    return Snapshot(
        seq=seq["seq"],
        today=seq["today"],
        products={row["key"]: row["name"] for row in products},
        countries=[tuple(row) for row in countries],
        builds=[tuple(row) for row in builds],
    )


async def live_seq(connection: Connection) -> int:
    """Return the number of the newest state. Cancelling it changes nothing."""
    return int(await connection.fetchval("SELECT seq FROM live_seq"))


def change_messages(seq: int, today: date, countries: Sequence[Row], builds: Sequence[Row]) -> list[str]:
    """Return the payloads that tell of one change: each under 8,000 bytes, numbered ``part`` of ``parts``."""
    parts: list[dict[str, list[Row]]] = [{"countries": [], "builds": []}]
    size = 0
    for kind, rows in (("countries", countries), ("builds", builds)):
        for row in rows:
            row_bytes = len(orjson.dumps(row)) + 1
            if size and size + row_bytes > PART_BYTES - 100:
                parts.append({"countries": [], "builds": []})
                size = 0
            parts[-1][kind].append(row)
            size += row_bytes
    head = {"seq": seq, "parts": len(parts), "today": today}
    return [orjson.dumps({**head, "part": number, **part}).decode() for number, part in enumerate(parts)]


def recount_message(seq: int) -> str:
    """Return the payload that asks every replica for a new snapshot."""
    return orjson.dumps({"seq": seq, "recount": True}).decode()
