"""What a recipient unsubscribes with: a signed address in each mail, good for ever and for nothing else. Pure.

No session, no password, no row in a table: who has the mail may end it (RFC 8058 wants it so, in one request).
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from ..pseudonyms import keyed

PATH: Final = "/unsubscribe"
_PURPOSE: Final = b"unsubscribe"
_SIGNATURE_BYTES: Final = 16
# "report:address", as in the table report_recipient, where an address has 254 characters at most.
_PAYLOAD: Final = re.compile(rb"([1-9]\d{0,9}):([!-~]{3,254})")
# Base64 of the longest of both; what is longer isn't ours.
TOKEN_CHARACTERS: Final = 400


def token(secret: bytes, report: int, address: str) -> str:
    """Return the signed name of a recipient (``address``) of a report (its id), for a URL."""
    payload = f"{report}:{address}".encode()
    return urlsafe_b64encode(_signature(secret, payload) + payload).decode().rstrip("=")


def read(secret: bytes, token: str) -> tuple[int, str] | None:
    """Return report and address of a token; None for what was not signed with this secret."""
    if len(token) > TOKEN_CHARACTERS or not re.fullmatch(r"[\w-]+", token, re.ASCII):
        return None
    try:
        signed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    signature, payload = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
    matched = _PAYLOAD.fullmatch(payload)
    if not hmac.compare_digest(signature, _signature(secret, payload)) or matched is None:
        return None
    return int(matched[1]), matched[2].decode()


def url(console_url: str, secret: bytes, report: int, address: str) -> str:
    """Return where a recipient unsubscribes; ``console_url`` is without a slash at its end."""
    return f"{console_url}{PATH}?t={token(secret, report, address)}"


def _signature(secret: bytes, payload: bytes) -> bytes:
    return keyed(secret, _PURPOSE)(payload)
