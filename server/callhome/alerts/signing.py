"""The signature of a webhook, as the Standard Webhooks specification (1.0.0) has it. Pure.

Each alert has a secret of its own, made from that of the installation: there is nothing to store, and who knows one
alert's secret can sign for no other.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import Final

_PREFIX: Final = "whsec_"
_PURPOSE: Final = b"webhook"
# The specification wants 24 to 64 bytes.
_SECRET_BYTES: Final = 32


def secret_of(secret: bytes, alert: int) -> str:
    """Return the secret of an alert (its id) as receivers are given it; ``secret`` is that of the installation."""
    key = blake2b(secret, digest_size=32).digest()  # keys have at most 64 bytes, a secret may have more
    digest = blake2b(str(alert).encode(), digest_size=_SECRET_BYTES, key=key, person=_PURPOSE).digest()
    return _PREFIX + b64encode(digest).decode()


def headers(secret: str, message_id: str, attempt_unix_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body; ``attempt_unix_s`` is the time of this try, not of the event."""
    signed = f"{message_id}.{attempt_unix_s}.".encode() + body
    digest = hmac.digest(b64decode(secret.removeprefix(_PREFIX)), signed, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(attempt_unix_s),
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }
