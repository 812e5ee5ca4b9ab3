"""`callhome.alerts.telling`: what a mail and a webhook say of each event, in each language."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest

from callhome.alerts.model import Kind, Rule
from callhome.alerts.telling import TEXTS, Telling
from callhome.alerts.texts import COMMANDS, Said, Texts
from callhome.cli import main
from callhome.reports.message import Envelope, Prepared
from callhome.reports.wording import LANGUAGES
from mail_rules import complaints, own_links
from messages import DETAILS, FIRED_AT, message

WORDS = LANGUAGES["en"].words
SAID = {
    "license_over": "The license …7K2F of Example Inc. (Example Server) is over its seats: 1,200 in use, 1,000 "
    "allowed.",
    "license_without_end": "A license of Example Inc. (Example Server) is over its seats: 2 in use, 1 allowed.",
    "finding": "Finding 12 is confirmed for the license …7K2F of Example Inc. (Example Server): "
    f"{WORDS['over_seats']}. Counted 14, allowed 10.",
    "finding_cause": "Finding 12 is confirmed for the license …7K2F of Example Inc. (Example Server): "
    f"{WORDS['over_seats']} ({WORDS['shared_key']}). Counted 14, allowed 10.",
    "clone": f"Finding 12 is confirmed for the install ab12 of Example Server: {WORDS['cloned_install']}. Counted 14, "
    "allowed 10.",
    "adopted": "Example Server 5.10 has reached 50%: 5,123 of 10,001 active installs have it or a newer version (51%).",
    "slow": "Example Server 5.10 is not at 80% 14 days after its release: 5,123 of 10,001 active installs have it or a "
    "newer version (51%).",
    "slow_day": "Example Server 5.10 is not at 80% a day after its release: 5,123 of 10,001 active installs have it or "
    "a newer version (51%). It is offered to 10% of the installs.",
    "dropped": "Example Server had 400 active installs on Tue 24 Nov: 60% fewer than usual. Usual on that weekday are "
    "1,000 (the median of the four weeks before).",
    "jumped": "Example Server had 2,500 active installs on Tue 24 Nov: 150% more than usual. Usual on that weekday are "
    "1,000.5 (the median of the four weeks before).",
    "from_nothing": "Example Server had 100 active installs on Tue 24 Nov: usually there are none. Usual on that "
    "weekday are 0 (the median of the four weeks before).",
    "silence": "No ping of Example Server has come for 30 minutes. The last one came on 25 Nov 2026, 00:30 UTC.",
    "any_silence": "No ping of any product has come for a minute. The last one came on 25 Nov 2026, 00:59 UTC.",
    "more": "At the same moment there were 480 more events, such as: license 20, license 21.",
    "one_more": "At the same moment there was one more event: license 20.",
    "test": "This is a test: nothing has happened. Alerts of the rule silence come this way.",
}
SUBJECTS = {
    "license_over": "watch: a license of Example Inc. is over its seats",
    "finding": "watch: finding 12 is confirmed",
    "adopted": "watch: Example Server 5.10 is at 50%",
    "slow": "watch: Example Server 5.10 is not at 80% yet",
    "dropped": "watch: active installs of Example Server: 60% fewer than usual",
    "silence": "watch: no pings of Example Server",
    "any_silence": "watch: no pings",
    "more": "watch: 480 more events",
    "one_more": "watch: one more event",
    "test": "watch: a test",
}


@pytest.mark.parametrize("of", SAID)
def test_a_sentence_has_the_numbers(of: str) -> None:
    """Each event is one sentence or two with its numbers, and names the command that shows more."""
    telling = Telling(message(of))
    assert telling.sentence == SAID[of]
    assert telling.subject == SUBJECTS.get(of, telling.subject)


def test_every_message_is_tested() -> None:
    """The sentences above are those of all rules and kinds."""
    assert SAID.keys() == DETAILS.keys()
    assert {rule for rule, _, _ in DETAILS.values()} == set(Rule)
    assert {kind for _, kind, _ in DETAILS.values()} == set(Kind)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("of", DETAILS)
def test_a_mail_is_whole_in_each_language(of: str, language: str) -> None:
    """No text has a hole; text and HTML say the same; the HTML keeps the rules of mails; the mail can be made."""
    telling = Telling(message(of, language))
    mail = telling.mail("https://callhome.example.com")
    assert mail.composed_at == FIRED_AT
    for text in (telling.subject, telling.sentence, mail.text):
        assert not re.search(r"[{}|]|None", text), text
    assert telling.sentence in mail.text
    assert "https://callhome.example.com" in mail.text
    wrong = [each for each in complaints(mail.html) if not each.startswith(own_links.__name__)]
    assert not wrong, "\n".join(wrong)
    assert re.findall('href="([^"]*)"', mail.html) == ["https://callhome.example.com"]
    assert "<a" not in telling.mail(None).html
    Prepared(mail).message(Envelope("callhome@example.com", "a@example.com", "msg_1@example.com"))


@pytest.mark.parametrize("language", [name for name in TEXTS if name != "en"])
def test_languages_have_the_same_holes(language: str) -> None:
    """A translation names the same values as the English text, and has two forms where that has them."""

    def holes(texts: Texts) -> list[object]:
        said = [*texts.rules.values(), texts.any_silence, texts.more, texts.test]
        return [
            *(
                [sorted(set(re.findall(r"\{\w+\}", text))) for text in (one.head, one.sentence)]
                for one in said
            ),
            *(one.sentence.count("|") for one in said),
            *(
                sorted(re.findall(r"\{\w+\}", getattr(texts, field.name)))
                for field in fields(Texts)
                if isinstance(getattr(texts, field.name), str)
            ),
        ]

    assert holes(TEXTS[language]) == holes(TEXTS["en"])
    assert all(isinstance(said, Said) for said in TEXTS[language].rules.values())


def test_commands_exist() -> None:
    """What a message says to call is a command, as soon as there is one of that name."""
    assert COMMANDS.keys() == {*Rule, Kind.MORE, Kind.TEST}
    for text in COMMANDS.values():
        program, *words = text.split()
        assert program == "callhome"
        command = main.get_command(None, words[0])  # type: ignore[arg-type]
        assert command is not None, words
        if not text.startswith("callhome watch"):
            assert words[1] in command.commands, text  # type: ignore[attr-defined]


HOSTILE = (
    "<script>x</script>\r\nBcc: a@example.com \N{RIGHT-TO-LEFT OVERRIDE} {0} {percent} $url \x1b[31m"
    + "x" * 999
)


@pytest.mark.parametrize(
    ("of", "name"),
    [
        ("license_over", "customer"),
        ("license_over", "last4"),
        ("adopted", "version"),
        ("adopted", "product_name"),
        ("silence", "product_name"),
        ("clone", "install"),
        ("finding", "finding_rule"),
        ("finding", "cause"),
    ],
)
def test_texts_of_others_stay_texts(of: str, name: str) -> None:
    """Whatever a customer or a client calls itself is neither a tag, a header, a hole, nor a whole page."""
    telling = Telling(message(of, **{name: HOSTILE}))
    mail = telling.mail(None)
    assert "<script" not in mail.html
    assert telling.subject.isprintable()
    assert len(telling.subject) < 150
    assert len(telling.sentence) < 400
    assert "\x1b" not in mail.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in mail.text
    raw = Prepared(mail).message(Envelope("callhome@example.com", "a@example.com", "msg_1@example.com"))
    head = raw.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"(?m)^Bcc:", head)


def test_a_webhook_gets_the_numbers_as_they_are() -> None:
    """The body has type, time and data; the data has each number, and texts as they were given."""
    body = json.loads(
        Telling(message("license_over", "fr", customer="<b>")).payload("https://callhome.example.com")
    )
    assert body["type"] == "alert.license_over"
    assert body["timestamp"] == "2026-11-25T01:00:00Z"
    data = body["data"]
    assert data["details"] == {**DETAILS["license_over"][2], "customer": "<b>"}
    assert data["text"].startswith("La licence …7K2F de <b> ")
    assert {name: data[name] for name in ("alert", "rule", "event", "subject", "console_url", "command")} == {
        "alert": "watch",
        "rule": "license_over",
        "event": "event license_over",
        "subject": "subject",
        "console_url": "https://callhome.example.com",
        "command": "callhome license list",
    }


@pytest.mark.parametrize(
    ("of", "type_"), [("more", "alert.more"), ("test", "alert.test"), ("slow", "alert.release_slow")]
)
def test_a_type_tells_what_it_is(of: str, type_: str) -> None:
    """A test and the message that tells of many have types of their own, so that a program can leave them out."""
    assert json.loads(Telling(message(of)).payload(None))["type"] == type_
