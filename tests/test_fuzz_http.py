"""The fuzz target of the request parser: its corpus, some thousand mutations of it, and that it can fail."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from callhome.ingest.http import RequestReader
from callhome.ingest.reasons import Refused
from fuzz.fuzz_http import one

CORPUS = sorted((Path(__file__).parent / "fuzz" / "corpus" / "http").iterdir())
TOKENS = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b"\0",
        b"\xff",
        b"%",
        b"?",
        b"GET ",
        b"POST /v1/ping",
        b"/v1/pings",
    ),
    *(
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"RTSP/1.0",
        b"Host: h\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 55\r\n",
    ),
    *(
        b"Connection: close\r\n",
        b"Upgrade: x\r\n",
        b"Expect: 100-continue\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ),
    *(
        b"X-Forwarded-For: 1.1.1.1\r\n",
        b"Content-Encoding: gzip\r\n",
        b'{"product":"es"',
        b"]",
        b"18446744073709551616",
    ),
)
MUTATIONS = 200  # of each file


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to four changes."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        changed = chance.choice(
            (data[at:to], b"", chance.choice(TOKENS), chance.randbytes(1), data[at:to] * 2)
        )
        where = chance.choice((slice(at, to), slice(at, at), slice(at, at + 1)))
        data = (data[: where.start] + changed + data[where.stop :])[:4_000]
    return data


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_corpus_and_mutations_of_it_break_no_promise(file: Path) -> None:
    """Each file of the corpus and what seeded chance makes of it is read or refused, the same however it is cut."""
    data = file.read_bytes()
    one(data)
    chance = random.Random(file.name)
    others = [other.read_bytes() for other in CORPUS]
    for _ in range(MUTATIONS):
        one(mutated(data + chance.choice((b"", chance.choice(others))), chance))


@pytest.mark.parametrize("error", [ValueError("planted"), Refused], ids=["exception", "answer by the cut"])
def test_the_target_finds_what_is_planted(error: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that raises something else, or judges a request by how it was cut, is found."""
    feed = RequestReader.feed

    def faulty(reader: RequestReader, data: bytes) -> None:
        if isinstance(error, ValueError):
            raise error
        feed(reader, data[1:] if data == b"T" else data)

    monkeypatch.setattr(RequestReader, "feed", faulty)
    with pytest.raises(AssertionError):
        one(
            CORPUS[0].read_bytes()
            if isinstance(error, ValueError)
            else b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
        )
