"""Reasons: complete, each with its status and its line in the protocol."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import orjson
import pytest

from callhome.ingest.decode import decode_ping
from callhome.ingest.model import Ping
from callhome.ingest.reasons import STATUS, Reason, Refused

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
INGEST = ROOT / "server" / "callhome" / "ingest"


def test_each_reason_has_an_error_status() -> None:
    """Every reason has an HTTP status that exists and is an error."""
    assert set(STATUS) == set(Reason)
    assert all(400 <= HTTPStatus(status) < 600 for status in STATUS.values())


def test_what_may_pass_later_is_not_final() -> None:
    """Sending the same again is of use after 408, 429 and 5xx, and after nothing else."""
    assert {r.value for r in Reason if not Refused(r, "").is_final} == {
        *(
            "timeout",
            "client_gone",
            "too_many_pings",
            "overloaded",
            "unavailable",
            "stopping",
            "internal_error",
        ),
    }


def test_each_reason_is_documented_with_its_status() -> None:
    """The table of docs/protocol.md has exactly the reasons there are, with their statuses."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| \S.+ \|$", PROTOCOL, re.MULTILINE)
    assert {reason: int(status) for reason, status in rows} == {r.value: s for r, s in STATUS.items()}


def test_each_field_is_documented() -> None:
    """The table of fields in docs/protocol.md has exactly the fields of a ping, in their order."""
    of_a_ping = PROTOCOL.partition("## The answer")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \| [a-zU]", of_a_ping, re.MULTILINE)) == Ping.__struct_fields__


def test_documented_refusal_is_what_is_told() -> None:
    """The refusal that docs/protocol.md shows for its example is the one that the example gets."""
    example = re.search(r"<!-- expect: 400 -->.*? -d '(.*?)'\n```.*?```json\n(.*?)\n```", PROTOCOL, re.DOTALL)
    assert example
    with pytest.raises(Refused) as caught:
        decode_ping(example[1].encode())
    assert caught.value.to_dict() == orjson.loads(example[2])


def test_each_reason_is_given_somewhere() -> None:
    """No reason is a dead word: the code of ingest raises each of them."""
    source = "".join(
        path.read_text(encoding="utf-8") for path in INGEST.glob("*.py") if path.stem != "reasons"
    )
    assert [reason.name for reason in Reason if f"Reason.{reason.name}" not in source] == []


@pytest.mark.parametrize(
    ("refused", "status", "as_json", "as_text"),
    [
        (
            Refused(Reason.OUT_OF_RANGE, "expected an integer >= 0", "users"),
            400,
            {"reason": "out_of_range", "field": "users", "message": "expected an integer >= 0"},
            b"out_of_range (users): expected an integer >= 0\n",
        ),
        (
            Refused(Reason.BAD_UTF8, "expected UTF-8", offset=0),
            400,
            {"reason": "bad_utf8", "offset": 0, "message": "expected UTF-8"},
            b"bad_utf8: expected UTF-8\n",
        ),
        (
            Refused(Reason.OVERLOADED, "send it again later"),
            503,
            {"reason": "overloaded", "message": "send it again later"},
            b"overloaded: send it again later\n",
        ),
    ],
)
def test_refusal_is_told_in_json_and_text(
    refused: Refused, status: int, as_json: dict[str, object], as_text: bytes
) -> None:
    """A refusal tells its reason, its place where there is one, and what was expected."""
    assert refused.status == status
    assert orjson.loads(refused.to_json()) == as_json
    assert refused.to_text() == as_text
    assert str(refused) == refused.message
