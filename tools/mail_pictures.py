"""Takes the pictures of a summary mail for the documentation, and its plain text, which goes into docs/reports.md.

The mail is composed from weeks of the demo's story, stored and folded as real pings are, in a PostgreSQL of its own.
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
import time
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image

from bench import chromium
from callhome.demo import history, story
from callhome.demo.world import countries
from callhome.embedded.launcher import EmbeddedPostgres
from callhome.ingest.decode import decode_ping
from callhome.ingest.enrich import Enricher
from callhome.jobs.licenses import look
from callhome.pseudonyms import LICENSE, keyed
from callhome.reports.compose import compose
from callhome.reports.model import SECTIONS, UNSUBSCRIBE, Composed, Order, Period
from callhome.store import figures, rollup, schema
from callhome.store.connection import Connection, connect
from callhome.store.writer import BatchWriter

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
CONSOLE: Final = "https://callhome.example"
# The mail's text stands in docs/reports.md between these two lines.
TEXT_BETWEEN: Final = ("<!-- mail -->\n", "<!-- /mail -->\n")
PICTURES: Final = {"mail-light": (700, "light"), "mail-dark": (700, "dark"), "mail-phone": (360, "light")}
_SECRET: Final = b"of no use"
_SEED: Final = 11
_INSTALLS: Final = 12_000
_DAYS: Final = 75
_PINGS: Final = 420_000
_ROWS: Final = 5_000
# A picture of text and thin lines: that many colours can't be told from all.
_COLOURS: Final = 48
# The mail's licenses are those of some size.
_SEATS: Final = 4
_CUSTOMERS: Final = (
    "Northwind GmbH", "Contoso SA", "Fabrikam & Söhne", "Adventure Works", "Tailspin Toys", "Litware Oy",
    "Proseware SAS", "Wingtip AS", "Coho Vineyard", "Lucerne Verlag", "Trey Research",
)  # fmt: skip
_PLACES: Final = (
    "Basel", "Lyon", "Osaka", "Recife", "Turku", "Austin", "Pune", "Gdańsk", "Leeds", "Quito", "Busan", "Nantes",
)  # fmt: skip


async def main() -> None:
    """Store the story, compose, take the pictures, write the text. Cancelling it leaves what is written."""
    postgres = EmbeddedPostgres(durable=False)
    postgres.start()
    try:
        composed = await _compose(postgres.dsn)
    finally:
        postgres.stop()
    await _take(composed)
    _write_text(composed)


async def _compose(dsn: str) -> Composed:
    await schema.upgrade(dsn)
    connection = await connect(dsn, "pictures")
    try:
        today = datetime.now(UTC).date()
        # The story ends on a Sunday, so that its last week is a whole one.
        last = today - timedelta(days=today.weekday() + 1)
        begins = last - timedelta(days=_DAYS - 1)
        installs = story.installs(_INSTALLS, _DAYS, countries(), _SEED)
        await _register(connection, installs, begins)
        await _store(dsn, connection, installs, begins)
        await look(connection, today)
        # All were found just now; a server would have found them as weeks went by.
        await connection.execute(
            "UPDATE finding SET opened_at = now() - interval '1 day' * (3 + id * 5 % 17), "
            "confirmed_at = CASE WHEN state = 'confirmed' THEN now() - interval '1 day' * (2 + id * 5 % 16) END"
        )
        order = Order("Studio weekly", ("studio",), SECTIONS, "en", Period(last - timedelta(days=6), last))
        return compose(order, await figures.read(connection, order), CONSOLE)
    finally:
        await connection.close()


async def _register(connection: Connection, installs: list[story.Install], begins: date) -> None:
    for product in story.PRODUCTS:
        await connection.execute("INSERT INTO product (key, name) VALUES ($1, $2)", product.key, product.name)
        for release in product.releases:
            await connection.execute(
                "INSERT INTO release (product, version, day) SELECT id, $2, $3 FROM product WHERE key = $1",
                product.key, release.version, begins + timedelta(days=release.day),
            )  # fmt: skip
    pseudonym = keyed(_SECRET, LICENSE)
    sold = (install.license for install in installs)
    licenses = {one.key: one for one in sold if one is not None and one.seats >= _SEATS}
    for at, license in enumerate(licenses.values()):
        await connection.execute(
            "INSERT INTO license (key_hash, last4, customer, product, seats, ends) "
            "SELECT $2, $3, $4, id, $5, $6 FROM product WHERE key = $1",
            license.product, pseudonym(license.key.encode()), license.key[-4:],
            f"{_CUSTOMERS[at % len(_CUSTOMERS)]}, {_PLACES[at % len(_PLACES)]}",
            license.seats, begins + timedelta(days=license.ends + at * 7 % 300),
        )  # fmt: skip


async def _store(dsn: str, connection: Connection, installs: list[story.Install], begins: date) -> None:
    """Every day's pings through decoding, enriching, COPY and the rollup."""
    await rollup.prepare(connection)
    ids = {row["key"]: row["id"] for row in await connection.fetch("SELECT key, id FROM product")}
    enricher, writer, rng = Enricher(_SECRET, ids), history.Writer(installs), random.Random(_SEED)
    batches = BatchWriter(dsn)
    try:
        for day, pings in enumerate(history.pings_by_day(begins, _DAYS, _PINGS)):
            rows = [
                enricher.row(decode_ping(line), "", batch.country, time.time())
                for batch in history.batches(installs, writer, begins, day, pings, rng)
                for line in batch.body.splitlines()
            ]
            for first in range(0, len(rows), _ROWS):
                await batches.write(rows[first : first + _ROWS])
            while (folded := await rollup.fold(connection)) is None or folded.more:
                pass
    finally:
        await batches.close()


async def _take(composed: Composed) -> None:
    html = composed.html
    for image in composed.images:
        html = html.replace(
            f"cid:{image.cid}", f"data:image/png;base64,{base64.b64encode(image.content).decode()}"
        )
    async with chromium.launched() as browser:
        for name, (width, scheme) in PICTURES.items():
            settings: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
            page = await browser.new_page(**settings, device_scale_factor=1)
            await page.set_content(html)
            _save(name, await page.screenshot(full_page=True))
            await page.close()


def _save(name: str, png: bytes) -> None:
    file = DOCS / "pictures" / f"{name}.png"
    few = Image.open(BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(file, "PNG", optimize=True)
    print(f"{file}: {file.stat().st_size // 1024} kB")


def _write_text(composed: Composed) -> None:
    """Put the plain text into its place in the document."""
    file = DOCS / "reports.md"
    text = composed.text.replace(UNSUBSCRIBE, f"{CONSOLE}/unsubscribe?t=…")
    begin, end = TEXT_BETWEEN
    block = f"{begin}```text\nSubject: {composed.subject}\n\n{text}```\n{end}"
    old = file.read_text("utf-8")
    file.write_text(re.sub(f"{begin}.*?{end}", lambda _: block, old, flags=re.DOTALL), "utf-8")
    print(f"{file}: {composed.subject}")


if __name__ == "__main__":
    asyncio.run(main())
