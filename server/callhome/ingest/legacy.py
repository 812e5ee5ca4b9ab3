"""The requests of old copies, which cannot be changed: a query string, a form, or both, to :class:`Ping`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from .decode import check_id, check_texts, refusal
from .model import LegacyPing, Ping
from .reasons import Reason, Refused

# Four times what a ping has; a longer request is none of ours.
MAX_FIELDS: Final = 64

# ``extra`` is an object, which no old request can say.
_NAMES: Final = frozenset(field.name for field in msgspec.structs.fields(LegacyPing)) - {"extra"}
# As many digits as any number that means something; the model's bounds come after.
_INTEGER: Final = re.compile(r"-?[0-9]{1,40}")


def decode_legacy(query: bytes, form: bytes, fields: Mapping[str, str]) -> Ping:
    """Return the ping in a query string and a form body; either may be empty. Raises :class:`Refused`.

    Both are ``application/x-www-form-urlencoded``. ``fields`` maps the names old copies use to ours; a name
    it lacks stands for itself. Unknown names are ignored, of repeated ones the last wins, and the form comes
    after the query. An empty value is no value. Names and values are UTF-8; each that is not is latin-1.
    Without an install id the ping is ``weak``. What holds for JSON's fields holds for these.
    """
    if query.count(b"&") + form.count(b"&") > MAX_FIELDS - 2:
        raise Refused(Reason.TOO_MANY_FIELDS, f"expected at most {MAX_FIELDS} fields")
    values: dict[str, str | int] = {}
    for sent_name, text in _pairs(query, form):
        name = fields.get(sent_name, sent_name)
        if name in _NAMES:
            values[name] = int(text) if name == "users" and _INTEGER.fullmatch(text) else text
    sent = {name: value for name, value in values.items() if value != ""}
    try:
        ping = msgspec.convert(sent, LegacyPing)
    except msgspec.ValidationError as error:
        raise refusal(error) from None
    check_texts(ping)
    check_id(ping)
    return ping


def _pairs(query: bytes, form: bytes) -> Iterator[tuple[str, str]]:
    for part in (*query.split(b"&"), *form.split(b"&")):
        name, _, value = part.partition(b"=")
        yield _text(name), _text(value)


def _text(raw: bytes) -> str:
    data = unquote_to_bytes(raw.replace(b"+", b" "))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
