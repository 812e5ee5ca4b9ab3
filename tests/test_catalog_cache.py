"""`callhome.store.catalog_cache`: what ingest must know survives on disk, and damage to it is no crash."""

from __future__ import annotations

import stat
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from callhome.licenses.model import Terms
from callhome.releases.model import Level, Notice, Release, Severity
from callhome.store.catalog_cache import CatalogCache

RELEASE = Release(
    1, 7, "2.0", "stable", date(2026, 1, 2), Severity.SECURITY, "https://x.example", None, 50, "1.0"
)
NOTICE = Notice(2, None, "Hallo", Level.WARNING, None, None, "1.9", datetime(2026, 1, 2, tzinfo=UTC), None)
TERMS = Terms(7, date(2026, 1, 1), None, 14, None, is_over=True)


async def test_what_was_kept_is_known_again(tmp_path: Path) -> None:
    """Products, releases, notices and licenses come back as they were; nobody else may read the files."""
    cache = CatalogCache(tmp_path)
    await cache.save_basics({"es": 7}, [RELEASE], [NOTICE])
    await cache.save_licenses({b"\x00\xff" * 8: TERMS})
    again = CatalogCache(tmp_path)
    basics = again.load_basics()
    assert basics is not None
    assert (basics.products, basics.releases, basics.notices) == ({"es": 7}, [RELEASE], [NOTICE])
    assert again.load_licenses() == {b"\x00\xff" * 8: TERMS}
    assert modes(tmp_path) == {"catalogue.json": 0o600, "licenses.json": 0o600}


def modes(folder: Path) -> dict[str, int]:
    """The files of a folder, and who may do what with them."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_a_file_is_written_only_when_it_changes(tmp_path: Path) -> None:
    """The same again leaves the file alone; a change replaces it whole."""
    cache, file = CatalogCache(tmp_path), tmp_path / "catalogue.json"
    await cache.save_basics({"es": 7}, [], [])
    first = file.stat()
    await cache.save_basics({"es": 7}, [], [])
    assert file.stat().st_ino == first.st_ino
    await cache.save_basics({"es": 7, "new": 8}, [], [])
    assert file.stat().st_ino != first.st_ino


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\x00" * 50, b'{"products":{"es":"x"},"releases":[],"notices":[]}']
)
async def test_damage_is_as_good_as_none(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What can't be read is said in the log, and not used."""
    (tmp_path / "catalogue.json").write_bytes(content)
    (tmp_path / "licenses.json").write_bytes(content)
    cache = CatalogCache(tmp_path)
    assert cache.load_basics() is None
    assert cache.load_licenses() == {}
    assert caplog.text.count("is no use") == 2


async def test_another_versions_file_is_not_used(tmp_path: Path) -> None:
    """A file of a format that means something else is left alone until it is replaced."""
    (tmp_path / "catalogue.json").write_bytes(b'{"products":{},"releases":[],"notices":[],"format":99}')
    assert CatalogCache(tmp_path).load_basics() is None


async def test_a_folder_that_can_not_be_written_to_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the file can't be written that is said, and tried again at the next change."""
    cache = CatalogCache(tmp_path / "gone")
    await cache.save_basics({"es": 7}, [], [])
    assert "could not be written" in caplog.text
    (tmp_path / "gone").mkdir()
    await cache.save_basics({"es": 7}, [], [])
    assert cache.load_basics() is not None
