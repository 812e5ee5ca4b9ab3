"""The fuzz target of the spool's reader: its corpus, some thousand mutations of it, and that it can fail."""

from __future__ import annotations

import random
from pathlib import Path
from zlib import crc32

import pytest

from callhome.spool import record
from callhome.spool import scan as reader
from callhome.spool.record import MAGIC, Header
from fuzz.fuzz_spool import corpus, one

FOLDER = Path(__file__).parent / "fuzz" / "corpus" / "spool"
CORPUS = sorted(FOLDER.iterdir())
MUTATIONS = 500  # of each file


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return the bytes with one to four changes: bits, pieces moved, cut, doubled, or of another file."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        pieces = (b"", MAGIC, chance.randbytes(4), data[at:to] * 2, bytes(to - at), chance.choice(others))
        data = data[:at] + chance.choice(pieces) + data[chance.choice((at, to, min(at + 1, len(data)))) :]
        if data and chance.random() < 0.5:
            wrong = bytearray(data)
            wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
            data = bytes(wrong)
    return data[:20_000]


@pytest.mark.fault(23)
@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_corpus_and_mutations_of_it_break_no_promise(file: Path) -> None:
    """Row 23: each file of the corpus, and what seeded chance makes of it, is told in order, with right checksums."""
    data = file.read_bytes()
    one(data)
    others = [other.read_bytes() for other in CORPUS]
    chance = random.Random(file.name)
    for _ in range(MUTATIONS):
        one(mutated(data, others, chance))


def test_the_corpus_is_that_of_this_format() -> None:
    """The files are what the target would write today: a change of the format changes them, too."""
    assert {file.name: file.read_bytes() for file in CORPUS} == corpus()


def test_the_target_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes a record whose body has another checksum is found."""
    parse = record.parse_body

    def trusting(header: Header, body: bytes) -> object:
        return parse(header._replace(body_checksum=crc32(body)), body)

    monkeypatch.setattr(reader, "parse_body", trusting)
    with pytest.raises(AssertionError):
        one((FOLDER / "damaged").read_bytes())
