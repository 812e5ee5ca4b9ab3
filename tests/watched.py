"""Alerts in a database for tests, and what they look at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from callhome.alerts.model import Alert, Rule
from callhome.jobs.alerts import AlertJob
from callhome.reports.smtp import Sender
from callhome.settings import SmtpUrl
from callhome.store import alerts, products
from callhome.store.alerts import Given

SECRET: Final = b"s" * 32
MAIL_FROM: Final = "callhome@example.com"
CONSOLE: Final = "https://callhome.example.com"
NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)
Connection = Any


async def alert(connection: Connection, rule: Rule, name: str = "watch", **given: Any) -> Alert:
    """Make an alert, of no cool-down unless given; somebody is told."""
    numbers = {
        key: value if isinstance(value, tuple) else (value,)
        for key, value in given.pop("numbers", {}).items()
    }
    values = {"cooldown_s": 0, "recipients": ("a@example.com",), "numbers": numbers, **given}
    made = await alerts.add(connection, Given(name, rule, **values))
    # As if it had been made before all that the tests do.
    await connection.execute(
        "UPDATE alert SET created_at = $1 WHERE id = $2", NOW - timedelta(days=99), made.id
    )
    return await alerts.named(connection, name)


async def product(connection: Connection, key: str = "es", name: str = "Example Server") -> int:
    """Register a product, and return its number."""
    await products.add(connection, key, name)
    found: int = await connection.fetchval("SELECT id FROM product WHERE key = $1", key)
    return found


async def license(connection: Connection, product: int, seats: int = 10, overage: str | None = "1") -> int:
    """Register a license, and return its number."""
    found: int = await connection.fetchval(
        "INSERT INTO license (key_hash, last4, customer, product, seats, overage) "
        "VALUES (gen_random_uuid()::text::bytea, '7K2F', 'Example Inc.', $1, $2, $3::text::numeric) RETURNING id",
        product,
        seats,
        overage,
    )
    return found


async def use(connection: Connection, license: int, seats: int) -> None:
    """Have so many seats of a license used."""
    await connection.execute(
        "INSERT INTO license_state (license, seats_used, used_max, counted_day, counted_at) "
        "VALUES ($1, $2, $2, DATE '2026-11-25', now()) ON CONFLICT (license) DO UPDATE SET seats_used = $2",
        license,
        seats,
    )


async def confirm(connection: Connection, product: int, license: int, at: datetime) -> int:
    """Have a finding of a license confirmed at that time, and return its number."""
    found: int = await connection.fetchval(
        "INSERT INTO finding (rule, product, license, state, measure, allowed, evidence, confirmed_at) "
        "VALUES ('over_seats', $1, $2, 'confirmed', 14, 10, '{}', $3) RETURNING id",
        product,
        license,
        at,
    )
    return found


async def in_use(connection: Connection, product: int, **versions: int) -> None:
    """Have so many active installs of each version: ``v5_10`` is 5.10."""
    await connection.execute("DELETE FROM live_build WHERE product = $1", product)
    for name, installs in versions.items():
        version = name.removeprefix("v").replace("_", ".")
        await connection.execute(
            "INSERT INTO live_build VALUES ($1, $2, 'b1', $3), ($1, $2, 'b2', $4)",
            product, version, installs - installs // 2, installs // 2,
        )  # fmt: skip


async def active(
    connection: Connection, product: int, day: date, installs: int, verified: bool = True
) -> None:
    """Have so many active installs on a day, in two countries."""
    for country, share in (("DE", installs // 3), ("FR", installs - installs // 3)):
        await connection.execute(
            "INSERT INTO usage_daily VALUES ($1, $2, '1.0', '', $3, 'linux', $5, $4, $4, $4)",
            day, product, country, share, verified,
        )  # fmt: skip


async def seen(connection: Connection, product: int, at: datetime) -> None:
    """Have the last ping of a product counted at that time."""
    await connection.execute(
        "INSERT INTO product_seen VALUES ($1, $2) ON CONFLICT (product) DO UPDATE SET seen_at = $2",
        product,
        at,
    )


@asynccontextmanager
async def working(dsn: str, url: SmtpUrl | None = None) -> AsyncIterator[AlertJob]:
    """A replica's alert job, with a sender of its own if there is a mail server."""
    async with Sender(
        url or SmtpUrl("127.0.0.1", 1, "none"), ca=None, connections=2, command_s=5.0
    ) as sender:
        job = AlertJob(
            dsn,
            secret=SECRET,
            sender=sender if url else None,
            mail_from=MAIL_FROM,
            console_url=CONSOLE,
        )
        async with job:
            yield job
