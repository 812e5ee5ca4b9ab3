"""The settings: every one through every source, every mistake with its message, no secret in any."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from callhome.ingest.model import Ping
from callhome.settings import (
    TABLE,
    DatabaseSettings,
    DatabaseUrl,
    Listen,
    Settings,
    SettingsError,
    SmtpUrl,
    collect,
    load,
)
from callhome.settings.kinds import LEGACY_TARGETS
from callhome.settings.render import effective, markdown

URL: Final = "postgresql://callhome:pass%40word@db.example:5433/callhome"
SECRET: Final = "0123456789abcdef" * 4
NEEDED: Final = {"CALLHOME_DATABASE_URL": URL, "CALLHOME_SECRET": SECRET}
# An SMTP_URL needs a sender.
WITH_SENDER: Final = {"CALLHOME_MAIL_FROM": "callhome@example.com"}

# Setting -> (as written in a variable or a file, as written in TOML, what it becomes). GEO stands for a file.
CHANGED: Final[dict[str, tuple[str, str, Any]]] = {
    "database_url": ("postgres://h/d", '"postgres://h/d"', DatabaseUrl("postgres://h/d")),
    "secret": ("y" * 32, f'"{"y" * 32}"', "y" * 32),
    "ingest_listen": ("[::1]:8080", '"[::1]:8080"', Listen("::1", 8080)),
    "console_listen": (":0", '":0"', Listen("", 0)),
    "console_hosts": ("Map.example, b", '["Map.example", "b"]', ("map.example", "b")),
    "trusted_proxies": (
        "10.0.0.0/8, ::1",
        '["10.0.0.0/8", "::1"]',
        (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
    ),
    "geo_database": ("GEO", "'GEO'", "GEO"),
    "loop": ("asyncio", '"asyncio"', "asyncio"),
    "legacy_paths": ("/a.php,/b,/a.php", '["/a.php", "/b"]', ("/a.php", "/b")),
    "legacy_fields": (
        "prod=product, v=version",
        '{prod = "product", v = "version"}',
        {"prod": "product", "v": "version"},
    ),
    "legacy_always_ok": ("yes", "true", True),
    "connections": ("100", "100", 100),
    "pending_pings": ("6_000", "6_000", 6_000),
    "pending_bytes": ("10000000", "10_000_000", 10_000_000),
    "batch_pings": ("7", "7", 7),
    "header_s": ("0.5", "0.5", 0.5),
    "body_s": ("7", "7", 7.0),
    "keepalive_s": ("30", "30", 30.0),
    "commit_s": ("3", "3", 3.0),
    "pings_per_s": ("1000", "1_000", 1_000),
    "install_pings_s": ("0.5", "0.5", 0.5),
    "install_burst": ("10", "10", 10),
    "prefix_installs": ("500", "500", 500),
    "workers": ("4", "4", 4),
    "spool_dir": ("GEO", "'GEO'", "GEO"),
    "spool_bytes": ("5_000_000", "5_000_000", 5_000_000),
    "spool_disk_percent": ("50", "50", 50),
    "spool_after_s": ("0.5", "0.5", 0.5),
    "stop_s": ("9", "9", 9.0),
    "stop_delay_s": ("3", "3", 3.0),
    "stop_drain_s": ("60", "60", 60.0),
    "retention_days": ("100", "100", 100),
    "next_s": ("3600", "3600", 3_600),
    "console_url": ("https://c.example/x/", '"https://c.example/x/"', "https://c.example/x"),
    "map_guests": ("yes", "true", True),
    "map_floor": ("10", "10", 10),
    "session_idle_s": ("3600", "3_600", 3_600),
    "session_days": ("7", "7", 7),
    "viewer_idle_days": ("30", "30", 30),
    "viewer_days": ("365", "365", 365),
    "audit_days": ("90", "90", 90),
    "smtp_url": (
        "smtp+starttls://mailer:open%20sesame@mail.example",
        '"smtp+starttls://mailer:open%20sesame@mail.example:587"',
        SmtpUrl("mail.example", 587, "starttls", "mailer", "open sesame"),
    ),
    "smtp_ca": ("GEO", "'GEO'", "GEO"),
    "smtp_connections": ("7", "7", 7),
    "smtp_s": ("1.5", "1.5", 1.5),
    "mail_from": ("stats@Example.org", '"stats@Example.org"', "stats@example.org"),
    "viewers": ("0", "0", 0),
    "allow_fsync_off": ("on", "true", True),
}


def value_of(settings: Settings, name: str) -> Any:
    """A setting's value, comparable with `CHANGED`."""
    value = getattr(settings, name)
    if name == "secret":
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("source", ["option", "environment", "secrets", "prefixed secrets", "toml"])
@pytest.mark.parametrize("name", TABLE)
def test_each_setting_arrives_from_each_source(name: str, source: str, tmp_path: Path) -> None:
    """Every setting can be changed from every source, and from its default to something else."""
    geo = tmp_path / "geo.mmdb"
    if name != "spool_dir":
        geo.write_bytes(b"")
    text, toml, expected = (
        part.replace("GEO", str(geo)) if isinstance(part, str) else part for part in CHANGED[name]
    )
    needed = NEEDED | WITH_SENDER if name == "smtp_url" else NEEDED
    environ = {key: value for key, value in needed.items() if key != TABLE[name].variable}
    overrides: dict[str, Any] = {}
    match source:
        case "option":
            overrides[name] = text
        case "environment":
            environ[TABLE[name].variable] = text
        case "toml":
            (tmp_path / "callhome.toml").write_text(f"{name} = {toml}\n")
            environ["CALLHOME_CONFIG"] = str(tmp_path / "callhome.toml")
        case _:
            (tmp_path / "secrets").mkdir()
            file = name if source == "secrets" else TABLE[name].variable
            (tmp_path / "secrets" / file).write_text(text + "\n")
            environ["CALLHOME_SECRETS_DIR"] = str(tmp_path / "secrets")

    found = load(Settings, overrides, environ=environ)

    assert value_of(found, name) == expected
    assert value_of(found, name) != value_of(load(Settings, environ=NEEDED), name)


def test_the_stronger_source_counts(tmp_path: Path) -> None:
    """Command line > environment > secrets folder > TOML file > fallback > default."""
    (tmp_path / "secrets").mkdir()
    config = tmp_path / "callhome.toml"
    fallbacks = {"header_s": 1.0, "body_s": 1.0, "keepalive_s": 1.0, "commit_s": 1.0, "stop_s": 1.0}
    config.write_text("header_s = 2\nbody_s = 2\nkeepalive_s = 2\ncommit_s = 2\n")
    for name in ("header_s", "body_s", "keepalive_s"):
        (tmp_path / "secrets" / name).write_text("3")
    environ = NEEDED | {"CALLHOME_HEADER_S": "4", "CALLHOME_BODY_S": "4"}
    environ["CALLHOME_SECRETS_DIR"] = str(tmp_path / "secrets")

    found = load(Settings, {"header_s": "5"}, config=config, environ=environ, fallbacks=fallbacks)

    assert [found.header_s, found.body_s, found.keepalive_s, found.commit_s, found.stop_s] == [5, 4, 3, 2, 1]
    assert found.viewers == Settings.model_fields["viewers"].default


WRONG: Final = [
    ("CALLHOME_DATABASE_URL", "mysql://u:topsecret@h/d", "PostgreSQL URL.*doesn't begin with postgresql://"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret/x@h/d", "PostgreSQL URL.*as %40 %2F"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:top@secret@h/d", "PostgreSQL URL.*as %40 %2F"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:123?topsecret@h/d", "PostgreSQL URL.*as %40 %2F"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@h:port/d", "is not HOST or HOST:PORT"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@h:65536/d", "PostgreSQL URL.*port is not from 1"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@h:0/d", "port is not from 1 to 65535"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@h/d?port=5432,65536", "port is not from 1"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@a,,b/d", "is not HOST or HOST:PORT"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@:5432/d", "is not HOST or HOST:PORT"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@/d?host=a,,b", "parameter host names a host that"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@h℀x/d", "is not HOST or HOST:PORT"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret℀@h/d", "isn't ASCII as %XX"),
    ("CALLHOME_DATABASE_URL", "postgresql://u:topsecret@[:]/d", r"an IPv6 address as \[::1\]"),
    ("CALLHOME_DATABASE_URL", "postgresql://u@h/d?pass%77ord=topsecret", "NAME=VALUE"),
    ("CALLHOME_DATABASE_URL", "postgresql://u@h/d?a=1&topsecret", "NAME=VALUE"),
    ("CALLHOME_SECRET", "topsecret", "at least 32 characters.*; it has 9 characters"),
    ("CALLHOME_INGEST_LISTEN", "8080", "HOST:PORT.*; got '8080'"),
    ("CALLHOME_INGEST_LISTEN", "::1:8080", r"\[IPV6\]:PORT.*; got '::1:8080'"),
    ("CALLHOME_INGEST_LISTEN", "[1:2]:8080", r"\[1:2\] is no IPv6 address"),
    ("CALLHOME_CONSOLE_LISTEN", "localhost:65536", "HOST:PORT.*65536 is no port"),
    ("CALLHOME_CONSOLE_LISTEN", "127.0.0.1:8080", "INGEST_LISTEN and CONSOLE_LISTEN are the same"),
    (
        "CALLHOME_CONSOLE_HOSTS",
        "map.example:8081",
        "host names without a port.*'map.example:8081' is no host",
    ),
    ("CALLHOME_CONSOLE_HOSTS", "http://map.example", "host names.*is no host name"),
    ("CALLHOME_CONSOLE_HOSTS", "*", "host names.*is no host name"),
    ("CALLHOME_TRUSTED_PROXIES", "10.0.0.1/8", r"networks.*host bits set; did you mean 10\.0\.0\.0/8\?"),
    ("CALLHOME_TRUSTED_PROXIES", "proxy", "networks.*'proxy' is no network"),
    ("CALLHOME_GEO_DATABASE", "/nowhere.mmdb", r"readable \.mmdb file.*there is no file '/nowhere\.mmdb'"),
    ("CALLHOME_GEO_DATABASE", "/", r"readable \.mmdb file.*there is no file '/'"),
    ("CALLHOME_LOOP", "trio", "uvloop or asyncio; got 'trio'"),
    ("CALLHOME_LEGACY_PATHS", "ping", "paths.*'ping' is no path"),
    ("CALLHOME_LEGACY_PATHS", "/a?b", r"paths.*'/a\?b' is no path"),
    ("CALLHOME_LEGACY_PATHS", "/v1/ping", "'/v1/ping' is taken"),
    ("CALLHOME_LEGACY_PATHS", "/livez", "'/livez' is taken"),
    ("CALLHOME_LEGACY_FIELDS", "prod", "pairs old=new.*'prod' has no '='"),
    ("CALLHOME_LEGACY_FIELDS", "prod=produkt", "'prod' is mapped to 'produkt'; a ping has product, version"),
    ("CALLHOME_LEGACY_FIELDS", "x=extra", "'x' is mapped to 'extra'"),
    ("CALLHOME_LEGACY_FIELDS", "=product", "the old name '' is empty"),
    ("CALLHOME_LEGACY_FIELDS", "p=product,p=version", "the old name 'p' is there twice"),
    ("CALLHOME_LEGACY_ALWAYS_OK", "maybe", "true or false; got 'maybe'"),
    ("CALLHOME_CONNECTIONS", "9", "whole number of connections from 10 to 1,000,000; got '9'"),
    ("CALLHOME_PENDING_PINGS", "999", "from 1,000 to 10,000,000; got '999'"),
    ("CALLHOME_PENDING_PINGS", "2000", "BATCH_PINGS is more than PENDING_PINGS"),
    ("CALLHOME_PENDING_BYTES", "64 MiB", "whole number of bytes.*; got '64 MiB'"),
    ("CALLHOME_BATCH_PINGS", "0", "whole number of pings from 1 to 100,000; got '0'"),
    ("CALLHOME_HEADER_S", "ten", "a number of seconds from 0.1 to 60; got 'ten'"),
    ("CALLHOME_BODY_S", "nan", "a number of seconds from 0.1 to 60; got 'nan'"),
    ("CALLHOME_KEEPALIVE_S", "inf", "seconds from 0.1 to 3,600; got 'inf'"),
    ("CALLHOME_COMMIT_S", "0", "seconds from 0.1 to 60; got '0'"),
    ("CALLHOME_STOP_S", "-1", "seconds from 0.1 to 600; got '-1'"),
    ("CALLHOME_STOP_DELAY_S", "601", "seconds from 0 to 600; got '601'"),
    ("CALLHOME_STOP_DRAIN_S", "a day", "seconds from 0 to 604,800; got 'a day'"),
    ("CALLHOME_PINGS_PER_S", "-1", "whole number of pings a second from 0 to 10,000,000; got '-1'"),
    ("CALLHOME_INSTALL_PINGS_S", "nan", "a number of pings a second from 0 to 1,000; got 'nan'"),
    ("CALLHOME_INSTALL_BURST", "0", "whole number of pings from 1 to 1,000,000; got '0'"),
    ("CALLHOME_PREFIX_INSTALLS", "2.5", "whole number of installs from 0 to 1,000,000; got '2.5'"),
    ("CALLHOME_MAP_GUESTS", "some", "true or false; got 'some'"),
    ("CALLHOME_MAP_FLOOR", "-1", "a whole number of installs from 0 to 1,000; got '-1'"),
    ("CALLHOME_SESSION_IDLE_S", "59", "a whole number of seconds from 60 to 2,592,000; got '59'"),
    ("CALLHOME_SESSION_DAYS", "401", "a whole number of days from 1 to 400; got '401'"),
    ("CALLHOME_VIEWER_IDLE_DAYS", "0", "a whole number of days from 1 to 400; got '0'"),
    ("CALLHOME_VIEWER_DAYS", "for ever", "a whole number of days from 1 to 400; got 'for ever'"),
    ("CALLHOME_AUDIT_DAYS", "29", "a whole number of days from 30 to 36,500; got '29'"),
    ("CALLHOME_WORKERS", "0", "a whole number of processes from 1 to 256; got '0'"),
    (
        "CALLHOME_SPOOL_DIR",
        "/nowhere/spool",
        r"the path of a folder.*there is no folder '/nowhere' to make 'spool' in",
    ),
    ("CALLHOME_SPOOL_DIR", "/etc/hostname", "'/etc/hostname' is no folder"),
    ("CALLHOME_SPOOL_BYTES", "1000", "whole number of bytes from 1,048,576 to"),
    ("CALLHOME_SPOOL_DISK_PERCENT", "0", "whole number of percent from 1 to 100; got '0'"),
    ("CALLHOME_SPOOL_AFTER_S", "0", "a number of seconds from 0.05 to 60; got '0'"),
    ("CALLHOME_RETENTION_DAYS", "99", "whole number of days from 100 to 36,500; got '99'"),
    ("CALLHOME_RETENTION_DAYS", "400.5", "whole number of days.*; got '400.5'"),
    ("CALLHOME_NEXT_S", "1h", "whole number of seconds from 0 to 2,592,000; got '1h'"),
    ("CALLHOME_CONSOLE_URL", "callhome.example.com", "an http or https URL.*got 'callhome.example.com'"),
    ("CALLHOME_CONSOLE_URL", "https://c.example/?a=b", "an http or https URL"),
    ("CALLHOME_CONSOLE_URL", "https://c.example/\r\nBcc: x", "an http or https URL"),
    ("CALLHOME_SMTP_URL", "mail.example", r"smtps://.*it doesn't begin with smtps://"),
    ("CALLHOME_SMTP_URL", "http://u:topsecret@h", "it doesn't begin with smtps://"),
    ("CALLHOME_SMTP_URL", "smtp://u:topsecret@h", "a password is sent only over TLS"),
    ("CALLHOME_SMTP_URL", "smtps://u:top@secret@h", r"USER:PASSWORD before @.*as %XX"),
    ("CALLHOME_SMTP_URL", "smtps://topsecret@h", "USER:PASSWORD before @"),
    ("CALLHOME_SMTP_URL", "smtps://u:topsecret@h:0", "port is not from 1 to 65535"),
    ("CALLHOME_SMTP_URL", "smtps://u:topsecret@h/x", "is not HOST or HOST:PORT"),
    ("CALLHOME_SMTP_URL", "smtps://", "is not HOST or HOST:PORT"),
    ("CALLHOME_SMTP_CA", "/nowhere.pem", r"certificates in PEM.*there is no file '/nowhere\.pem'"),
    ("CALLHOME_SMTP_CONNECTIONS", "0", "whole number of connections from 1 to 100; got '0'"),
    ("CALLHOME_SMTP_S", "0", "a number of seconds from 0.1 to 600; got '0'"),
    ("CALLHOME_MAIL_FROM", "callhome", "an e-mail address.*got 'callhome'"),
    ("CALLHOME_MAIL_FROM", "a@b.c\r\nBcc: x@y.z", "an e-mail address"),
    ("CALLHOME_VIEWERS", "x" * 1000, "whole number of viewers from 0 to 100,000; got 'x{79}…$"),
    ("CALLHOME_ALLOW_FSYNC_OFF", "never", "true or false; got 'never'"),
]


@pytest.mark.parametrize(("variable", "value", "message"), WRONG)
def test_a_wrong_value_is_named_with_what_was_expected(variable: str, value: str, message: str) -> None:
    """The message of each mistake names the setting, its source, what was expected, and no secret."""
    with pytest.raises(SettingsError, match=message) as caught:
        load(Settings, environ=NEEDED | {variable: value})

    (problem,) = caught.value.problems
    assert (
        problem.startswith(f"{variable} (environment): expected ")
        or "PINGS" in problem
        or "LISTEN" in problem
    )
    assert "secret@" not in problem
    assert "topsecret" not in repr(caught.value)
    assert caught.value.exit_code == 2


def test_every_setting_has_a_wrong_value_above() -> None:
    """No setting takes just anything: the table of mistakes covers each."""
    assert {variable for variable, _, _ in WRONG} == {row.variable for row in TABLE.values()}


def test_true_is_no_number(tmp_path: Path) -> None:
    """TOML's ``true`` isn't taken for 1."""
    config = tmp_path / "callhome.toml"
    config.write_text("body_s = true\n")
    with pytest.raises(SettingsError, match=r"body_s \(.*callhome.toml\): expected a number .*; got true"):
        load(Settings, config=config, environ=NEEDED)


def test_missing_settings_say_what_is_expected() -> None:
    """Without any settings the two that must be given are named, both at once."""
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ={})
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        "CALLHOME_DATABASE_URL: missing",
        "CALLHOME_SECRET: missing",
    ]
    assert str(caught.value).startswith("2 settings are wrong:\n  CALLHOME_DATABASE_URL")


UNKNOWN: Final = [
    ("CALLHOME_HEADER", "did you mean CALLHOME_HEADER_S?"),
    ("CALLHOME_secret", "did you mean CALLHOME_SECRET?"),
    ("CALLHOME_TRUSTED_PROXY", "did you mean CALLHOME_TRUSTED_PROXIES?"),
    ("CALLHOME_PORT", "`callhome settings` lists them"),
]


@pytest.mark.parametrize(("variable", "hint"), UNKNOWN)
def test_an_unknown_variable_stops_the_start(variable: str, hint: str) -> None:
    """A mistyped variable is named with what may have been meant; its value isn't shown."""
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ=NEEDED | {variable: "hunter2"})
    assert hint in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_unknown_keys_and_files_stop_the_start(tmp_path: Path) -> None:
    """Unknown TOML keys, secrets files and options are named at once, with a guess in their spelling."""
    config, secrets = tmp_path / "callhome.toml", tmp_path / "secrets"
    config.write_text('geo_databse = "x"\n')
    secrets.mkdir()
    (secrets / "secrets").write_text("hunter2")
    environ = NEEDED | {"CALLHOME_SECRETS_DIR": str(secrets)}
    with pytest.raises(SettingsError) as caught:
        load(Settings, {"loops": "uvloop"}, config=config, environ=environ)
    assert caught.value.problems == [
        "--loops (command line): there is no such setting; did you mean --loop?",
        f"secrets (secrets folder {secrets}): there is no such setting; did you mean secret?",
        f"geo_databse ({config}): there is no such setting; did you mean geo_database?",
    ]


def test_variables_of_others_are_let_alone(tmp_path: Path) -> None:
    """Kubernetes' service links, our own other variables, and empty ones are no unknown settings."""
    links = {
        "CALLHOME_SERVICE_HOST": "10.96.0.7",
        "CALLHOME_SERVICE_PORT": "8080",
        "CALLHOME_SERVICE_PORT_INGEST": "8080",
        "CALLHOME_PORT": "tcp://10.96.0.7:8080",
        "CALLHOME_PORT_8080_TCP_ADDR": "10.96.0.7",
        "CALLHOME_CONSOLE_PORT_8081_TCP": "tcp://10.96.0.8:8081",
        "CALLHOME_PG_BIN": "/usr/bin",
        "CALLHOME_GEO_DATABASE": "",
        "PATH": "/usr/bin",
    }
    assert load(Settings, environ=NEEDED | links) == load(Settings, environ=NEEDED)


def test_a_mounted_kubernetes_secret_is_read(tmp_path: Path) -> None:
    """The dot-folders and links of a mounted Secret are followed, not taken for settings."""
    version = tmp_path / "..2026_11_22"
    version.mkdir()
    (version / "secret").write_text(SECRET)
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / "secret").symlink_to("..data/secret")
    environ = {"CALLHOME_DATABASE_URL": URL, "CALLHOME_SECRETS_DIR": str(tmp_path)}
    assert load(Settings, environ=environ).secret.get_secret_value() == SECRET


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing or broken file or folder is a mistake of the settings, not a traceback."""
    broken, latin, twice = tmp_path / "a.toml", tmp_path / "b.toml", tmp_path / "secrets"
    broken.write_text("viewers =")
    latin.write_bytes(b'loop = "\xfc"')
    twice.mkdir()
    for name, content in (("secret", b"a" * 32), ("CALLHOME_SECRET", b"b" * 32), ("loop", b"\xfc")):
        (twice / name).write_bytes(content)
    (twice / "viewers").mkdir()
    cases: list[tuple[Path, str, list[str]]] = [
        (broken, "", ["a.toml: it is not TOML"]),
        (latin, "", ["b.toml: it is not UTF-8"]),
        (tmp_path / "c.toml", str(tmp_path / "none"), ["there is no folder", "No such file"]),
        (
            tmp_path,
            str(twice),
            ["secret .* given twice", "loop .* UTF-8", "viewers .*directory", "settings file"],
        ),
    ]
    for config, folder, messages in cases:
        with pytest.raises(SettingsError, match=".*\n?.*".join(messages[:1])) as caught:
            load(Settings, config=config, environ=NEEDED | {"CALLHOME_SECRETS_DIR": folder})
        assert len(caught.value.problems) == len(messages)


def test_secrets_are_never_shown() -> None:
    """Neither the settings' own text nor what `callhome settings` prints holds the secret or the password."""
    query = "postgresql://u@h/d?password=pass%40word&sslpassword=pass%40word&x=1"
    for url in (URL, query):
        environ = NEEDED | {"CALLHOME_DATABASE_URL": url}
        found = load(Settings, environ=environ)
        shown = f"{found!r} {found} {found.database_url} {effective(collect({}, None, environ, {}))}"
        assert "word&" not in shown
        assert "pass%40word" not in shown
        assert SECRET not in shown
        assert found.database_url.dsn == url
    assert str(DatabaseUrl(URL)) == "postgresql://callhome:***@db.example:5433/callhome"
    assert str(DatabaseUrl("postgresql://h:5432/d")) == "postgresql://h:5432/d"


def test_a_mail_server_is_shown_without_its_password() -> None:
    """Neither as a text nor among the settings does a mail server show its password."""
    environ = NEEDED | WITH_SENDER | {"CALLHOME_SMTP_URL": "smtps://mailer:open%20sesame@[::1]:4465"}
    found = load(Settings, environ=environ)
    assert str(found.smtp_url) == "smtps://mailer:***@[::1]:4465"
    shown = f"{found!r} {effective(collect({}, None, environ, {}))}"
    assert "sesame" not in shown
    assert str(SmtpUrl("mail.example", 25, "none")) == "smtp://mail.example:25"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtps://h", SmtpUrl("h", 465, "implicit")),
        ("smtp+starttls://h", SmtpUrl("h", 587, "starttls")),
        ("smtp://127.0.0.1", SmtpUrl("127.0.0.1", 25, "none")),
        ("smtp://[::1]:2525/", SmtpUrl("::1", 2525, "none")),
        ("smtps://a%40b:p%3A%40@h:1", SmtpUrl("h", 1, "implicit", "a@b", "p:@")),
    ],
)
def test_each_kind_of_mail_server(text: str, expected: SmtpUrl) -> None:
    """Each scheme has its safety and its usual port; user and password may have any character as %XX."""
    environ = NEEDED | WITH_SENDER | {"CALLHOME_SMTP_URL": text}
    assert load(Settings, environ=environ).smtp_url == expected


def test_a_mail_server_needs_a_sender() -> None:
    """SMTP_URL without MAIL_FROM is told: a mail needs somebody to come from."""
    with pytest.raises(SettingsError, match="SMTP_URL is given, but not MAIL_FROM"):
        load(Settings, environ=NEEDED | {"CALLHOME_SMTP_URL": "smtp://h"})


def test_settings_are_frozen() -> None:
    """Nothing changes a setting once it is loaded, nor adds one."""
    found = load(Settings, environ=NEEDED | {"CALLHOME_LEGACY_FIELDS": "p=product"})
    with pytest.raises(ValueError, match="frozen"):
        found.viewers = 5
    for fields in (found.legacy_fields, load(Settings, environ=NEEDED).legacy_fields):
        with pytest.raises(TypeError, match="assignment"):
            fields["v"] = "version"  # type: ignore[index]


def test_a_database_command_needs_the_database_alone() -> None:
    """`DatabaseSettings` asks for no secret, yet a mistyped variable stops it as well."""
    assert load(DatabaseSettings, environ={"CALLHOME_DATABASE_URL": URL}).database_url.dsn == URL
    with pytest.raises(SettingsError, match="no such setting"):
        load(DatabaseSettings, environ=NEEDED | {"CALLHOME_DATABASE": "x"})


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (Listen("127.0.0.1", 8080), "http://127.0.0.1:8080"),
        (Listen("", 8080), "http://127.0.0.1:8080"),
        (Listen("0.0.0.0", 1), "http://127.0.0.1:1"),
        (Listen("::", 1), "http://[::1]:1"),
        (Listen("::1", 1), "http://[::1]:1"),
        (Listen("map.example", 80), "http://map.example:80"),
    ],
)
def test_a_listener_has_an_address_to_try(listen: Listen, url: str) -> None:
    """A listener on every interface is reached over loopback."""
    assert listen.url == url


def test_legacy_fields_mean_fields_of_a_ping() -> None:
    """The fields old names may stand for are those of a ping that hold one value from the wire."""
    every = {field.name for field in msgspec.structs.fields(Ping)}
    assert every - {"extra", "weak"} == set(LEGACY_TARGETS)


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_every_setting_is_explained(row: Any) -> None:
    """Each setting has a help of its own, each number a unit and a reason, and a default that is allowed."""
    assert row.help.endswith(".")
    assert row.expected
    if row.name.endswith(("_s", "_pings", "_bytes", "_days")) or row.unit:
        assert row.unit
        assert row.reason.endswith(".")
    if row.default:
        load(Settings, environ=NEEDED | {row.variable: row.default})


def test_the_page_of_settings_is_up_to_date() -> None:
    """``docs/settings.md`` is what the table says (`make docs` writes it)."""
    page = Path(__file__).parent.parent / "docs" / "settings.md"
    assert page.read_text("utf-8") == markdown()
