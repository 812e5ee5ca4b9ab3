"""Old requests to pings: every wire form that is refused, and properties; good forms are in test_enrich."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote_from_bytes, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wire
from callhome.ingest.decode import decode_ping
from callhome.ingest.legacy import MAX_FIELDS, decode_legacy
from callhome.ingest.model import Ping
from callhome.ingest.reasons import Reason, Refused

FIELDS = {"prod": "product", "ver": "version"}
REFUSED = [
    case
    for case in wire.cases("legacy")
    if case.get("refused", {}).get("reason") not in (None, "unknown_product")
]
safe = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=8, max_size=64)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_wire_form_is_refused_with_its_field(case: wire.Case) -> None:
    """An old request that is no ping is refused with its reason and our name of the field."""
    with pytest.raises(Refused) as caught:
        decode_legacy(case.get("query", b""), case.get("form", b""), FIELDS)
    told = caught.value.to_dict()
    assert told.pop("message")
    assert told == case["refused"]


@pytest.mark.parametrize(("spare", "taken"), [(MAX_FIELDS - 3, True), (MAX_FIELDS - 2, False)])
def test_number_of_fields_is_bounded(spare: int, taken: bool) -> None:
    """Query and form together may have 64 fields, known or not."""
    query, form = b"product=es&version=1", b"&".join([b"x=1"] * (spare + 1))
    if taken:
        assert decode_legacy(query, form, {}).product == "es"
    else:
        with pytest.raises(Refused) as caught:
            decode_legacy(query, form, {})
        assert caught.value.reason is Reason.TOO_MANY_FIELDS


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_a_ping_or_refused(query: bytes, form: bytes) -> None:
    """No query and no form raise anything but a refusal."""
    ping_or_refused(query, form)


@given(st.dictionaries(st.sampled_from(Ping.__struct_fields__), st.binary(max_size=70)))
def test_any_values_are_a_ping_or_refused(values: dict[str, bytes]) -> None:
    """No values of the fields there are raise anything but a refusal."""
    query = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in values.items())
    ping_or_refused(f"product=es&version=1&{query}".encode(), b"")


@given(safe, safe, safe, st.integers(0, 10**9))
def test_good_request_arrives_as_it_was_sent(version: str, install: str, os: str, users: int) -> None:
    """What is sent in UTF-8, escaped as browsers do, arrives; by name or by the old name."""
    sent = {"prod": "es", "ver": version, "install": install, "os": os, "users": str(users)}
    ping = decode_legacy(b"", urlencode(sent).encode(), FIELDS)
    assert (ping.version, ping.install, ping.os, ping.users) == (version, install, os, users)


@given(st.text(st.characters(min_codepoint=0xA0, max_codepoint=0xFF), min_size=1, max_size=64))
def test_latin_1_arrives_as_it_was_sent(os: str) -> None:
    """What is sent in latin-1 arrives, unless those bytes happen to be UTF-8."""
    sent = os.encode("latin-1")
    ping_os = decode_legacy(f"product=es&version=1&os={quote_plus(sent)}".encode(), b"", {}).os
    assert ping_os == os or ping_os == sent.decode()


@given(safe, st.sampled_from(["start", "alive", "stop"]))
def test_old_request_means_what_json_means(install: str, event: str) -> None:
    """The same values give the same ping on both ways, but for its class."""
    old = decode_legacy(
        urlencode({"product": "es", "version": "1", "install": install, "event": event}).encode(), b"", {}
    )
    new = decode_ping(
        b'{"product":"es","version":"1","event":"%s","install":"%s"}'
        % (event.encode(), install.replace("\\", r"\\").replace('"', r"\"").encode())
    )
    assert [getattr(old, name) for name in Ping.__struct_fields__] == [
        getattr(new, name) for name in Ping.__struct_fields__
    ]


def ping_or_refused(query: bytes, form: bytes) -> None:
    """Decode; what comes out is a ping, or a refusal."""
    with suppress(Refused):
        ping = decode_legacy(query, form, {})
        assert ping.product
        assert ping.weak or 8 <= len(ping.install) <= 128
