"""Takes the pictures of the documentation from a running demo: ``make demo``, and beside it ``make pictures``.

Run it when all of the demo's history is counted. ``CALLHOME=http://127.0.0.1:8081`` names another console, and
``CALLHOME_TOKEN`` has a token of it: ``callhome token add pictures --role viewer``.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final, NamedTuple

from bench import chromium

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
CONSOLE: Final = os.environ.get("CALLHOME", "http://127.0.0.1:8081")
TOKEN: Final = os.environ.get("CALLHOME_TOKEN", "")
WALL: Final = (1600, 900)
PHONE: Final = (390, 844)
STOPS: Final = {"france": "FR", "usa": "US", "russia": "RU", "fiji": "FJ", "singapore": "SG"}
# The view has come to rest well before, and pulses of the last pings are there.
_REST_MS: Final = 5_000


class Picture(NamedTuple):
    """A file below ``docs/``, the page's query, and the size of the screen in CSS pixels."""

    file: str
    query: str
    size: tuple[int, int]


PICTURES: Final = (
    Picture("map.png", "?product=studio&tour=off&theme=dark", WALL),
    *(
        Picture(f"pictures/{name}.png", f"?product=studio&stop={code}&theme=dark", WALL)
        for name, code in STOPS.items()
    ),
    Picture("pictures/phone.png", "?product=studio&stop=BR&theme=dark", PHONE),
    Picture("pictures/light.png", "?product=server&stop=DE&theme=light&measure=users&per=million", WALL),
    Picture("pictures/kiosk.png", "?product=studio&stop=JP&tour=off&theme=dark&kiosk", WALL),
)


async def main() -> None:
    """Take all of them, one after the other. Cancelling it leaves those that are taken."""
    async with chromium.launched() as browser:
        for picture in PICTURES:
            width, height = picture.size
            page = await browser.new_page(
                viewport={"width": width, "height": height},
                locale="en-US",
                extra_http_headers={"Authorization": f"Bearer {TOKEN}"} if TOKEN else {},
            )
            await page.goto(f"{CONSOLE}/map{picture.query}")
            await page.wait_for_selector("html[data-state=live]", state="attached")
            await page.wait_for_timeout(_REST_MS)
            file = DOCS / picture.file
            file.parent.mkdir(exist_ok=True)
            await page.screenshot(path=file)
            await page.close()
            print(f"{file}: {file.stat().st_size // 1024} kB")


if __name__ == "__main__":
    asyncio.run(main())
