"""What a mail and a webhook say of an event. Pure.

Names, versions and the like were written by others: in a mail they are texts, never a link, a header or a tag; in a
webhook's data they are as they were given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson
from babel.dates import format_time

from ..reports.model import Composed
from ..reports.wording import LANGUAGES, Wording, shown
from .model import Details, Kind, Message, Rule
from .page import Parts, page
from .texts import COMMANDS, Said, Texts
from .texts_en import EN
from .texts_fr import FR

TEXTS: Final[Mapping[str, Texts]] = MappingProxyType({"en": EN, "fr": FR})
# What was given by others stands in a subject up to this length, so that the rest of it can be read.
_SUBJECT_CHARACTERS: Final = 40


class Telling:
    """A message in words, in the language of its alert."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._texts = TEXTS[message.language]
        self._wording = Wording(LANGUAGES[message.language])
        self._n, self._values = self._said_values(message.event.details)

    @property
    def subject(self) -> str:
        """What a mail's subject says."""
        fields = {name: _plain(value) for name, value in self._values.items()}
        said = self._wording.counted(_forms(self._said.head), self._n, **fields)
        return f"{self._message.alert_name}: {said}"

    @property
    def sentence(self) -> str:
        """What has happened, with the numbers, as one text."""
        said = self._wording.counted(_forms(self._said.sentence), self._n, **self._values)
        offered = self._message.event.details.get("offered_percent", 100)
        if self._message.rule is Rule.RELEASE_SLOW and offered < 100 and self._is_event:
            said += self._texts.offered.format(percent=self._percent(offered))
        return said

    @property
    def command(self) -> str:
        """The command that shows more."""
        kind = self._message.event.kind
        details = {name: str(value) for name, value in self._message.event.details.items()}
        return COMMANDS[self._message.rule if kind is Kind.EVENT else kind].format_map(details)

    def mail(self, console_url: str | None) -> Composed:
        """Return the mail, the same for each recipient."""
        why = self._texts.why.format(
            name=shown(self._message.alert_name, 100), at=self._at(self._message.fired_at)
        )
        lines = [self.sentence, "", self._said.hint, f"    {self.command}", ""]
        if console_url:
            lines += [self._texts.console.format(url=console_url), ""]
        parts = Parts(
            self._message.language,
            self.subject,
            self.sentence,
            self._said.hint,
            self.command,
            why,
            console_url,
        )
        return Composed(
            self.subject,
            self._message.fired_at,
            "\n".join([*lines, why, ""]),
            page(parts),
            images=(),
            attachments=(),
        )

    def payload(self, console_url: str | None) -> bytes:
        """Return the body of the webhook, as Standard Webhooks has it: ``type``, ``timestamp``, ``data``."""
        message = self._message
        what = message.rule if self._is_event else message.event.kind
        data = {
            "alert": message.alert_name,
            "rule": message.rule.value,
            "event": message.event.name,
            "subject": message.event.subject,
            "text": self.sentence,
            "command": self.command,
            "console_url": console_url,
            "details": dict(message.event.details),
        }
        timestamp = message.fired_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return orjson.dumps({"type": f"alert.{what.value}", "timestamp": timestamp, "data": data})

    @property
    def _is_event(self) -> bool:
        return self._message.event.kind is Kind.EVENT

    @property
    def _said(self) -> Said:
        kind, details = self._message.event.kind, self._message.event.details
        if kind is not Kind.EVENT:
            return self._texts.more if kind is Kind.MORE else self._texts.test
        if self._message.rule is Rule.SILENCE and details["product"] is None:
            return self._texts.any_silence
        return self._texts.rules[self._message.rule]

    def _said_values(self, details: Details) -> tuple[int, dict[str, str]]:
        """The number that decides between the two forms of a text, and what its names in braces stand for."""
        wording = self._wording
        values = {name: shown(str(value)) for name, value in details.items()}
        values["product"] = shown(str(details.get("product_name") or details.get("product") or ""))
        values["rule"] = self._message.rule.value
        for name in ("seats_used", "allowed", "measure", "installs", "total"):
            if name in details:
                values[name] = wording.number(details[name])
        if "percent" in details:
            values["percent"] = self._percent(details["percent"])
        if details.get("total"):
            values["share"] = wording.share(details["installs"], details["total"])
        if "subjects" in details:
            values["subjects"] = ", ".join(map(shown, details["subjects"]))
        if not self._is_event:
            return int(details.get("count", 2)), values
        if "license" in details:
            values["whom"] = self._whom(details, values)
        if "finding_rule" in details:
            cause = f" ({wording.word(details['cause'])})" if details["cause"] else ""
            values["what"] = wording.word(details["finding_rule"]) + cause
        if "usual" in details:
            values["usual"] = wording.number(details["usual"])
            values["change"] = self._change(details["installs"], details["usual"])
            values["day"] = wording.weekday(date.fromisoformat(details["day"]))
        if "last" in details:
            values["last"] = self._at(datetime.fromisoformat(details["last"]))
        return int(details.get("minutes") or details.get("days") or 2), values

    def _whom(self, details: Details, values: Mapping[str, str]) -> str:
        if details["license"] is None:
            form = self._texts.install
        else:
            form = self._texts.license if details["last4"] else self._texts.license_without_end
        said = form.format_map(values)
        return said[0].upper() + said[1:] if self._message.rule is Rule.LICENSE_OVER else said

    def _change(self, installs: int, usual: float) -> str:
        if not usual:
            return self._texts.from_nothing
        form = self._texts.dropped if installs < usual else self._texts.jumped
        return form.format(percent=self._percent(100 * abs(installs - usual) / usual))

    def _percent(self, percent: float) -> str:
        # A share of a million tells per mille apart; what is said here needs no more than whole percents.
        return self._wording.share(round(percent * 1_000), 100_000)

    def _at(self, moment: datetime) -> str:
        moment = moment.astimezone(UTC)
        time = format_time(moment, "short", locale=LANGUAGES[self._message.language].locale)
        return self._texts.at.format(day=self._wording.day(moment.date()), time=time)


def _forms(text: str) -> str:
    """With two forms, one for one and one for several; a text without them is the same for both."""
    return text if "|" in text else f"{text}|{text}"


def _plain(value: Any) -> str:
    """A text for a subject, which may have no character that isn't seen."""
    text = "".join(char for char in str(value) if char.isprintable())
    return text if len(text) <= _SUBJECT_CHARACTERS else text[: _SUBJECT_CHARACTERS - 1] + "…"
