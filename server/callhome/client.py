"""Call home from a Python program. One file of the standard library: use it, copy it into a product, port it.

    from callhome import client

    client.ping("https://ping.example.com", "es", "15.0.1")

What the program may rely on:

- Nothing here raises into it, makes it wait or keeps it running: all work is done by one daemon thread, which ends when
  there is nothing left to do. A request has `BUDGET_S` seconds in all, from looking up the name to the last byte.
- A ping has one id, made when it happens and kept over all tries: it counts once, however often it is sent.
- What could not be sent waits on disk, within bounds, and is sent later, with its day.
- Where `DO_NOT_TRACK` or `CALLHOME_DISABLE` is set, nothing is sent, made or written.

It goes down to Python 3.9. It speaks HTTP over the socket itself, so that one deadline holds for all of a request, and
that nothing is imported in the thread: a program that forks meanwhile would inherit a lock that nobody gives back.

long: one file is what makes it easy to copy; its parts stand in the order in which a reader needs them.
"""

from __future__ import annotations

import _thread
import binascii
import contextlib
import hashlib
import hmac
import json
import locale
import logging
import os
import re
import socket
import ssl
import stat
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Answer", "Client", "Notice", "machine_id", "ping"]

# A person notices nothing of a thread, but a laptop its radio: long enough for a server far away.
BUDGET_S: Final = 3.0
# The bound of the first wait; it doubles with each failure, up to an hour. The wait is anything between 0 and its bound
# (full jitter), so that a million copies don't come back together.
RETRY_S: Final = 60.0
RETRY_MOST_S: Final = 3_600.0
# A server that says "in a year" is believed for a day.
RETRY_AFTER_MOST_S: Final = 86_400.0
# Whatever `next_s` says, between these.
NEXT_LEAST_S: Final = 60.0
NEXT_MOST_S: Final = 7 * 86_400.0
# The queue on disk: a season of daily pings, about as large as an icon. A request of the batch route takes it whole.
QUEUE_PINGS: Final = 500
QUEUE_BYTES: Final = 256 * 1024
# The server takes the time of an id as old as this for that of the ping.
QUEUE_DAYS: Final = 90
# Pings that a program without a writable disk keeps, and calls that the thread hasn't seen yet: with the queue that is
# read to be sent, less than 50 × 16 KiB + 3 × 256 KiB + 50 calls, some 2 MB, and usually next to nothing. Only an
# answer that is made for it takes more while it is read: 256 KiB of JSON hold 64,000 empty things, some 10 MB.
KEPT_PINGS: Final = 50
# A ping of another process that is younger is being sent by it.
FRESH_S: Final = 10.0
# A temporary file that is older was left by a process that was killed.
STALE_S: Final = 3_600.0
# As the server takes it, and as much as an answer of its batch route may have.
PING_BYTES: Final = 16 * 1024
ANSWER_BYTES: Final = 256 * 1024
# The server sends ten at most. An answer has room for 87,000 empty ones, which would be the program's to keep.
NOTICES: Final = 100

_log: Final = logging.getLogger("callhome.client")

# What no string of a ping may hold: control, bidirectional and half characters.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_URL: Final = re.compile(
    r"(https?)://(?:([^/@]*)@)?(\[[0-9a-f:.]+\]|[^][/:@?#\s]+)(?::([0-9]{1,5}))?(/[^?#\s]*)?", re.IGNORECASE
)
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# A line of a batch that the server refuses for one of these reasons is sent again.
_PASSING: Final = frozenset({"overloaded", "unavailable", "stopping", "internal_error", "too_many_pings"})


# --- What a program sees


class Notice(NamedTuple):
    """A message of the vendor: ``level`` is ``info``, ``warning`` or ``critical``; ``url`` is https or ``""``."""

    text: str
    level: str
    url: str


class Answer(NamedTuple):
    """What the server has to say to a ping that it has stored: advice. What it didn't say is empty.

    ``latest``: the newest release for this install. ``outdated``: whether it is newer than what runs; then
    ``severity`` is ``normal``, ``recommended`` or ``security``, ``url`` where it can be had and ``notes_url`` where to
    read what changed (https, or ``""``). ``license``: the verdict, such as ``ok`` or ``expired``. ``next_s``: in how
    many seconds to ping again, 0 if it doesn't say.
    """

    latest: str = ""
    outdated: bool = False
    severity: str = ""
    url: str = ""
    notes_url: str = ""
    license: str = ""
    notices: tuple[Notice, ...] = ()
    next_s: int = 0


def ping(url: str, product: str, version: str, **options: Any) -> Client:
    """Send one `start` in the background, and return at once. ``options`` are those of `Client`."""
    client = Client(url, product, version, **options)
    client.start()
    return client


def machine_id() -> str:
    """Return the machine id of this Linux or BSD, ``""`` if there is none: for `Client`'s option of that name.

    A container has its image's, if any, unless the host's is mounted: then all containers of an image would be one
    install.
    """
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError, ValueError):
            found = _read(path, 64).decode("ascii").strip()
            if re.fullmatch(r"(?!0{32})[0-9a-f]{32}", found):
                return found
    return ""


class Client:
    """Calls home for one product. Its methods return at once, raise nothing, and may be called from any thread.

    ``url`` is the server's address, to which ``/v1/ping`` is appended: https, or plain http to this machine alone
    (``allow_http`` takes any). ``product`` and ``version`` are required; ``build``, ``license``, ``users`` (people
    using this install), ``channel`` and ``extra`` (up to 16 values of the product's own) are attributes too, and may
    change between pings.

    ``on_answer`` gets the `Answer` to each ping that was stored; **it is called in the daemon thread**, and what it
    raises is dropped. ``repeat``: ping `alive` again when the server says so, as long as the program runs.

    ``state_dir`` is the folder for install id and queue, by default the platform's place for such things; each product
    has a folder in it. ``install_id`` (8 to 128 characters) is used as it is; else ``machine_id``, any text that stays
    the same, hashed together with the product; else an id made once at random and kept in the folder.

    ``budget_s`` and ``retry_s``: see `BUDGET_S` and `RETRY_S`.

    ``problem`` says why nothing will ever be sent (a wrong option, or an opt-out), else ``""``. ``status`` says how
    the last try ended, for people.
    """

    def __init__(
        self,
        url: str,
        product: str,
        version: str,
        *,
        build: str = "",
        license: str = "",
        users: int | None = None,
        channel: str = "",
        extra: Mapping[str, str | float | bool | None] | None = None,
        on_answer: Callable[[Answer], object] | None = None,
        repeat: bool = False,
        state_dir: str | os.PathLike[str] | None = None,
        install_id: str = "",
        machine_id: str = "",
        allow_http: bool = False,
        budget_s: float = BUDGET_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.product, self.version, self.build, self.license = product, version, build, license
        self.users, self.channel, self.extra = users, channel, extra
        self.status = "nothing was sent yet"
        self._on_answer, self._repeat = on_answer, repeat
        self._install_id, self._machine_id = install_id, machine_id
        self._budget_s, self._retry_s = budget_s, retry_s
        self._state = _State("")
        self._place: _Place | None = None
        self._tls: ssl.SSLContext | None = None
        self._begin()
        try:
            self.problem = _opt_out() or self._mistake(url, allow_http)
            if not self.problem:
                self._state = _State(_state_folder(state_dir, _clean(product, 64)))
        except Exception as error:  # task root: options of any type
            self.problem = f"an option is wrong: {error!r}"
        if self.problem:
            self.status = f"nothing is sent: {self.problem}"
            _log.debug(self.status)

    def start(self) -> None:
        """Say that the program has started: a launch."""
        self._give("start")

    def alive(self) -> None:
        """Say that it still runs."""
        self._give("alive")

    def stop(self) -> None:
        """Say that it ends, and let the thread end. Nobody waits: what isn't sent or on disk by then is lost."""
        self._give("stop")

    def show(self, event: str = "start") -> bytes:
        """Print and return exactly what would be sent now, and where to; each ping has an ``id`` of its own.

        It makes the install id, if there is none yet.
        """
        text, request = f"Nothing is sent: {self.problem}\n", b""
        try:
            if self._place and not self.problem:
                body = self._body(_new_id(), self._told(event))
                request = _request(self._place, "/v1/ping", "application/json", body)
                text = f"To {self._place}:\n\n{request.decode()}\n"
        except Exception as error:  # task root: values of any type
            text = f"Nothing is sent: {error!r}\n"
        with contextlib.suppress(OSError, ValueError):
            print(text, end="")
        return request

    def flush(self, timeout_s: float) -> bool:
        """Wait until all pings so far were tried once; return whether none of them has to be sent again.

        For tests, and for scripts that would rather wait than lose a ping. Never needed in a program.
        """
        self._here()
        with self._turn:
            self._turn.wait_for(lambda: not self._jobs and not self._is_busy, timeout_s)
            return not self._jobs and not self._is_busy and not self._unsent

    # --- In the program's thread: nothing that could block

    def _here(self) -> None:
        """Begin anew in the child of a fork: what was copied is the parent's, and its thread wasn't."""
        if self._pid != os.getpid():
            self._begin()

    def _begin(self) -> None:
        """Begin without pings and without a thread."""
        self._pid = os.getpid()
        # An RLock, as a handler of a signal may call in the midst of a call.
        self._turn = threading.Condition()
        self._jobs: deque[tuple[str, dict[str, Any]]] = deque(maxlen=KEPT_PINGS)
        self._thread: int | None = None
        self._is_busy = False
        self._unsent: dict[str, bytes] = {}
        self._failures = 0
        self._retry_at: float | None = None
        self._alive_at: float | None = None

    def _mistake(self, url: str, allow_http: bool) -> str:
        place = self._place = _place_of(url)
        if not place:
            return f"url: expected one such as https://ping.example.com, not {url!r}"
        if not place.is_tls and not place.is_here and not allow_http:
            return f"url: expected https, not {url!r}; allow_http=True takes it"
        for name, text in (("product", self.product), ("version", self.version)):
            if not isinstance(text, str) or not _clean(text, 64):
                return f"{name}: expected a text of up to 64 characters"
        if self._install_id and not 8 <= len(self._install_id) <= 128:
            return "install_id: expected 8 to 128 characters"
        return ""

    def _give(self, event: str) -> None:
        """Hand a ping to the thread, and start it if there is none."""
        if self.problem:
            return
        try:
            self._here()
            job = (_new_id(), self._told(event))
            with self._turn:
                self._jobs.append(job)
                self._turn.notify_all()
                if not self._thread:
                    # Not threading.Thread, whose start waits for the new thread: milliseconds on a busy machine.
                    # The interpreter waits for neither at its end.
                    self._thread = _thread.start_new_thread(self._run, ())
        except Exception as error:  # task root: no more threads, or the interpreter is going down
            _log.debug("no ping: %r", error)

    def _told(self, event: str) -> dict[str, Any]:
        """What the program says, as it is now; judged later."""
        return {
            "product": self.product,
            "version": self.version,
            "build": self.build,
            "license": self.license,
            "users": self.users,
            "channel": self.channel,
            "event": event,
            "extra": dict(self.extra) if isinstance(self.extra, Mapping) else {},
        }

    # --- In the daemon thread

    def _run(self) -> None:
        try:
            while self._has_work():
                self._work()
        except BaseException as error:  # task root: whatever it is, the program shall not see it
            self.status = f"failed: {error!r}"
            _log.debug("calling home failed", exc_info=True)
        finally:
            with self._turn:
                if self._thread == _thread.get_ident():
                    self._thread, self._is_busy = None, False
                self._turn.notify_all()

    def _has_work(self) -> bool:
        """Wait for work; return whether there will be any."""
        with self._turn:
            self._is_busy = False
            while not self._jobs:
                self._turn.notify_all()
                due = [at for at in (self._retry_at, self._alive_at) if at is not None]
                if not due:
                    self._thread = None  # under the lock: whoever gives work now starts another
                    return False
                wait_s = min(due) - time.monotonic()
                if wait_s <= 0:
                    break
                self._turn.wait(wait_s)
            self._is_busy = True
            return True

    def _work(self) -> None:
        """Take what there is to do, first to the disk; send it, unless it is too early to try again."""
        with self._turn:
            jobs = list(self._jobs)
            self._jobs.clear()
        now = time.monotonic()
        if self._alive_at is not None and now >= self._alive_at:
            self._alive_at = None
            jobs.append((_new_id(), self._told("alive")))
        for id, told in jobs:
            try:
                body = self._body(id, told)
            except Exception as error:  # task root: values of any type; they cost their ping alone
                self.status = f"failed: {error!r}"
                _log.debug("no ping", exc_info=True)
                continue
            # Before the request: a program that ends in its midst loses nothing, and a twin has the same id.
            self._state.keep(id, body)
            self._unsent[id] = body
            while len(self._unsent) > KEPT_PINGS:
                del self._unsent[next(iter(self._unsent))]
        if self._retry_at is None or now >= self._retry_at:
            self._retry_at = None
            try:
                self._deliver()
            except Exception as error:  # task root: whatever it is, it costs a try and not the thread
                _log.debug("a try failed", exc_info=True)
                self._later(_Reply(0, {}, 0.0, f"failed: {error!r}"))
        if jobs and jobs[-1][1]["event"] == "stop":
            self._retry_at = self._alive_at = None

    def _deliver(self) -> None:
        """Send the newest ping by itself, which is answered; then, if the server is there, all others at once."""
        wait_s = self._state.wait_s()
        if wait_s > 0:
            self.status = f"kept for later: the server said to wait, for {wait_s:.0f} s more"
            self._retry_at = time.monotonic() + wait_s + self._jittered_s()
            return
        if self._unsent:
            id = next(reversed(self._unsent))
            reply = self._post("/v1/ping", "application/json", self._unsent[id])
            if reply.is_passing:
                self._later(reply)
                return
            self._settled([id], reply)
            if not reply.is_stored:
                if self._unsent:
                    # One by one until one gets through: a stranger that refuses all shall not cost the whole queue.
                    self._later(reply._replace(why=f"{reply.why}; older pings wait"))
                return
            self._hand_over(reply.answer)
        with self._state.draining() as is_mine:
            waiting = {**self._state.waiting(self._unsent), **self._unsent} if is_mine else {}
            if waiting:
                self._deliver_many(waiting)
            elif self._unsent:
                self._later(_Reply(0, {}, 0.0, "another process is sending the queue"))

    def _deliver_many(self, waiting: Mapping[str, bytes]) -> None:
        ids = list(waiting)
        reply = self._post(
            "/v1/pings", "application/x-ndjson", b"".join(body + b"\n" for body in waiting.values())
        )
        if reply.is_passing:
            self._later(reply)
            return
        again = set()
        for one in _dicts(reply.answer.get("refused")):
            line, reason = one.get("line"), one.get("reason")
            is_passing = isinstance(reason, str) and reason in _PASSING
            if is_passing and isinstance(line, int) and 1 <= line <= len(ids):
                again.add(ids[line - 1])
        self._settled([id for id in ids if id not in again], reply)
        if again:
            self._later(_Reply(0, {}, 0.0, "the server took only some of the queue"))

    def _post(self, path: str, kind: str, body: bytes) -> _Reply:
        assert self._place
        deadline_s = time.monotonic() + self._budget_s
        try:
            if self._place.is_tls and not self._tls:
                self._tls = ssl.create_default_context()
            request = _request(self._place, path, kind, body)
            status, headers, answer = _exchange(self._place, self._tls, request, deadline_s)
        except (OSError, ValueError) as error:
            return _Reply(0, {}, 0.0, f"no answer: {str(error) or type(error).__name__}")
        return _reply(status, headers, answer)

    def _settled(self, ids: Iterable[str], reply: _Reply) -> None:
        """The server has the pings, or will never take them."""
        self._failures = 0
        self.status = reply.why
        _log.debug(reply.why)
        for id in ids:
            self._unsent.pop(id, None)
            self._state.forget(id)

    def _later(self, reply: _Reply) -> None:
        """Try again after a while: later each time, and not before the server says."""
        self._failures += 1
        self._retry_at = time.monotonic() + reply.retry_after_s + self._jittered_s()
        if reply.retry_after_s:
            self._state.wait_until(time.time() + reply.retry_after_s)
        self.status = f"kept for later: {reply.why}"
        _log.debug(self.status)

    def _jittered_s(self) -> float:
        """Return a wait between 0 and a bound that doubles with each failure, in seconds."""
        bound_s = min(RETRY_MOST_S, self._retry_s * 2.0 ** min(max(self._failures - 1, 0), 16))
        return bound_s * (int.from_bytes(os.urandom(4), "big") / 0xFFFF_FFFF)

    def _hand_over(self, told: Mapping[str, Any]) -> None:
        answer = _answer(told)
        if self._repeat and answer.next_s:
            self._alive_at = time.monotonic() + min(max(answer.next_s, NEXT_LEAST_S), NEXT_MOST_S)
        if self._on_answer:
            try:
                self._on_answer(answer)
            except BaseException as error:  # task root: the program's mistake, or its `sys.exit`
                _log.debug("on_answer raised %r", error, exc_info=True)

    def _body(self, id: str, told: Mapping[str, Any]) -> bytes:
        """Return the ping as it is sent: what the program says, made fit, and what the platform says."""
        users = told["users"] if _is_whole(told["users"]) and 0 <= told["users"] <= 10**9 else None
        fields: dict[str, Any] = {
            "id": id,
            "product": _clean(told["product"], 64),
            "version": _clean(told["version"], 64),
            "install": self._install(),
            "event": told["event"],
            "build": _clean(told["build"], 64),
            "license": _clean(told["license"], 128),
            "users": users,
            "channel": _clean(told["channel"], 64),
            **_system(),
            "extra": _fit_extra(told["extra"]),
        }
        fields = {name: value for name, value in fields.items() if value not in (None, "", {})}
        body = _json(fields)
        if len(body) > PING_BYTES:
            body = _json({name: value for name, value in fields.items() if name != "extra"})
        return body

    def _install(self) -> str:
        if self._install_id:
            return _clean(self._install_id, 128)
        if self._machine_id:
            # With the product, so that nobody can join the installs of two products; as systemd advises.
            key, said = self._machine_id.encode("utf-8", "replace"), f"callhome:{self.product}".encode()
            return hmac.new(key, said, hashlib.sha256).hexdigest()[:32]
        return self._state.install_id()


# --- What is sent, and what is answered


def _new_id() -> str:
    """Return a UUIDv7 (RFC 9562): the time in milliseconds, then chance."""
    ms = min(max(int(time.time() * 1000), 0), 2**48 - 1)
    chance = int.from_bytes(os.urandom(10), "big")
    return _uuid(ms << 80 | chance & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def _uuid(number: int) -> str:
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _id_s(id: str) -> float:
    """Return the Unix time within a UUIDv7."""
    return int(id[:8] + id[9:13], 16) / 1000


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _clean(value: object, most: int) -> str:
    """Return a text that the server takes: a ping is worth more than a strange character in it."""
    return "" if value is None else _UNFIT.sub("", str(value)).strip()[:most].strip()


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _fit_extra(extra: Mapping[Any, Any]) -> dict[str, Any]:
    fit: dict[str, Any] = {}
    for key, value in list(extra.items())[:16]:
        is_number = _is_whole(value) or (isinstance(value, float) and abs(value) < float("inf"))
        if name := _clean(key, 64):
            fit[name] = value if value is None or isinstance(value, bool) or is_number else _clean(value, 256)
    return fit


def _system() -> dict[str, str]:
    """What the platform says of itself, without starting a program or asking a service."""
    said = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    language = next(filter(None, said), "") or locale.getlocale()[0] or ""
    language = re.split(r"[.@]", language)[0].replace("_", "-")
    if sys.platform == "win32":
        found = sys.getwindowsversion()
        system, version = "windows", f"{found.major}.{found.minor}.{found.build}"
        arch = os.environ.get("PROCESSOR_ARCHITEW6432") or os.environ.get("PROCESSOR_ARCHITECTURE", "")
        arch = {"AMD64": "x86_64"}.get(arch, arch.lower())
    else:
        uname = os.uname()
        arch, version = uname.machine, uname.release
        system = {"darwin": "macos"}.get(sys.platform, re.sub(r"[^a-z]+.*", "", sys.platform))
        if system == "macos":
            plist = _text("/System/Library/CoreServices/SystemVersion.plist")
            found_ = re.search(r"<key>ProductVersion</key>\s*<string>([0-9.]+)<", plist)
            version = found_[1] if found_ else version
        elif system == "linux":
            named = dict(
                re.findall(r"^(ID|VERSION_ID)=[\"']?([^\"'\n]*)", _text("/etc/os-release"), re.MULTILINE)
            )
            version = f"{named.get('ID', '')} {named.get('VERSION_ID', '')}".strip() or version
    fields = {"os": system, "os_version": version, "arch": arch, "locale": language}
    return {name: _clean(value, 64) for name, value in fields.items() if value not in ("C", "POSIX")}


class _Reply(NamedTuple):
    """How a request ended: ``status`` is 0 without an answer that makes sense."""

    status: int
    answer: dict[str, Any]
    retry_after_s: float
    why: str

    @property
    def is_stored(self) -> bool:
        return self.status in (200, 204)

    @property
    def is_passing(self) -> bool:
        """Whether it may end otherwise the next time: any other 4xx is final."""
        is_final = 400 <= self.status < 500 and self.status not in (408, 429)
        return not self.is_stored and not is_final


def _reply(status: int, headers: Mapping[str, str], body: bytes) -> _Reply:
    try:
        answer = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        answer = None
    if status == 200 and not (body and isinstance(answer, dict)):
        # A network that asks people to sign in answers so, in the server's name.
        return _Reply(0, {}, 0.0, "no answer: 200, but not from callhome")
    answer = answer if isinstance(answer, dict) else {}
    said = headers.get("retry-after", "")
    # However many digits: as a float, what is too much for one is infinite.
    after_s = float(said) if re.fullmatch(r"[0-9]+", said) else 0.0
    why = f"{status}, {'stored' if status in (200, 204) else 'not stored'}"
    # Texts alone: to print a list within lists within lists may fail.
    words = [answer.get(name) for name in ("reason", "field", "message")]
    if isinstance(words[0], str) and words[0]:
        why = _clean(f"{why}: {' '.join(word for word in words if isinstance(word, str) and word)}", 300)
    return _Reply(status, answer, min(after_s, RETRY_AFTER_MOST_S), why)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _answer(told: Mapping[str, Any]) -> Answer:
    """Return what the server said, as far as it makes sense: texts to show as text, and only https addresses."""

    def text(found: Mapping[str, Any], name: str) -> str:
        value = found.get(name)
        value = _clean(value, 4_096) if isinstance(value, str) else ""
        return value if not name.endswith("url") or value.startswith("https://") else ""

    next_s = told.get("next_s")
    return Answer(
        latest=text(told, "latest"),
        outdated=told.get("outdated") is True,
        severity=text(told, "severity"),
        url=text(told, "url"),
        notes_url=text(told, "notes_url"),
        license=text(told, "license"),
        notices=tuple(
            Notice(text(one, "text"), text(one, "level"), text(one, "url"))
            for one in _dicts(told.get("notices"))[:NOTICES]
        ),
        next_s=next_s if isinstance(next_s, int) and _is_whole(next_s) and next_s > 0 else 0,
    )


# --- Who doesn't want to, and where to


def _opt_out() -> str:
    """Return why nothing shall be sent, ``""`` if nobody said so. See consoledonottrack.com."""
    for name in ("DO_NOT_TRACK", "CALLHOME_DISABLE"):
        if os.environ.get(name, "").strip().lower() not in ("", "0", "false"):
            return f"{name} is set"
    return ""


class _Place(NamedTuple):
    """Where to connect to: ``host`` is in ASCII; ``path`` comes before that of the route."""

    is_tls: bool
    host: bytes
    port: int
    path: str
    login: str

    @property
    def name(self) -> str:
        """Host and port, as a request names them."""
        host = self.host.decode()
        host = f"[{host}]" if ":" in host else host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        return (
            self.host in (b"localhost", b"::1") or re.fullmatch(rb"127(\.[0-9]+){3}", self.host) is not None
        )

    def __str__(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://{self.name}{self.path}"


def _place_of(url: str) -> _Place | None:
    found = _URL.fullmatch(url)
    if not found or not url.isprintable():
        return None
    is_tls = found[1].lower() == "https"
    # Encoded here: the codec for names beyond ASCII is imported when it is first used, and the thread may not.
    try:
        host = found[3].strip("[]").lower()
        ascii_host = host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError:
        return None
    port = int(found[4] or (443 if is_tls else 80))
    path = (found[5] or "").rstrip("/")
    if not 0 < port < 65_536 or not path.isascii():
        return None
    return _Place(is_tls, ascii_host, port, path, found[2] or "")


def _proxy_of(place: _Place) -> _Place | None:
    """Return the proxy that the environment names for https, if any; plain http goes directly."""
    if not place.is_tls or place.is_here:
        return None

    def named(name: str) -> str:
        return os.environ.get(name) or os.environ.get(name.upper()) or ""

    host = place.host.decode()
    for suffix in named("no_proxy").lower().replace(" ", "").split(","):
        if suffix == "*" or (suffix and f".{host}".endswith(f".{suffix.lstrip('.')}")):
            return None
    url = named("https_proxy") or named("all_proxy")
    proxy = _place_of(url if "://" in url else f"http://{url}") if url else None
    if url and (not proxy or proxy.is_tls):
        raise OSError("the environment names a proxy that isn't http://host:port")
    return proxy


# --- HTTP


def _request(place: _Place, path: str, kind: str, body: bytes) -> bytes:
    """Return a whole request. A batch is packed: hundreds of pings are much alike, and some lines are slow."""
    encoding = ""
    if path == "/v1/pings":
        packer = zlib.compressobj(wbits=31)
        body, encoding = packer.compress(body) + packer.flush(), "Content-Encoding: gzip\r\n"
    return (
        f"POST {place.path}{path} HTTP/1.1\r\nHost: {place.name}\r\nUser-Agent: callhome-client/1\r\n"
        f"Content-Type: {kind}\r\n{encoding}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode("ascii") + body


def _exchange(
    place: _Place, tls: ssl.SSLContext | None, request: bytes, deadline_s: float
) -> tuple[int, dict[str, str], bytes]:
    """Send a request and return status, headers (in lower case) and body of its answer, all before the deadline.

    Raises OSError or ValueError if there is none that makes sense. Redirects are answers like any other.
    """
    proxy = _proxy_of(place)
    with _Line(proxy or place, deadline_s) as line:
        if proxy:
            line.send(_connect(place, proxy))
            status, _ = line.head()
            if status != 200:
                raise OSError(f"the proxy answered {status}")
        if tls:
            line.wrap(tls, place.host)
        line.send(request)
        status, headers = line.head()
        while 100 <= status < 200:
            status, headers = line.head()
        return status, headers, line.body(status, headers)


def _connect(place: _Place, proxy: _Place) -> bytes:
    target = place.name if place.port != 443 else f"{place.name}:443"
    login = ""
    if proxy.login:
        plain = re.sub(rb"%([0-9A-Fa-f]{2})", lambda hit: bytes([int(hit[1], 16)]), proxy.login.encode())
        login = f"Proxy-Authorization: Basic {binascii.b2a_base64(plain, newline=False).decode()}\r\n"
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode("ascii")


class _Line:
    """A connection on which all that happens has one deadline, and all that is read one bound."""

    def __init__(self, place: _Place, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._room = ANSWER_BYTES
        self._read = bytearray()
        self._socket = self._connected(place)

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _left_s(self) -> float:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise OSError("it took too long")
        return left_s

    def _connected(self, place: _Place) -> socket.socket:
        """Try each address, with its share of what time is left: the first may lead nowhere."""
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        failure = OSError("the name has no address")
        for tried, (family, kind, protocol, _, address) in enumerate(found):
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(self._left_s() / (len(found) - tried))
                made.connect(address)
                return made
            except OSError as error:
                made.close()
                failure = error
        raise failure

    def wrap(self, tls: ssl.SSLContext, host: bytes) -> None:
        """Speak TLS from here on; the certificate must be the host's."""
        if self._read:
            # It came unprotected, and would be taken for the server's answer.
            raise OSError("the proxy sent more than its answer")
        self._socket.settimeout(self._left_s())
        # As bytes: a text would bring in the codec for names beyond ASCII.
        self._socket = tls.wrap_socket(self._socket, server_hostname=host)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            self._socket.settimeout(self._left_s())
            view = view[self._socket.send(view) :]

    def head(self) -> tuple[int, dict[str, str]]:
        """Read status line and headers."""
        found = re.match(r"HTTP/1\.[01] ([1-9][0-9]{2})(?: |$)", self._line())
        if not found:
            raise ValueError("what came is not HTTP")
        headers: dict[str, str] = {}
        while line := self._line():
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("a header is no header")
            headers[name.strip().lower()] = value.strip()
        return int(found[1]), headers

    def body(self, status: int, headers: Mapping[str, str]) -> bytes:
        """Read the body that follows a head."""
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(_matched(r"([0-9a-fA-F]{1,8})(?:[; \t].*)?", self._line()), 16):
                parts.append(self._exactly(size))
                self._line()
            return b"".join(parts)
        if "content-length" in headers:
            return self._exactly(int(_matched(r"([0-9]{1,12})", headers["content-length"])))
        while self._more():
            pass
        return bytes(self._read)

    def _line(self) -> str:
        seen = 0
        while (end := self._read.find(b"\n", seen)) < 0:
            seen = len(self._read)
            self._need()
        return self._taken(end + 1).rstrip(b"\r\n").decode("latin-1")

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._need()
        return self._taken(size)

    def _taken(self, size: int) -> bytes:
        found = bytes(self._read[:size])
        del self._read[:size]
        return found

    def _need(self) -> None:
        if not self._more():
            raise OSError("the answer ends in its midst")

    def _more(self) -> bool:
        """Read what has come; return whether anything will."""
        self._socket.settimeout(self._left_s())
        data = self._socket.recv(16 * 1024)
        self._room -= len(data)
        if self._room < 0:
            raise OSError("the answer is too long")
        self._read += data
        return bool(data)


def _matched(pattern: str, text: str) -> str:
    found = re.fullmatch(pattern, text)
    if not found:
        raise ValueError("a length is no number")
    return found[1]


# --- What is kept on disk

# What a disk has against it; ValueError: a path with characters that can't be in one.
_FAILURES: Final = (OSError, ValueError)


def _state_folder(given: str | os.PathLike[str] | None, product: str) -> str:
    """Return the folder for a product's state, ``""`` if there is no place for it."""
    name = re.sub(r"[^A-Za-z0-9_.-]|^\.", "_", product)
    if given:
        return os.path.join(os.path.abspath(os.fspath(given)), name)
    home = _home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.environ.get("XDG_STATE_HOME", "")
        # The specification of that variable: a relative path is invalid.
        base = base if os.path.isabs(base) else os.path.join(home, ".local", "state")
    return os.path.join(base, "callhome", name) if os.path.isabs(base) else ""


def _home() -> str:
    # Not `expanduser`, which may ask a directory service over the network.
    return os.environ.get("USERPROFILE" if sys.platform == "win32" else "HOME", "")


class _State:
    """Install id and waiting pings of one product in a folder, ``""`` for none; what fails on disk is done without.

    A ping is a file, named by its id, that appears whole and is removed when it is settled: processes need not agree on
    anything, and nothing is damaged by one that is killed. Two that send the same ping make no twin, as the id is the
    same; a lock keeps them from wasting their time so. Not synced: a power cut may cost the pings of its last seconds.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._install = ""

    def install_id(self) -> str:
        """Return the id of this installation; made at random at the first time, whoever comes first."""
        if not self._install:
            chance = int.from_bytes(os.urandom(16), "big")
            made = _uuid(chance & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62)
            try:
                self._install = self._kept_install_id(made)
            except _FAILURES:
                self._install = made
        return self._install

    def _kept_install_id(self, made: str) -> str:
        path = self._path("install-id")
        if found := self._found_install_id(path):
            return found
        self._make_folder()
        written = self._written("install-id", made.encode(), is_synced=True)
        try:
            # Fails if it is there: of two processes the first wins, and both read its id. Where there are no links, or
            # the file is damaged, the last wins.
            os.link(written, path)
            os.unlink(written)
        except OSError:
            if self._found_install_id(path):
                os.unlink(written)
            else:
                os.replace(written, path)
        return self._found_install_id(path) or made

    def _found_install_id(self, path: str) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found = _read(path, 256).decode("ascii").strip()
            if re.fullmatch(r"[0-9a-f-]{8,128}", found):
                return found
        return ""

    def keep(self, id: str, body: bytes) -> None:
        """Let a ping wait, and drop the oldest beyond the bounds."""
        if not self._folder:
            return
        try:
            self._make_folder()
            os.replace(self._written(id, body), self._path(f"{id}.ping"))
            # Afterwards: whoever comes last sees all, so the bounds hold however many come at once.
            self._trim()
        except _FAILURES as error:
            _log.debug("a ping is not kept on disk: %s", error)

    def forget(self, id: str) -> None:
        """A ping is settled."""
        if self._folder:
            with contextlib.suppress(*_FAILURES):
                os.unlink(self._path(f"{id}.ping"))

    def waiting(self, own: Iterable[str] = ()) -> dict[str, bytes]:
        """Return the pings that wait, oldest first, but for those of ``own`` and those that others are sending."""
        now, found = time.time(), dict[str, bytes]()
        skipped = set(own)
        for id in self._ids():
            if id in skipped or 0 <= now - _id_s(id) < FRESH_S:
                continue
            try:
                body = _read(self._path(f"{id}.ping"), PING_BYTES)
                ping = json.loads(body)
                if not isinstance(ping, dict) or ping.get("id") != id or b"\n" in body:
                    raise ValueError
            except FileNotFoundError:
                continue
            except (OSError, ValueError, RecursionError):
                self.forget(id)  # damaged
                continue
            found[id] = body
        return found

    @contextlib.contextmanager
    def draining(self) -> Iterator[bool]:
        """Whether this process may send what waits; the system gives the lock back, even after a kill."""
        lock, is_mine = None, True
        try:
            lock = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT, 0o600)
            _lock(lock)
        except BlockingIOError:
            is_mine = False
        except _FAILURES:
            pass  # no folder, or one without locks: twins are harmless
        try:
            yield is_mine
        finally:
            if lock is not None:
                os.close(lock)

    def wait_until(self, at_s: float) -> None:
        """Don't call before a Unix time, in this process and the next."""
        if self._folder:
            with contextlib.suppress(*_FAILURES):
                os.replace(self._written("not-before", str(int(at_s)).encode()), self._path("not-before"))

    def wait_s(self) -> float:
        """Return how long not to call, in seconds. A time that is too far away is that of a wrong clock."""
        with contextlib.suppress(*_FAILURES):
            wait_s = int(_read(self._path("not-before"), 32)) - time.time()
            return wait_s if 0 < wait_s <= RETRY_AFTER_MOST_S else 0.0
        return 0.0

    def _path(self, name: str) -> str:
        if not self._folder:
            raise FileNotFoundError("there is no folder for the state")
        return os.path.join(self._folder, name)

    def _make_folder(self) -> None:
        """Make the folder; in the home folder only if that is there, and this user's.

        What root makes in another's home, its owner couldn't use.
        """
        if os.path.isdir(self._folder):
            return
        home = _home()
        if home and self._folder.startswith(os.path.join(home, "")):
            owner = os.stat(home).st_uid
            if sys.platform != "win32" and owner != os.geteuid():
                raise PermissionError("the home folder is another user's")
        os.makedirs(self._folder, 0o700, exist_ok=True)

    def _written(self, name: str, data: bytes, *, is_synced: bool = False) -> str:
        """Write a temporary file, whole or not at all; return its path."""
        path = self._path(f".{name}.{os.urandom(4).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(path, flags, 0o600), "wb") as file:
                file.write(data)
                if is_synced:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(*_FAILURES):
                os.unlink(path)
            raise
        return path

    def _ids(self) -> list[str]:
        """The ids of the pings that wait, oldest first; those that are too old are dropped."""
        if not self._folder:
            return []
        try:
            names = os.listdir(self._folder)
        except _FAILURES:
            return []
        oldest_s = time.time() - QUEUE_DAYS * 86_400
        ids = sorted(name[:-5] for name in names if name.endswith(".ping") and _ID.fullmatch(name[:-5]))
        for id in [id for id in ids if _id_s(id) < oldest_s]:
            self.forget(id)
        return [id for id in ids if _id_s(id) >= oldest_s]

    def _trim(self) -> None:
        sizes = {}
        for id in self._ids():
            with contextlib.suppress(*_FAILURES):
                sizes[id] = os.stat(self._path(f"{id}.ping")).st_size
        pings, size_bytes = len(sizes), sum(sizes.values())
        for id, one_bytes in sizes.items():
            if pings <= QUEUE_PINGS and size_bytes <= QUEUE_BYTES:
                break
            self.forget(id)
            pings, size_bytes = pings - 1, size_bytes - one_bytes
        for name in os.listdir(self._folder):
            path = self._path(name)
            with contextlib.suppress(*_FAILURES):
                if name.endswith(".tmp") and os.stat(path).st_mtime < time.time() - STALE_S:
                    os.unlink(path)


def _lock(file: int) -> None:
    """Lock a file until it is closed; raises BlockingIOError if another process has it, OSError if it can't."""
    if sys.platform == "win32":
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(path: str, most: int) -> bytes:
    """Return what a file holds; raises OSError, and ValueError if it is no file or too large."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError("too large")
    return data


def _text(path: str) -> str:
    with contextlib.suppress(*_FAILURES):
        return _read(path, 64 * 1024).decode("utf-8", "replace")
    return ""


# --- To try it: python -m callhome.client --help


def main() -> int:
    """Send one ping and say how it went; ends with 0 if it is stored. Waits, unlike a program."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m callhome.client", description="Send one ping as a program would."
    )
    parser.add_argument("--url", required=True, help="the server's address, such as https://ping.example.com")
    parser.add_argument("--product", required=True, help="a registered product's key, such as es")
    parser.add_argument("--version", required=True, help="the version of the product")
    for name in ("build", "license", "channel", "install-id", "machine-id"):
        parser.add_argument(f"--{name}", default="", help="see Client")
    parser.add_argument("--users", type=int, help="people using this install")
    parser.add_argument("--state-dir", help="the folder for install id and queue")
    parser.add_argument("--allow-http", action="store_true", help="take plain http to other machines too")
    parser.add_argument("--show", action="store_true", help="print what would be sent, and send nothing")
    options = vars(parser.parse_args())
    is_shown = options.pop("show")
    client = Client(**options, on_answer=lambda answer: print(_shown(answer)))
    if is_shown:
        return 0 if client.show() else 1
    client.start()
    is_sent = client.flush(4 * BUDGET_S)
    print(client.status)
    return 0 if is_sent and client.status.endswith(", stored") else 1


def _shown(answer: Answer) -> str:
    said = [f"{name}: {value}" for name, value in answer._asdict().items() if value not in ("", False, 0, ())]
    return "\n".join(said) or "the server has nothing to say"


if __name__ == "__main__":
    sys.exit(main())
