"""JSON to pings: every wire form, every refusal with its place, and properties over any input."""

from __future__ import annotations

import json
import timeit
import unicodedata
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wire
from callhome.ingest.decode import MAX_BRACKETS, MAX_BYTES, decode_ping
from callhome.ingest.model import Ping
from callhome.ingest.reasons import Reason, Refused

# What the decoder refuses; a product is known or not only later.
CASES = {case["name"]: case for case in wire.cases("json")}
REFUSED = [
    case for case in CASES.values() if case.get("refused", {}).get("reason") not in (None, "unknown_product")
]
SMALLEST: dict[str, Any] = {"product": "es", "version": "15.0.1", "install": "0f8fad5b-d9cb-469f"}
# Written out, to be independent of the expression in the code.
UNSAFE = {
    *range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A),
}  # fmt: skip
TEXTS = ("product", "version", "install", "build", "license", "os", "os_version", "arch", "locale", "channel")


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """Return a good ping but for an unknown field, so that all is ``depth`` deep."""
    inner = opening * (depth - 1) + "1" + closing * (depth - 1)
    return json.dumps(SMALLEST).encode()[:-1] + f',"z":{inner}}}'.encode()


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_wire_form_is_refused_with_its_place(case: wire.Case) -> None:
    """A body that is no ping is refused with its reason, the field or the byte, and what was expected."""
    with pytest.raises(Refused) as caught:
        decode_ping(case["body"])
    told = caught.value.to_dict()
    assert told.pop("message")
    assert told == case["refused"]
    assert caught.value.status == 400


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_are_taken(kind: Any) -> None:
    """Bytes, bytearrays and memoryviews decode alike."""
    assert decode_ping(kind(json.dumps(SMALLEST).encode())) == Ping(**SMALLEST)


def test_size_is_bounded() -> None:
    """A ping of 16 KiB is taken, one byte more is refused before anything looks into it."""
    body = json.dumps(SMALLEST).encode().ljust(MAX_BYTES)
    assert decode_ping(body) == Ping(**SMALLEST)
    with pytest.raises(Refused) as caught:
        decode_ping(body + b" ")
    assert (caught.value.reason, caught.value.status) == (Reason.BODY_TOO_LARGE, 413)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    """Unknown fields may nest to the limit, not beyond, whatever the interpreter's stack would take."""
    assert decode_ping(nested(MAX_BRACKETS, opening, closing)) == Ping(**SMALLEST)
    for depth in (MAX_BRACKETS + 1, 1000, 2500):
        with pytest.raises(Refused) as caught:
            decode_ping(nested(depth, opening, closing))
        assert caught.value.reason is Reason.TOO_DEEP


@pytest.mark.parametrize(
    "extra",
    [{"a": "[{" * 60}, {"a": '\\"[[' * 60}, {"k": "[", **{f"{'{' * 13}{i}": i for i in range(9)}}],
    ids=["in texts", "behind escapes", "in keys"],
)
def test_brackets_need_not_nest(extra: dict[str, object]) -> None:
    """Brackets may stand in texts, and values side by side, as many in all as may nest."""
    body = json.dumps(SMALLEST | {"extra": extra}).encode()
    room = MAX_BRACKETS - body.count(b"{") - body.count(b"[") - 1
    assert decode_ping(body[:-1] + b',"wide":[%b]}' % b",".join([b"[]"] * room)).extra == extra
    with pytest.raises(Refused) as caught:
        decode_ping(body[:-1] + b',"wide":[%b]}' % b",".join([b"[]"] * (room + 1)))
    assert (caught.value.reason, caught.value.status) == (Reason.TOO_DEEP, 400)


@pytest.mark.parametrize("filler", [b"[],", b'"",[],', b"{},"])
def test_no_body_takes_long(filler: bytes) -> None:
    """A ping of 16 KiB of brackets is refused in a tenth of the time that following each of them would take."""
    body = json.dumps(SMALLEST).encode()[:-1] + b',"z":['
    body += filler * ((MAX_BYTES - len(body) - 4) // len(filler)) + b"[]]}"

    def refuse() -> None:
        with suppress(Refused):
            decode_ping(body)

    assert min(timeit.repeat(refuse, number=10, repeat=20)) / 10 < 0.000_15


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("field", [*TEXTS, "key", "value"])
def test_unsafe_character_is_refused_in_each_field(field: str, escaped: bool) -> None:
    """A control or bidirectional character is refused wherever it stands, raw or escaped."""
    text = "0f8fad5b\u202e"
    inner = {"key": {text: 1}, "value": {"k": text}}.get(field)
    body = json.dumps(SMALLEST | ({"extra": inner} if inner else {field: text}), ensure_ascii=escaped)
    with pytest.raises(Refused) as caught:
        decode_ping(body.encode())
    assert (caught.value.reason, caught.value.field) == (
        Reason.CONTROL_CHARACTER,
        "extra" if inner else field,
    )


def test_exactly_the_unsafe_characters_are_refused() -> None:
    """Of all characters up to U+FFFF the control and bidirectional ones are refused, and no other."""
    refused = set()
    for code in range(0x10000):
        if unicodedata.category(chr(code)) != "Cs":
            found = attempt(json.dumps(SMALLEST | {"os": chr(code)}).encode())
            if isinstance(found, Refused) and found.reason is Reason.CONTROL_CHARACTER:
                refused.add(code)
    assert refused == UNSAFE


@given(st.binary(max_size=200))
def test_any_bytes_are_a_ping_or_refused(body: bytes) -> None:
    """No bytes raise anything but a refusal."""
    ping_or_refused(body)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
documents = st.dictionaries(st.sampled_from(Ping.__struct_fields__) | st.text(), values)


@given(documents | values, st.booleans())
def test_any_json_is_a_ping_or_refused(document: object, escaped: bool) -> None:
    """No JSON document raises anything but a refusal, and no ping holds an unsafe character."""
    ping_or_refused(json.dumps(document, ensure_ascii=escaped).encode(errors="surrogatepass"))


@given(st.data())
def test_any_damage_to_a_ping_is_a_ping_or_refused(data: st.DataObject) -> None:
    """A good body with bytes changed, cut or put in raises nothing but a refusal."""
    body = bytearray(CASES["whole"]["body"])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        stop = start + data.draw(st.integers(0, 3))
        body[start:stop] = data.draw(st.binary(max_size=4) | st.sampled_from([b"\\ud800", b'"', b"{", b"\\"]))
    ping_or_refused(bytes(body))


good = st.fixed_dictionaries(
    {
        "product": st.text(min_size=1, max_size=64),
        "version": st.text(min_size=1, max_size=64),
        "install": st.text(min_size=8, max_size=128),
    },
    optional={
        "os": st.text(max_size=64),
        "users": st.integers(0, 10**9),
        "event": st.sampled_from(["start", "alive", "stop"]),
        "extra": st.dictionaries(st.text(max_size=64), st.integers(-(2**63), 2**63 - 1), max_size=16),
    },
)


@given(good, st.booleans())
def test_good_ping_arrives_as_it_was_sent(sent: dict[str, Any], escaped: bool) -> None:
    """A ping within the bounds decodes to what was sent, unless it holds an unsafe character."""
    texts = "".join(text for text in sent.values() if isinstance(text, str)) + "".join(sent.get("extra", ()))
    body = json.dumps(sent, ensure_ascii=escaped).encode()
    if UNSAFE.isdisjoint(map(ord, texts)):
        assert msgspec.to_builtins(decode_ping(body)).items() >= sent.items()
    else:
        with pytest.raises(Refused):
            decode_ping(body)


def ping_or_refused(body: bytes) -> None:
    """Decode; what comes out is a safe ping, or a refusal whose place lies in the body."""
    found = attempt(body)
    if isinstance(found, Refused):
        assert found.offset is None or 0 <= found.offset <= len(body)
        assert found.field is None or found.field in Ping.__struct_fields__
        assert json.loads(found.to_json())["reason"] == found.reason
    else:
        assert UNSAFE.isdisjoint(map(ord, "".join(str(getattr(found, field) or "") for field in TEXTS)))
        assert found.id is None or found.id.version == 7


def attempt(body: bytes) -> Ping | Refused:
    """Return the ping in a body, or the refusal."""
    try:
        return decode_ping(body)
    except Refused as refused:
        return refused
