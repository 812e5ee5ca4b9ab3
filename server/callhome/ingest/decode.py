"""JSON to :class:`Ping` in one pass of msgspec, and every refusal with its place and what was expected.

The hot path is :func:`decode_ping`; all else runs only for bodies that are unusual or wrong.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Final

import msgspec

from ..store.ids import VERSION_7, VERSION_BITS
from .model import Ping
from .reasons import Reason, Refused

# The wire format's bound of a ping, for the lines of a batch too: no line holds up those behind it.
MAX_BYTES: Final = 16 << 10
# "[" and "{" in all, hence also how deep it nests. A ping needs two; 1,000 deep exhausts the interpreter's stack.
MAX_BRACKETS: Final = 256

_decode: Final = msgspec.json.Decoder(Ping).decode
_NOT_TEXTS: Final = {"id", "users", "event", "extra"}
_TEXTS: Final = tuple(f.name for f in msgspec.structs.fields(Ping) if f.name not in _NOT_TEXTS)
# C0, DEL, C1; bidirectional marks, embeddings, overrides and isolates (UAX #9); line and paragraph separator.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Whole pairs and escaped backslashes are skipped; the group is half a pair.
_HALF_PAIR: Final = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)", re.DOTALL)

# What msgspec says, the reason it stands for, and what to tell; first match wins.
_RULES: Final = tuple(
    (re.compile(pattern), reason, message)
    for pattern, reason, message in (
        (r"missing required field", Reason.MISSING_FIELD, "this field is required"),
        (r"Invalid UUID", Reason.BAD_ID, "expected a UUID of version 7"),
        (r"Invalid enum value", Reason.UNKNOWN_VALUE, "expected start, alive or stop"),
        (r"of length <= (\d+)", Reason.TOO_LONG, "expected a length of at most {}"),
        (r"of length >= (\d+)", Reason.TOO_SHORT, "expected a length of at least {}"),
        (r"Expected `int` ([<>]= -?\d+)", Reason.OUT_OF_RANGE, "expected an integer {}"),
        (r"out of range", Reason.OUT_OF_RANGE, "expected a number that 64 bits can hold"),
        (r"^(?:Expected )?(.*?)(?: - at |$)", Reason.WRONG_TYPE, "expected {}"),
    )
)
_PLACE: Final = re.compile(r"required field `(\w+)`|`\$\.(\w+)")
_OFFSET: Final = re.compile(r"JSON is malformed: (.+) \(byte (\d+)\)")


def decode_ping(body: bytes | bytearray | memoryview) -> Ping:
    """Return the ping in a JSON body; raise :class:`Refused` for any other body.

    Unknown fields are ignored, of duplicate keys the last wins. In plain ASCII without an escape, a string
    can hold no unsafe character: raw ones below U+0020 are no JSON, and DEL is looked for.
    """
    if isinstance(body, memoryview):
        body = bytes(body)
    if len(body) > MAX_BYTES:
        raise Refused(Reason.BODY_TOO_LARGE, f"expected a ping of at most {MAX_BYTES} bytes")
    if 0x5B in body or body.rfind(b"{") > 0:  # an array or an inner object
        _check_brackets(body)
    plain = body.isascii()
    if not plain:
        _check_utf8(body)
    try:
        ping = _decode(body)
    except msgspec.ValidationError as error:
        raise refusal(error) from None
    except msgspec.DecodeError as error:
        raise _malformed(body, error) from None
    if not plain or 0x5C in body or 0x7F in body:
        check_texts(ping)
    if ping.id is not None:  # a call less for the many that have none
        check_id(ping)
    return ping


def check_id(ping: Ping) -> None:
    """Raise :class:`Refused` if the ping has an id that is no UUIDv7."""
    if ping.id is not None and ping.id.int & VERSION_BITS != VERSION_7:
        raise Refused(Reason.BAD_ID, "expected a UUID of version 7", "id")


def check_texts(ping: Ping) -> None:
    """Raise :class:`Refused` if a text of the ping holds a control or bidirectional character."""
    for name in _TEXTS:
        text = getattr(ping, name)
        # Printable texts hold none of them, and asking for that takes a third of the time.
        if text and not text.isprintable() and _UNSAFE.search(text):
            raise _unsafe(name)
    for key, value in (ping.extra or {}).items():
        if _UNSAFE.search(key) or (isinstance(value, str) and _UNSAFE.search(value)):
            raise _unsafe("extra")


def refusal(error: msgspec.ValidationError) -> Refused:
    """Return what to tell the client about a rule of the model that its ping breaks."""
    said = str(error)
    place = _PLACE.search(said)
    field = (place[1] or place[2]) if place else None
    # The last rule matches anything, should another version of msgspec put things in other words.
    found, reason, message = next(
        (found, reason, message) for pattern, reason, message in _RULES if (found := pattern.search(said))
    )
    return Refused(reason, message.format(*found.groups()), field)


def _unsafe(field: str) -> Refused:
    return Refused(Reason.CONTROL_CHARACTER, "expected no control and no bidirectional characters", field)


def _check_brackets(body: bytes | bytearray) -> None:
    """Refuse a body that might nest too deep, by a count: following each bracket would take a millisecond."""
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
        raise Refused(Reason.TOO_DEEP, f"expected at most {MAX_BRACKETS} opening brackets")


def _check_utf8(body: bytes | bytearray) -> None:
    """Refuse what is not UTF-8: msgspec looks into no field that it skips, and tells no byte of the body."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refused(Reason.BAD_UTF8, "expected UTF-8", offset=error.start) from None


def _malformed(body: bytes | bytearray, error: msgspec.DecodeError) -> Refused:
    """Return what to tell the client about a body that is not JSON."""
    if body.startswith(BOM_UTF8):
        return Refused(Reason.MALFORMED_JSON, "expected no byte order mark before the JSON", offset=0)
    if not body.strip():
        return Refused(Reason.MALFORMED_JSON, "expected a JSON object, not an empty body", offset=0)
    where = _OFFSET.search(str(error))
    offset = int(where[2]) if where else len(body)
    for escape in _HALF_PAIR.finditer(body, 0, offset):
        if escape[1]:
            return Refused(Reason.BAD_UTF8, "expected whole surrogate pairs", offset=escape.start())
    problem = where[1] if where else "unexpected end"
    if problem == "trailing characters":
        offset -= 1  # there, msgspec counts one byte too many
    return Refused(Reason.MALFORMED_JSON, f"expected JSON: {problem}", offset=offset)
