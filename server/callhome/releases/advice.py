"""What the answer to a ping says: the newest release, its license's verdict, notices, when to ping again. Pure.

Looked up at each ping, so everything that can be known before is: an answer depends on product, version, channel and
verdict, of which there are some hundreds, and is kept as bytes. Only a release that is offered to a share of the
installs makes it depend on the install.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import random
from typing import Any, Final

import orjson

from ..licenses.model import Terms, Verdict
from ..licenses.verdict import verdict
from . import notices, offers
from .model import Notice, Release, Severity
from .shelf import Shelf

# The same answers come again and again, unless somebody invents versions. Bounds: so many, and so many bytes of them in
# all; an answer with ten long notices and three staged releases has 60 kB.
_ANSWERS: Final = 8_192
_ANSWERS_BYTES: Final = 8_000_000
# Verdicts of known licenses, by license and product. Bound: so many × some 250 bytes = 30 MB.
_VERDICTS: Final = 131_072
# Copies that started together shall not stay together: give or take a tenth.
_JITTER: Final = 0.1
_NOTHING: Final = b""

# What is kept: the length of the whole body, then the body as far as it is the same for all.
_Kept = bytes | tuple[tuple[int, int, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """What an answer depends on, beside the install."""

    product: str
    version: str
    channel: str | None
    verdict: str | None


class Advisor:
    """Knows what to tell the sender of a ping.

    ``product_ids`` maps keys to numbers and is looked into at each new answer, so it may change in place. ``next_s``
    is when to ping again, in seconds; 0 says nothing of it. What it knows is replaced as a whole by
    :meth:`set_releases`, :meth:`set_notices` and :meth:`set_licenses`; :meth:`refresh`, once a second, lets time pass.
    """

    def __init__(self, product_ids: Mapping[str, int], next_s: int = 0, now_s: float = 0.0) -> None:
        self._product_ids = product_ids
        self._releases: dict[int, list[Release]] = {}
        self._shelves: dict[tuple[int, str | None], Shelf] = {}
        self._notices: tuple[Notice, ...] = ()
        self._licenses: Mapping[bytes, Terms] = {}
        self._licensed: frozenset[int] = frozenset()
        self._answers: dict[tuple[str, str, str | None, str | None], _Kept] = {}
        self._kept_bytes = 0
        self._verdicts: dict[tuple[bytes, str], str | None] = {}
        self._now = datetime.fromtimestamp(now_s, UTC)
        self._change: datetime | None = None
        self._low_s, self._span_s = _jittered(next_s)
        # The number has as many digits at each answer, so that the length is known before.
        self._digits = len(str(self._low_s)) if next_s else 0

    def set_releases(self, releases: Iterable[Release]) -> None:
        """Know these releases, and no others."""
        found: dict[int, list[Release]] = {}
        for release in releases:
            found.setdefault(release.product, []).append(release)
        if found != self._releases:
            self._releases = found
            self._forget()

    def set_notices(self, found: Sequence[Notice]) -> None:
        """Know these notices, and no others."""
        if tuple(found) != self._notices:
            self._notices = tuple(found)
            self._forget()

    def set_licenses(self, licenses: Mapping[bytes, Terms]) -> None:
        """Know these licenses by the hashes of their keys, and no others. The mapping is kept, not copied."""
        self._licenses = licenses
        self._licensed = frozenset(terms.product for terms in licenses.values())
        self._verdicts = {}

    @property
    def licenses(self) -> Mapping[bytes, Terms]:
        """The registered licenses, by the hashes of their keys; another mapping once they have changed."""
        return self._licenses

    def refresh(self, now_s: float) -> None:
        """Let time pass: forget what it has changed by the Unix time ``now_s``."""
        now = datetime.fromtimestamp(now_s, UTC)
        if now.date() != self._now.date():
            self._verdicts = {}
            self._now = now
            self._forget()
        self._now = now
        if self._change is not None and now >= self._change:
            self._forget()

    def advise(
        self, product: str, version: str, channel: str | None, license: bytes | None, install: bytes
    ) -> bytes | None:
        """Return the Content-Length, an empty line and the JSON of the answer; None where there is nothing to say.

        ``license`` and ``install`` are hashed, as stored.
        """
        if license is None:
            found = None
        else:
            try:
                found = self._verdicts[license, product]
            except KeyError:
                found = self._judge(license, product)
        kept = self._answers.get((product, version, channel, found))
        if kept is None:
            kept = self._compose(_Key(product, version, channel, found))
        if isinstance(kept, tuple):
            kept = _choose(kept, install)
        if self._digits:
            return b"%b%d}" % (kept, self._low_s + int(random() * self._span_s))
        return kept or None

    def _judge(self, license: bytes, product: str) -> str | None:
        terms = self._licenses.get(license)
        number = self._product_ids.get(product, 0)
        if terms is None:
            # A vendor that has registered no license of a product sells none, or does not want to know. Not kept:
            # anybody can invent a key.
            return Verdict.UNKNOWN.value if number in self._licensed else None
        if len(self._verdicts) >= _VERDICTS:
            self._verdicts = {}
        found = self._verdicts[license, product] = verdict(terms, number, self._now.date()).value
        return found

    def _compose(self, key: _Key) -> _Kept:
        number = self._product_ids.get(key.product, 0)
        common: dict[str, Any] = {}
        if key.verdict is not None:
            common["license"] = key.verdict
        if told := notices.matching(self._notices, number, key.version, self._now):
            common["notices"] = [_notice(notice) for notice in told]
        choices: list[tuple[int, int, bytes]] = []
        for release, outdated, severity in self._shelf(number, key.channel).offers(key.version):
            said = _offer(release, outdated, severity)
            choices.append((release.id, release.share, self._render({**said, **common})))
        if not choices or choices[-1][1] < 100:
            choices.append((0, 100, self._render(common)))
        kept: _Kept = choices[0][2] if len(choices) == 1 else tuple(choices)
        size = sum(len(body) for _, _, body in choices)
        if len(self._answers) >= _ANSWERS or self._kept_bytes + size > _ANSWERS_BYTES:
            self._answers, self._kept_bytes = {}, 0
        self._kept_bytes += size
        self._answers[key.product, key.version, key.channel, key.verdict] = kept
        return kept

    def _shelf(self, product: int, channel: str | None) -> Shelf:
        """The shelf of a channel; all that have no release of their own share one, for clients name their channels."""
        releases = self._releases.get(product, ())
        if not any(release.channel == channel for release in releases):
            channel = None
        found = self._shelves.get((product, channel))
        if found is None:
            found = self._shelves[product, channel] = Shelf(releases, channel, self._now.date())
        return found

    def _render(self, said: Mapping[str, Any]) -> bytes:
        if not self._digits:
            body = orjson.dumps(said) if said else _NOTHING
            return b"%d\r\n\r\n%b" % (len(body), body) if body else _NOTHING
        body = orjson.dumps({**said, "next_s": 0})[:-2]
        return b"%d\r\n\r\n%b" % (len(body) + self._digits + 1, body)

    def _forget(self) -> None:
        self._answers, self._kept_bytes = {}, 0
        self._shelves = {}
        every = [release for some in self._releases.values() for release in some]
        self._change = notices.next_change(every, self._notices, self._now)


def _offer(release: Release, outdated: bool, severity: Severity) -> dict[str, Any]:
    """What is said of the newest release that an install may take."""
    if not outdated:
        return {"latest": release.version, "outdated": False}
    said = {"latest": release.version, "outdated": True, "severity": severity.value}
    if release.url:
        said["url"] = release.url
    if release.notes_url:
        said["notes_url"] = release.notes_url
    return said


def _notice(notice: Notice) -> dict[str, str]:
    said = {"text": notice.text, "level": notice.level.value}
    return {**said, "url": notice.url} if notice.url else said


def _choose(choices: tuple[tuple[int, int, bytes], ...], install: bytes) -> bytes:
    """The answer with the newest release whose share includes the install; the last includes all."""
    for release_id, share, kept in choices:
        if share == 100 or offers.includes(install, release_id, share):
            return kept
    return choices[-1][2]


def _jittered(next_s: int) -> tuple[int, int]:
    """The least number of seconds and how many above it there are, all with as many digits as ``next_s``."""
    digits = len(str(next_s))
    low_s = max(int(next_s * (1 - _JITTER)), 10 ** (digits - 1))
    high_s = min(int(next_s * (1 + _JITTER)), 10**digits - 1)
    return low_s, max(1, high_s - low_s + 1)
