"""Sends pings as installed copies all over the world would, and says every second what became of them.

A part of the tour (docs/deploy/tour.md). Like a real copy it keeps a ping until it is answered with 2xx, and sends it
again with the same id; so it says how often that was needed, and never that one was lost.

    pinger.py http://callhome-ingest.callhome [VERSION [NUMBER OF PINGS]]
"""

from __future__ import annotations

import http.client
import json
import random
import secrets
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable

from callhome.demo.addresses import by_country

PER_S = 5
# What a patient client waits for an answer, and before it sends again.
ANSWER_S, AGAIN_S = 5, 0.5


def uuid7() -> uuid.UUID:
    """A ping's id: its time in milliseconds, then chance (RFC 9562)."""
    chance = secrets.randbits(74)
    number = (
        time.time_ns() // 1_000_000 << 80 | 7 << 76 | chance >> 62 << 64 | 2 << 62 | chance & (1 << 62) - 1
    )
    return uuid.UUID(int=number)


def send(url: str, body: bytes, address: str) -> None:
    """Send it once, on a connection of its own; raises OSError or HTTPException where it is not answered with 2xx."""
    # The address: callhome believes it where CALLHOME_TRUSTED_PROXIES names this pod's network.
    headers = {"Content-Type": "application/json", "X-Forwarded-For": address, "Connection": "close"}
    request = urllib.request.Request(f"{url}/v1/ping", body, headers)
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        answer.read()


def until_answered(url: str, body: bytes, address: str, said: Callable[[str], None]) -> int:
    """Send it until it is answered; return how often that failed."""
    failed = 0
    while True:
        try:
            send(url, body, address)
            return failed
        except (OSError, http.client.HTTPException) as error:
            failed += 1
            if isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code != 429:
                raise  # it would be refused for ever: an unknown product
            said(f"not answered, again in {AGAIN_S} s: {error}")
            time.sleep(AGAIN_S)


def main(url: str, version: str = "1.0", number: str = "0") -> None:
    """Send ``number`` pings, or without an end."""
    countries = list(by_country().values())
    sent = again = 0
    begun_s = time.monotonic()
    while not int(number) or sent < int(number):
        ping = {"product": "es", "version": version, "install": f"tour-{uuid7()}", "id": str(uuid7())}
        address = random.choice(random.choice(countries))
        again += until_answered(url, json.dumps(ping).encode(), address, lambda text: print(text, flush=True))
        sent += 1
        if sent % PER_S == 0:
            print(f"{sent} pings answered, {again} sent again", flush=True)
        time.sleep(max(0.0, begun_s + sent / PER_S - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
