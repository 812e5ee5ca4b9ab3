"""`callhome.store.connection`: what a place is called, and what a URL that can't be read leads to."""

from __future__ import annotations

import logging
import traceback

import pytest

from callhome.store.connection import StoreUnavailable, connect, where

HIDDEN = "CALLHOME_DATABASE_URL"


@pytest.mark.parametrize(
    ("dsn", "place"),
    [
        ("postgresql://u:topsecret@db.example:5432/callhome", "db.example:5432/callhome"),
        ("postgres://u:topsecret@[::1]:1,b/callhome?password=topsecret", "[::1]:1,b/callhome"),
        ("postgresql:///callhome?host=/tmp", "/callhome"),
        ("postgresql://localhost", "localhost"),
        ("postgresql://u:topsecret/x@h/d", HIDDEN),
        ("postgresql://u:topsecret?x@h/d", HIDDEN),
        ("postgresql://u:topsecret", HIDDEN),
        ("postgresql://u@h/d?password=x@topsecret", HIDDEN),
        ("postgresql://u:topsecret@h℀x/d", HIDDEN),
        ("postgresql://u:topsecret@[/d", HIDDEN),
        ("topsecret", HIDDEN),
        ("", HIDDEN),
    ],
)
def test_a_place_never_shows_a_password(dsn: str, place: str) -> None:
    """Host, port and database where they can be told from the rest; else the setting's name, and no error."""
    assert where(dsn) == place


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:topsecret@127.0.0.1:99999/d",
        "postgresql://u:topsecret@127.0.0.1:1,,127.0.0.1:2/d",
        "postgresql://u:topsecret@h℀x/d",
        "postgresql://u@127.0.0.1:1/d?topsecret",
    ],
)
async def test_a_url_that_cannot_be_read_is_unavailable(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the driver raises of a URL, the message names the setting, and even a traceback shows no password."""
    with pytest.raises(StoreUnavailable, match="CALLHOME_DATABASE_URL") as caught:
        await connect(dsn, "test")
    logging.getLogger("test").error("failed", exc_info=caught.value)
    assert "topsecret" not in "".join(traceback.format_exception(caught.value)) + caplog.text
