"""The settings table: every setting, its default, unit, bounds, help and reason, once.

``--help``, ``callhome settings``, ``docs/settings.md`` and every error message read this table.

long: one table, and whoever looks for a setting looks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SecretStr, model_validator
from pydantic.fields import FieldInfo

from . import kinds, mail

PREFIX: Final = "CALLHOME_"

Listen = Annotated[kinds.Listen, PlainValidator(kinds.listen)]
Url = Annotated[kinds.DatabaseUrl, PlainValidator(kinds.database_url)]
Secret = Annotated[SecretStr, PlainValidator(kinds.secret)]
Networks = Annotated[tuple[kinds.Network, ...], PlainValidator(kinds.networks)]
Paths = Annotated[tuple[str, ...], PlainValidator(kinds.paths)]
Hosts = Annotated[tuple[str, ...], PlainValidator(kinds.hosts)]
Fields = Annotated[Mapping[str, str], PlainValidator(kinds.fields)]
File = Annotated[Path, PlainValidator(kinds.readable_file)]
Folder = Annotated[Path, PlainValidator(kinds.own_folder)]
Smtp = Annotated[mail.SmtpUrl, PlainValidator(mail.smtp_url)]
Address = Annotated[str, PlainValidator(mail.mail_address)]
WebUrl = Annotated[str, PlainValidator(mail.web_url)]
Whole = Annotated[int, BeforeValidator(kinds.no_truth)]
Number = Annotated[float, BeforeValidator(kinds.no_truth)]


def _setting(default: Any, expected: str, help: str, reason: str = "") -> Any:
    """A setting; ``...`` as default means it must be given."""
    extra: dict[str, Any] = {"expected": expected, "reason": reason}
    if isinstance(default, MappingProxyType):  # pydantic would copy it, and can't
        return Field(default_factory=lambda: default, description=help, json_schema_extra=extra)
    return Field(default, description=help, json_schema_extra=extra)


def _number(default: float, bounds: tuple[float, float], unit: str, help: str, reason: str) -> Any:
    """A number of ``unit`` within ``bounds`` (both allowed)."""
    kind = "a whole number" if isinstance(default, int) else "a number"
    expected = f"{kind} of {unit} from {bounds[0]:,} to {bounds[1]:,}"
    extra: dict[str, Any] = {"expected": expected, "reason": reason, "unit": unit}
    return Field(default, ge=bounds[0], le=bounds[1], description=help, json_schema_extra=extra)


class DatabaseSettings(BaseModel):
    """What commands that speak to the database alone need."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: Url = _setting(
        ...,
        "a PostgreSQL URL such as postgresql://user:password@host:5432/callhome",
        "The PostgreSQL database (15 or newer) that keeps everything. "
        "`callhome serve --embedded` brings its own; other commands find it by the CALLHOME_SECRETS_DIR "
        "that it prints.",
    )


class SecretSettings(DatabaseSettings):
    """What commands that store licenses need."""

    secret: Secret = _setting(
        ...,
        f"a text of at least {kinds.SECRET_CHARACTERS} characters, such as `openssl rand -hex 32` prints",
        "The key of the pseudonyms under which installs and licenses are stored. The same on every replica. "
        "Never change it: every install would count as a new one.",
        f"{kinds.SECRET_CHARACTERS} hexadecimal digits are 128 bits.",
    )


class Settings(SecretSettings):
    """Every setting of a running server; frozen, and never given another default on the way."""

    ingest_listen: Listen = _setting(
        kinds.Listen("127.0.0.1", 8080),
        "HOST:PORT, [IPV6]:PORT or :PORT",
        "Where pings are taken in: the listener that may face the internet. "
        "`:8080` is every interface; port 0 is any free one.",
        "Loopback, so that nothing is open to others before somebody says so.",
    )
    console_listen: Listen = _setting(
        kinds.Listen("127.0.0.1", 8081),
        "HOST:PORT, [IPV6]:PORT or :PORT",
        "Where the map, the pages, the API and the metrics are: the listener that faces the company only.",
        "Loopback, as above.",
    )
    console_hosts: Hosts = _setting(
        (),
        "host names without a port, comma separated, such as callhome.example.com",
        "The names under which people open the console. Requests for any other name are answered with 421, "
        "but for IP addresses, localhost and the host of CONSOLE_LISTEN.",
        "None: a website could have a name of its own resolve to the console, and read it in its visitors' browsers.",
    )
    trusted_proxies: Networks = _setting(
        (),
        "networks, comma separated, such as 10.0.0.0/8,fd00::/8",
        "Proxies whose X-Forwarded-For is believed. The header of any other peer is ignored.",
        "None: a header that anyone can send proves nothing.",
    )
    geo_database: File | None = _setting(
        None,
        "the path of a readable .mmdb file",
        "Countries of addresses, as GeoLite2, DB-IP or City files give them; read again when it changes. "
        "Without it, the registries' own data in the package serve.",
    )
    loop: Literal["uvloop", "asyncio"] = _setting(
        "uvloop",
        "uvloop or asyncio",
        "The event loop. `asyncio` is slower, and there to tell whether a fault is uvloop's.",
    )
    workers: Whole = _number(
        1,
        (1, 256),
        "processes",
        "Processes that `callhome serve` runs on this machine, on the same ports (Linux only). Each is a replica with "
        "a folder of its own in SPOOL_DIR, and keeps to all other settings by itself. Not more than there are cores.",
        "One takes some 60,000 pings a second, more than most have, and leaves the other cores to PostgreSQL.",
    )
    legacy_paths: Paths = _setting(
        (),
        "paths, comma separated, such as /ping.php,/check/version",
        "Further paths on which old copies send their GET or form requests. `/ping` is always there.",
    )
    legacy_fields: Fields = _setting(
        MappingProxyType({}),
        "pairs old=new, comma separated, such as prod=product,ver=version (in TOML a table)",
        "Names of fields in old requests, and the fields of a ping that they mean. "
        "A name that isn't here stands for itself.",
    )
    legacy_always_ok: bool = _setting(
        False,
        "true or false",
        "Answer OK to refused old requests too, for old copies that show their users an error otherwise.",
    )
    connections: Whole = _number(
        15_000,
        (10, 1_000_000),
        "connections",
        "Open ingest connections at most; further ones are answered with 503, or just closed when they are many. "
        "Each needs a file descriptor; with too few (`ulimit -n`), fewer are served, and the log says so.",
        "At most 200 MB at 4,000 connections is what the bench demands; four times that fits in 1 GB.",
    )
    pending_pings: Whole = _number(
        50_000,
        (1_000, 10_000_000),
        "pings",
        "Pings that may wait for their commit; further ones are answered with 503 and Retry-After.",
        "One second of the most one core has taken in (50 k/s). At least 1,000: one full batch request.",
    )
    pending_bytes: Whole = _number(
        64 * 2**20,
        (8 * 2**20, 16 * 2**30),
        "bytes",
        "The same bound in memory: the encoded rows of all waiting pings.",
        "1.3 KiB for each of 50,000 pings, some four times a usual row. At least one unpacked batch request.",
    )
    batch_pings: Whole = _number(
        5_000,
        (1, 100_000),
        "pings",
        "Pings in one commit at most; what is above it goes into the next.",
        "COPY was measured to be as fast from 500 rows on, and a refused row is found by halving the batch.",
    )
    pings_per_s: Whole = _number(
        0,
        (0, 10_000_000),
        "pings a second",
        "What one replica takes in, of all clients together; what comes beyond it is answered with 503 before it is "
        "looked at. 0: as much as it can.",
        "0: what waits for its commit is bounded anyway. It is there for a database that others need, too.",
    )
    install_pings_s: Number = _number(
        1.0,
        (0, 1_000),
        "pings a second",
        "What one install may send in the long run; what comes beyond it is answered with 429 and Retry-After. "
        "Requests without an install id are not limited. 0: no install is.",
        "A product pings once a day, or every few minutes; one a second is a program that has gone wild.",
    )
    install_burst: Whole = _number(
        1_000,
        (1, 1_000_000),
        "pings",
        "How many pings an install may send at once, before INSTALL_PINGS_S counts (give or take a sixty-fourth).",
        "Three pings a day, kept for a year without a network, come at once; so does a ping that is repeated in vain.",
    )
    prefix_installs: Whole = _number(
        2_000,
        (0, 1_000_000),
        "installs",
        "Installs of one network (/24 of IPv4, /56 of IPv6) within a clock hour that count at once, for each replica. "
        "Those beyond are stored, but unverified, and count once they ping on a second day, or with a registered "
        "license. 0: no ceiling.",
        "A large office at nine in the morning stays below it; who invents installs moves no number by more.",
    )
    header_s: Number = _number(
        10.0,
        (0.1, 60),
        "seconds",
        "How long a request's header may take, from its first byte (or the connection's start) to its end.",
        "A silent socket must be gone within 15 s; nginx and Apache allow 60 and 20 s, to browsers.",
    )
    body_s: Number = _number(
        5.0,
        (0.1, 60),
        "seconds",
        "How long a ping's body may take; then 408. The batch route has three times that.",
        "16 KiB in 5 s is 26 kbit/s, less than a modem.",
    )
    keepalive_s: Number = _number(
        75.0,
        (0.1, 3_600),
        "seconds",
        "How long an idle connection stays open for the next request.",
        "nginx's keepalive_timeout; longer than the 60 s after which load balancers drop theirs.",
    )
    commit_s: Number = _number(
        10.0,
        (0.1, 60),
        "seconds",
        "How long a commit may take before its pings are answered with 503.",
        "A commit takes milliseconds; most clients give up at 15 or 30 s, and ought to hear it before.",
    )
    spool_dir: Folder | None = _setting(
        None,
        "the path of a folder, or of one to be made in a folder that is there",
        "Where pings are kept while the database is away or slow, and what ingest must know of it. On a disk that "
        "outlives the process, and for one server alone. Without it, pings get 503 while the database is away, and the "
        "server does not start without it.",
    )
    spool_bytes: Whole = _number(
        10 * 2**30,
        (2**20, 2**50),
        "bytes",
        "Size of the spool at most; then pings get 503 and Retry-After.",
        "Some 30 million pings of usual size: four hours at 2,000 a second.",
    )
    spool_disk_percent: Whole = _number(
        90,
        (1, 100),
        "percent",
        "How full the spool's disk may be, with all that others have on it; then pings get 503 and Retry-After.",
        "File systems get slow, and others fail, when the last tenth is taken.",
    )
    spool_after_s: Number = _number(
        2.0,
        (0.05, 60),
        "seconds",
        "How long a commit may take before its pings are spooled, and those after it.",
        "A commit takes milliseconds; most clients wait at least 3 s for an answer.",
    )
    stop_s: Number = _number(
        20.0,
        (0.1, 600),
        "seconds",
        "How long stopping may take: refuse, drain, commit, close. STOP_DELAY_S comes before it, and STOP_DRAIN_S is "
        "not counted in it.",
        "Kubernetes kills 30 s after SIGTERM by default.",
    )
    stop_delay_s: Number = _number(
        0.0,
        (0, 600),
        "seconds",
        "How long a server that is told to stop goes on taking pings: /readyz says 503, and each answer ends its "
        "connection, so that load balancers and clients go elsewhere before anything is refused.",
        "0: without a load balancer there is nobody to notice. Kubernetes needs some seconds to tell all its nodes.",
    )
    stop_drain_s: Number = _number(
        0.0,
        (0, 604_800),
        "seconds",
        "How long a server that is told to stop waits until its spool is in the database. For replicas that may not "
        "be started again, so that none leaves pings behind on its disk.",
        "0: a server that is started again on the same disk drains it then. A week at most: by then somebody looks.",
    )
    retention_days: Whole = _number(
        400,
        (100, 36_500),
        "days",
        "How long single pings are kept. Summaries stay for ever.",
        "13 months, so that a month can be held against last year's. "
        "At least 100: ids up to 90 days old are taken, and must meet their twins.",
    )
    next_s: Whole = _number(
        0,
        (0, 30 * 86_400),
        "seconds",
        "After how long an answered ping says that the next one is due, give or take a tenth, so that copies which "
        "started together don't stay together. 0: it doesn't say.",
        "0: most programs ping when they start; only those that run for days have to be told.",
    )
    console_url: WebUrl | None = _setting(
        None,
        "an http or https URL such as https://callhome.example.com",
        "The console's address as people open it: links in mails and alerts lead there, and unsubscribing does. "
        "Without it, mails have neither.",
    )
    map_guests: bool = _setting(
        False,
        "true or false",
        "Show the map and its numbers to those as well who are not signed in: everybody who reaches the console.",
        "No: how many installs there are, and where, is nobody else's business before somebody says so.",
    )
    map_floor: Whole = _number(
        5,
        (0, 1_000),
        "installs",
        "Guests see a country with fewer installs than that as `fewer than` so many, without any number; builds, too, "
        "are named to them only from there on. 0: they see all numbers of countries.",
        "Official statistics publish no cell of fewer than three to ten; five is the most usual.",
    )
    session_idle_s: Whole = _number(
        43_200,
        (60, 30 * 86_400),
        "seconds",
        "How long an analyst or admin stays signed in without doing anything.",
        "Twelve hours: a working day, and no night.",
    )
    session_days: Whole = _number(
        30,
        (1, 400),
        "days",
        "How long an analyst or admin stays signed in at most; then the password is asked for again.",
        "NIST SP 800-63B-4 (2.1.3) has 30 days for what needs one factor.",
    )
    viewer_idle_days: Whole = _number(
        60,
        (1, 400),
        "days",
        "How long a viewer stays signed in without a look at anything. An open map is a look.",
        "A screen in a hall that is closed for the summer is still signed in afterwards.",
    )
    viewer_days: Whole = _number(
        400,
        (1, 400),
        "days",
        "How long a viewer stays signed in at most.",
        "Browsers keep no cookie for longer (RFC 6265bis): once a year somebody signs the screen in again.",
    )
    audit_days: Whole = _number(
        400,
        (30, 36_500),
        "days",
        "How long the audit trail is kept: who has changed what on the console and by commands, and who has signed in.",
        "13 months, as pings: what is found in a yearly review can be followed up. Names of people are in it, so it is "
        "not kept for ever.",
    )
    smtp_url: Smtp | None = _setting(
        None,
        "smtps://, smtp+starttls:// or smtp://, then [USER:PASSWORD@]HOST[:PORT]",
        "The mail server that takes summary mails and alerts. `smtp+starttls` insists on STARTTLS; `smtp` is without "
        "TLS, for a server on the same machine. Without it, no mail is sent.",
    )
    smtp_ca: File | None = _setting(
        None,
        "the path of a readable file of certificates in PEM",
        "The certificates that the mail server's must be signed by, where that is not one of the system's.",
    )
    smtp_connections: Whole = _number(
        3,
        (1, 100),
        "connections",
        "Connections to the mail server at a time, of each replica.",
        "Exchange Online takes three at a time from one sender; others take more.",
    )
    smtp_s: Number = _number(
        30.0,
        (0.1, 600),
        "seconds",
        "How long the mail server may take to answer one command; then the mail is tried again later.",
        "RFC 5321 (4.5.3.2) has minutes, for a time of slow lines; nothing but mails waits for it.",
    )
    mail_from: Address | None = _setting(
        None,
        "an e-mail address such as callhome@example.com",
        "Whom summary mails and alerts come from; where they can't be delivered, it hears of it.",
    )
    viewers: Whole = _number(
        1_000,
        (0, 100_000),
        "viewers",
        "Viewers of the live map at once; further ones are answered with 503.",
        "At 4 messages a second and 15 µs a send, 6 % of a core; at 256 KiB of buffer, 250 MiB at worst.",
    )

    allow_fsync_off: bool = _setting(
        False,
        "true or false",
        "For tests only: start on a PostgreSQL whose fsync or full_page_writes is off, too.",
        "With either off, a power cut loses or damages pings that were answered as stored.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.batch_pings > self.pending_pings:
            raise ValueError("BATCH_PINGS is more than PENDING_PINGS: a commit can't hold more than may wait")
        if self.ingest_listen == self.console_listen and self.ingest_listen.port:
            raise ValueError("INGEST_LISTEN and CONSOLE_LISTEN are the same: two listeners need two ports")
        if self.smtp_url and not self.mail_from:
            raise ValueError("SMTP_URL is given, but not MAIL_FROM: mails need a sender")
        return self

    @property
    def whole_stop_s(self) -> float:
        """How long a stop may take in all."""
        return self.stop_delay_s + self.stop_s + self.stop_drain_s


class Row(NamedTuple):
    """One line of the table, as texts for people."""

    name: str
    default: str | None  # None: must be given
    unit: str
    expected: str
    help: str
    reason: str
    secret: bool  # its value is never shown, or only masked

    @property
    def variable(self) -> str:
        """The environment variable, which is also the name people know a setting by."""
        return PREFIX + self.name.upper()


def _row(name: str, info: FieldInfo) -> Row:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return Row(
        name=name,
        default=None if info.is_required() else kinds.show(info.get_default(call_default_factory=True)),
        unit=str(extra.get("unit", "")),
        expected=str(extra["expected"]),
        help=str(info.description),
        reason=str(extra["reason"]),
        secret=name in ("secret", "database_url", "smtp_url"),
    )


TABLE: Final[Mapping[str, Row]] = {name: _row(name, info) for name, info in Settings.model_fields.items()}
