"""A Chromium on this machine, headless and drawn by software, as a wall screen without a GPU draws."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright
from playwright.async_api import Error as PlaywrightError

from callhome.errors import CallhomeError

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_INSTALL: Final = "sudo apt-get install chromium"


def find() -> str | None:
    """The path of a Chromium or Chrome: that which ``CHROMIUM`` names, else the first on PATH; None without one."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CHROMIUM"), *_NAMES)))), None)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A browser; raises `CallhomeError`, naming the command that installs one. Cancelling it closes the browser."""
    path = find()
    if path is None:
        raise CallhomeError(f"no Chromium here. Install one, or name it in CHROMIUM:  {_INSTALL}")
    # Chromium's sandbox refuses to run as root.
    words = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=words)
            try:
                yield browser
            finally:
                await browser.close()
    except PlaywrightError as error:
        raise CallhomeError(f"{path}: {error.message}") from None
