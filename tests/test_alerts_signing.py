"""`callhome.alerts.signing`: signatures are those of Standard Webhooks, with a secret for each alert."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from callhome.alerts.signing import headers, secret_of


def test_the_published_example_is_signed_alike() -> None:
    """The specification's own example has the signature that its libraries give."""
    secret, id_ = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers(secret, id_, 1614265330, b'{"test": 2432232314}') == {
        "webhook-id": id_,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_alert_has_a_secret_of_its_own() -> None:
    """Secrets have 32 bytes, and differ by alert and by installation; the same ones always come out the same."""
    ours, theirs = b"o" * 32, b"t" * 100
    found = [secret_of(secret, alert) for secret in (ours, theirs) for alert in (1, 2, 12)]
    assert len(set(found)) == 6
    assert all(len(b64decode(each.removeprefix("whsec_"))) == 32 for each in found)
    assert secret_of(ours, 1) == "whsec_" + secret_of(ours, 1).removeprefix("whsec_") == found[0]
    assert "o" * 8 not in found[0]


SECRET = secret_of(b"o" * 32, 1)
BODY = b'{"type": "alert.test"}'


@pytest.mark.parametrize(
    ("changed", "is_fine"),
    [
        ({}, True),
        ({"secret": secret_of(b"o" * 32, 2)}, False),
        ({"body": BODY + b" "}, False),
        ({"webhook-id": "msg_2"}, False),
        ({"webhook-timestamp": "1614265330"}, False),
        ({"webhook-signature": "v1,AAAA"}, False),
        ({"webhook-signature": ""}, False),
    ],
)
def test_the_documented_check_works(changed: dict[str, Any], is_fine: bool) -> None:
    """What docs/alerts.md gives to receivers takes our messages, and nothing that was changed, or is old."""
    page = (Path(__file__).parent.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    given = {"secret": SECRET, "body": BODY, **headers(SECRET, "msg_1", int(time.time()), BODY), **changed}
    assert names["is_from_callhome"](given.pop("secret"), given, given.pop("body")) is is_fine
