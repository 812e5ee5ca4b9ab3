"""The build backend (PEP 517): setuptools, and before a wheel the console's pages are made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  the hooks that stay as they are

sys.path.insert(0, str(Path(__file__).parent))
import page


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What setuptools needs, and Node.js where the pages are still to be made."""
    needed: list[str] = build_meta.get_requires_for_build_wheel(config_settings)
    return needed if page.is_made() else [*needed, page.REQUIREMENT]


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Make the pages, then the wheel with the pages in it."""
    try:
        page.make()
    except page.PageError as error:
        sys.exit(f"page: {error}")
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))
