"""Countries of addresses: from files of each shape, from iptocc, and never an error."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from callhome.errors import UsageError
from callhome.ingest.geo import Countries

POLL_S = 0.02
Records = dict[str, Any]


def write(path: Path, records: Records, kind: str = "Test-Country") -> Path:
    """Write a MaxMind DB file with a record for each network."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type=kind)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


def flat(code: object) -> Records:
    """Return the records of a file that puts one network into this country."""
    return {"192.0.2.0/24": {"country_code": code}}


async def until(condition: Any) -> None:
    """Wait until the condition holds, for up to 10 s."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"country": {"iso_code": "DE", "names": {"en": "Germany"}}}, "DE"),
        ({"registered_country": {"iso_code": "FR"}}, "FR"),
        ({"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "FR"}}, "DE"),
        ({"country": {"geoname_id": 1}, "registered_country": {"iso_code": "FR"}}, "FR"),
        ({"country_code": "AT"}, "AT"),
        ({"country": "Austria", "country_code": "AT"}, "AT"),
        ({"country_code": "at"}, "ZZ"),
        ({"country_code": "AUT"}, "ZZ"),
        ({"country_code": ""}, "ZZ"),
        ({"country_code": 40}, "ZZ"),
        ({"country": {"iso_code": ["DE"]}}, "ZZ"),
        ({"continent": {"code": "EU"}}, "ZZ"),
        ("DE", "ZZ"),
    ],
)
async def test_record_shapes(tmp_path: Path, record: object, code: str) -> None:
    """Both shapes of records are read, and what is no code is unknown."""
    path = write(tmp_path / "a.mmdb", {"192.0.2.0/24": record, "198.51.100.0/24": {"country_code": "IT"}})
    async with Countries(path) as countries:
        assert countries.country_of("192.0.2.7") == code
        assert countries.country_of("198.51.100.7") == "IT"


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
async def test_address_forms(tmp_path: Path, address: str) -> None:
    """IPv4 and IPv6 are looked up."""
    path = write(tmp_path / "a.mmdb", flat("NL") | {"2001:db8::/32": {"country_code": "NL"}})
    async with Countries(path) as countries:
        assert countries.country_of(address) == "NL"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("81.2.69.160", "GB"),
        ("2a00:1450:4001::1", "IE"),
        ("127.0.0.1", "ZZ"),
        ("", "ZZ"),
        ("x", "ZZ"),
    ],
)
async def test_without_a_file_the_registries_tell(address: str, code: str) -> None:
    """With no file, iptocc's data of the registries tells the country."""
    async with Countries(None) as countries:
        assert countries.country_of(address) == code


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(address=st.text() | st.ip_addresses().map(str) | st.characters(categories=["Cs"]))
def test_no_address_raises(address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the address is, two capital letters come back, with a file of IPv4 only too."""
    path = tmp_path_factory.getbasetemp() / "v4.mmdb"
    if not path.exists():
        writer = MMDBWriter(ip_version=4, database_type="Test-Country")
        writer.insert_network(IPSet(["0.0.0.0/1"]), {"country_code": "NL"})
        writer.to_db_file(str(path))

    async def look() -> None:
        for source in (None, path):
            async with Countries(source) as countries:
                code = countries.country_of(address)
                assert len(code) == 2
                assert code.isalpha()
                assert code.isupper()

    asyncio.run(look())


def test_damaged_file_is_refused_or_read(tmp_path: Path) -> None:
    """A file with any one byte changed is refused as the operator's mistake, or read without an error."""
    good = write(tmp_path / "good.mmdb", flat("DE") | {"2001:db8::/32": {"country": {"iso_code": "FR"}}})
    data = good.read_bytes()
    path = tmp_path / "bad.mmdb"

    async def look() -> None:
        async with Countries(path) as countries:
            for address in ("192.0.2.7", "2001:db8::1", "8.8.8.8"):
                assert len(countries.country_of(address)) == 2

    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with suppress(UsageError):
            asyncio.run(look())


@pytest.mark.parametrize("what", ["missing", "folder", "text", "empty", "half", "no countries"])
async def test_unusable_file_stops_the_start(tmp_path: Path, what: str) -> None:
    """A file that is none, or tells no countries, stops the start and names the setting and the file."""
    path = tmp_path / "a.mmdb"
    if what == "folder":
        path.mkdir()
    elif what in ("text", "empty"):
        path.write_text("address,country\n" if what == "text" else "")
    elif what == "half":
        data = write(path, flat("DE")).read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif what == "no countries":
        write(path, {"192.0.2.0/24": {"autonomous_system_number": 64496}}, "Test-ASN")
    with pytest.raises(UsageError) as caught:
        await Countries(path).__aenter__()
    assert str(caught.value).startswith("GEO_DATABASE: ")
    assert str(path) in str(caught.value)
    assert ("Test-ASN" in str(caught.value)) == (what == "no countries")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("way", ["replaced", "written over"])
async def test_changed_file_is_read_again(tmp_path: Path, way: str) -> None:
    """A file that is replaced, or written over in its place, is used soon after."""
    path = write(tmp_path / "a.mmdb", flat("DE"))
    async with Countries(path, POLL_S) as countries:
        assert countries.country_of("192.0.2.7") == "DE"
        new = write(tmp_path / "b.mmdb", flat("FR"))
        if way == "replaced":
            new.replace(path)
        else:
            shutil.copyfile(new, path)
        await until(lambda: countries.country_of("192.0.2.7") == "FR")


async def test_broken_file_keeps_the_old_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file cut short or removed is told once, the old one stays in use, and a good one is taken again."""
    path = write(tmp_path / "a.mmdb", flat("DE"))
    new = write(tmp_path / "b.mmdb", flat("FR")).read_bytes()
    async with Countries(path, POLL_S) as countries:
        with caplog.at_level(logging.WARNING):
            path.write_bytes(new[:100])
            await until(lambda: caplog.records)
            await asyncio.sleep(10 * POLL_S)
            assert len(caplog.records) == 1
            assert "GEO_DATABASE" in caplog.text
            assert countries.country_of("192.0.2.7") == "DE"
            path.unlink()
            await until(lambda: len(caplog.records) == 2)
            assert countries.country_of("192.0.2.7") == "DE"
        path.write_bytes(new)
        await until(lambda: countries.country_of("192.0.2.7") == "FR")


async def test_file_cut_short_kills_nobody(tmp_path: Path) -> None:
    """The file may be emptied while it is in use: lookups go on, where a mapped file would be the end."""
    path = write(tmp_path / "a.mmdb", flat("DE"))
    async with Countries(path) as countries:
        path.write_bytes(b"")
        assert countries.country_of("192.0.2.7") == "DE"


async def test_leaving_ends_the_following(tmp_path: Path) -> None:
    """After leaving no task is left, a change is not followed, and lookups go on; leaving takes no poll."""
    path = write(tmp_path / "a.mmdb", flat("DE"))
    countries = Countries(path, 3600)
    async with countries:
        assert len(asyncio.all_tasks()) == 2
        start_s = time.monotonic()
    assert time.monotonic() - start_s < 60
    assert len(asyncio.all_tasks()) == 1
    assert countries.country_of("192.0.2.7") == "DE"
