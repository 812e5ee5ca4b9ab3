"""Pings to rows: every wire form with its row, the pseudonyms, the ids, the time that counts."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wire
from callhome.ingest.decode import decode_ping
from callhome.ingest.enrich import Enricher, address_prefix
from callhome.ingest.legacy import decode_legacy
from callhome.ingest.model import LegacyPing, Ping
from callhome.ingest.reasons import Reason, Refused

NOW_S = wire.NOW.timestamp()
NOW_MS = int(NOW_S * 1000)
OLD_FIELDS = {"prod": "product", "ver": "version"}


def of(form: str, outcome: str) -> list[Any]:
    """Return the cases of a form with such an outcome, the form put in."""
    found = [case | {"form_name": form} for case in wire.cases(form) if outcome in case]
    return [pytest.param(case, id=f"{form}: {case['name']}") for case in found]


def decode(case: wire.Case) -> Ping:
    """Decode a case by its form."""
    if "body" in case:
        return decode_ping(case["body"])
    return decode_legacy(case.get("query", b""), case.get("form", b""), OLD_FIELDS)


def row(ping: Ping, address: str = wire.ADDRESS, secret: bytes = wire.SECRET) -> dict[str, Any]:
    """Return the columns that an enricher makes of a ping."""
    return wire.read_row(Enricher(secret, wire.PRODUCT_IDS).row(ping, address, wire.COUNTRY, NOW_S))


def ping(**fields: Any) -> Ping:
    """Return a ping of an install, with these fields."""
    return Ping("es", "15.0.1", **{"install": "0f8fad5b-d9cb-469f"} | fields)


def uuid7(ms: int, rest: int = 0x123) -> UUID:
    """Return a UUIDv7 of this time."""
    return UUID(int=ms << 80 | 7 << 76 | 2 << 62 | rest)


@pytest.mark.parametrize("case", [*of("json", "row"), *of("legacy", "row")])
def test_wire_form_becomes_its_row(case: wire.Case) -> None:
    """A wire form becomes its row, column by column; its hashes too: others would make new installs."""
    found = row(decode(case))
    expected = wire.DEFAULTS | {"id": found["id"]} | case["row"]
    assert found == expected
    assert UUID(found["id"]).version == 7


@pytest.mark.parametrize("case", [*of("json", "refused"), *of("legacy", "refused")])
def test_unregistered_product_is_refused(case: wire.Case) -> None:
    """Every wire form to be refused gets no further than here, that of an unknown product neither."""
    with pytest.raises(Refused) as caught:
        row(decode(case))
    assert caught.value.reason == case["refused"]["reason"]
    assert caught.value.field == case["refused"].get("field")


def test_registered_products_may_change() -> None:
    """A product that is registered later is taken from then on, without another enricher."""
    product_ids: dict[str, int] = {}
    enricher = Enricher(wire.SECRET, product_ids)
    with pytest.raises(Refused) as caught:
        enricher.row(ping(), wire.ADDRESS, "DE", NOW_S)
    assert caught.value.reason is Reason.UNKNOWN_PRODUCT
    product_ids["es"] = 3
    assert wire.read_row(enricher.row(ping(), wire.ADDRESS, "DE", NOW_S))["product"] == 3


def test_pseudonyms_are_keyed_and_apart() -> None:
    """Hashes depend on the secret, tell installs apart, and never equal one made for another purpose."""
    same = "0f8fad5b-d9cb-469f"
    found = row(ping(license=same))
    weak = row(LegacyPing(product="es", version="1", license=same))
    hashes = [
        found["install"],
        found["license"],
        weak["install"],
        row(ping(), secret=b"another secret")["install"],
        row(ping(install="0f8fad5b-d9cb-469e"))["install"],
        hashlib.blake2b(same.encode(), digest_size=16).hexdigest(),
    ]
    assert len(set(hashes)) == len(hashes)
    assert found["license"] == weak["license"] == row(ping(license=f"  {same} "))["license"]
    assert found["license"] != row(ping(license=same.upper()))["license"]


def test_no_secret_is_too_long() -> None:
    """A secret may have any length, and every byte of it counts."""
    long = b"x" * 1000
    assert row(ping(), secret=long)["install"] != row(ping(), secret=long + b"y")["install"]


@pytest.mark.parametrize(
    ("license", "last4"),
    [
        (None, None),
        ("", None),
        ("   ", None),
        ("1234567", None),
        ("12345678", "5678"),
        (" ABCD-ÄÖÜß ", "ÄÖÜß"),
    ],
)
def test_license_shows_its_end_if_long_enough(license: str | None, last4: str | None) -> None:
    """The last four characters are kept only where more than as many stay hidden."""
    found = row(ping(license=license))
    assert found["license_last4"] == last4
    assert (found["license"] is None) == (not (license or "").strip())


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.200", "203.0.113.0/24"),
        ("2001:db8:1:2ff::9", "2001:db8:1:200::/56"),
        ("2001:DB8:1:200::", "2001:db8:1:200::/56"),
        ("unix:", ""),
        ("", ""),
        ("203.0.113", ""),
    ],
)
def test_address_stands_for_its_site(address: str, prefix: str) -> None:
    """An address is cut to /24 or /56."""
    assert address_prefix(address) == prefix


def test_weak_install_is_license_and_site() -> None:
    """Without an install id, license and site make the install: others within the site are the same one."""

    def weak(license: str | None, address: str) -> str:
        found = row(LegacyPing(product="es", version="1", license=license), address)
        assert found["weak"]
        return str(found["install"])

    first = weak("A", "203.0.113.9")
    assert first == weak(" A ", "203.0.113.77") == weak("A", "203.0.113.1")
    assert len({first, weak("B", "203.0.113.9"), weak("A", "203.0.114.9"), weak(None, "203.0.113.9")}) == 4


@pytest.mark.parametrize(
    ("own", "counts"),
    [
        (timedelta(), True),
        (timedelta(days=-90), True),
        (timedelta(days=-90, milliseconds=-1), False),
        (timedelta(hours=1), True),
        (timedelta(hours=1, milliseconds=1), False),
        (timedelta(milliseconds=-NOW_MS), False),
        (timedelta(days=27_000), False),
    ],
)
def test_time_of_id_counts_if_plausible(own: timedelta, counts: bool) -> None:
    """The id's time counts from 90 days before to an hour after receipt, else that of receipt."""
    id = uuid7(NOW_MS + own // timedelta(milliseconds=1))
    found = row(ping(id=id))
    assert found["id"] == str(id)
    assert found["at"] == (wire.NOW + own if counts else wire.NOW)
    assert found["day"] == found["at"].date()


def test_made_ids_are_of_now_and_differ() -> None:
    """An id made here is a UUIDv7 of the time of receipt, and no two are equal, of two enrichers neither."""
    enrichers = [Enricher(wire.SECRET, wire.PRODUCT_IDS) for _ in range(2)]
    rows = [e.row(ping(), wire.ADDRESS, "DE", NOW_S) for e in enrichers for _ in range(5000)]
    ids = {UUID(wire.read_row(made)["id"]) for made in rows}
    assert len(ids) == len(rows)
    assert {(id.version, id.variant, id.int >> 80) for id in ids} == {(7, "specified in RFC 4122", NOW_MS)}


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**62 - 1), st.floats(0, 4e9))
def test_any_id_at_any_time_makes_a_row(ms: int, rest: int, now_s: float) -> None:
    """No UUIDv7 of a client and no clock of ours makes a row fail, and the id is kept."""
    id = uuid7(ms, rest)
    made = Enricher(wire.SECRET, wire.PRODUCT_IDS).row(ping(id=id), wire.ADDRESS, "DE", now_s)
    assert wire.read_row(made)["id"] == str(id)


def test_made_ids_sort_by_time() -> None:
    """An id made later sorts later, by the millisecond."""
    enricher = Enricher(wire.SECRET, wire.PRODUCT_IDS)
    now_s = time.time()
    made = [enricher.row(ping(), wire.ADDRESS, "DE", now_s + step / 1000) for step in range(100)]
    assert made == sorted(made)
