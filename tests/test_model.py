"""The model's bounds: each holds at its edge, and is the same for JSON and for old requests."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from callhome.ingest.decode import decode_ping
from callhome.ingest.legacy import decode_legacy
from callhome.ingest.model import EVENT_CODES, Event, LegacyPing, Ping
from callhome.ingest.reasons import Reason, Refused

REQUIRED = {"product": "es", "version": "15.0.1", "install": "0f8fad5b-d9cb-469f"}
SHORT = ("build", "os", "os_version", "arch", "locale", "channel")
# Field, least and greatest length in characters.
LENGTHS = (
    ("product", 1, 64),
    ("version", 1, 64),
    ("install", 8, 128),
    ("license", 0, 128),
    *((field, 0, 64) for field in SHORT),
)


def json_ping(**fields: object) -> Ping:
    """Decode a ping of the required fields and these."""
    return decode_ping(msgspec.json.encode(REQUIRED | fields))


def old_ping(**fields: object) -> Ping:
    """Decode the same ping as an old request."""
    pairs = (f"{name}={quote(str(value))}" for name, value in (REQUIRED | fields).items())
    return decode_legacy("&".join(pairs).encode(), b"", {})


@pytest.mark.parametrize(("field", "least", "greatest"), LENGTHS)
def test_length_is_bounded_in_characters(field: str, least: int, greatest: int) -> None:
    """A text is taken up to its greatest length in characters, however many bytes those are."""
    longest = "é" * greatest
    assert getattr(json_ping(**{field: longest}), field) == longest
    assert getattr(old_ping(**{field: longest}), field) == longest
    for decode in (json_ping, old_ping):
        with pytest.raises(Refused) as caught:
            decode(**{field: longest + "é"})
        assert (caught.value.reason, caught.value.field) == (Reason.TOO_LONG, field)
        assert str(greatest) in caught.value.message
    assert getattr(json_ping(**{field: "x" * least}), field) == "x" * least
    if least:
        with pytest.raises(Refused) as caught:
            json_ping(**{field: "x" * (least - 1)})
        assert (caught.value.reason, caught.value.field) == (Reason.TOO_SHORT, field)


@pytest.mark.parametrize("decode", [json_ping, old_ping])
@pytest.mark.parametrize(("users", "taken"), [(0, True), (10**9, True), (-1, False), (10**9 + 1, False)])
def test_users_are_bounded(decode: type[Ping], users: int, taken: bool) -> None:
    """The number of users lies from 0 to a thousand million."""
    if taken:
        assert decode(users=users).users == users  # type: ignore[call-arg]
    else:
        with pytest.raises(Refused) as caught:
            decode(users=users)  # type: ignore[call-arg]
        assert (caught.value.reason, caught.value.field) == (Reason.OUT_OF_RANGE, "users")


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({f"k{i}": i for i in range(16)}, None),
        ({f"k{i}": i for i in range(17)}, Reason.TOO_LONG),
        ({"k" * 64: "v" * 256}, None),
        ({"k" * 65: 1}, Reason.TOO_LONG),
        ({"k": "v" * 257}, Reason.TOO_LONG),
        ({"k": 2**63 - 1, "l": -(2**63)}, None),
        ({"k": -(2**63) - 1}, Reason.OUT_OF_RANGE),
        ({"k": []}, Reason.WRONG_TYPE),
        ("text", Reason.WRONG_TYPE),
    ],
)
def test_extra_is_bounded(extra: object, reason: Reason | None) -> None:
    """Extra is a flat object of at most 16 scalars, each bounded."""
    if reason is None:
        assert json_ping(extra=extra).extra == extra
    else:
        with pytest.raises(Refused) as caught:
            json_ping(extra=extra)
        assert (caught.value.reason, caught.value.field) == (reason, "extra")


def test_only_an_old_request_may_lack_the_install_id() -> None:
    """A ping is weak only without an install id, which JSON demands."""
    assert not json_ping().weak
    assert not old_ping().weak
    assert old_ping(install="").weak
    assert set(LegacyPing.__struct_fields__) == set(Ping.__struct_fields__)


def test_each_event_has_its_code() -> None:
    """Every event has a number of its own, those documented at the column."""
    assert {event.value: code for event, code in EVENT_CODES.items()} == {"start": 0, "alive": 1, "stop": 2}
    assert set(EVENT_CODES) == set(Event)
