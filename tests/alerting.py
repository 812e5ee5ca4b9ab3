"""What each alert of manifests/overlays/monitoring must see to fire: series as `promtool test rules` has them.

A value every minute, ``a+bxn``: a, then b more n times. Each scenario changes a few of `HEALTHY`, where nothing fires.
Those that take days have a value every ten minutes, and only the series that they are about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Series = dict[str, str]

_MINUTES: Final = 120
_AT: Final = 'namespace="callhome",job="callhome",instance="callhome-0"'
_ALSO: Final = 'namespace="callhome",job="callhome",instance="callhome-1"'


def series(name: str, labels: str = "", at: str = _AT) -> str:
    """A series of a server."""
    return f"{name}{{{','.join(filter(None, (at, labels)))}}}"


def steady(value: float) -> str:
    """The same all the time."""
    return f"{value}+0x{_MINUTES}"


def growing(a_minute: float, begin: float = 0) -> str:
    """A counter that counts."""
    return f"{begin}+{a_minute}x{_MINUTES}"


def then(before: float, after: float, minutes: int = 20) -> str:
    """One value for so many minutes, and another one from then on."""
    return f"{before}+0x{minutes} {after}+0x{_MINUTES - minutes}"


def _histogram(name: str, *, at_most: str, a_minute: float = 100) -> Series:
    """Observations that are all just below one bound."""
    bounds = {
        "callhome_commit_seconds": ("0.01", "0.1", "1.0", "2.0", "+Inf"),
        "callhome_loop_lag_seconds": ("0.01", "0.1", "0.25", "1.0", "+Inf"),
    }[name]
    first = bounds.index(at_most)
    return {
        series(f"{name}_bucket", f'le="{bound}"'): growing(a_minute if place >= first else 0)
        for place, bound in enumerate(bounds)
    }


def _deliveries(**counted: str) -> Series:
    outcomes = ("sent", "postponed", "unreachable", "failed", "uncertain")
    return {
        series("callhome_deliveries_total", f'queue="mails",outcome="{outcome}"'): counted.get(
            outcome, growing(1 if outcome == "sent" else 0)
        )
        for outcome in outcomes
    }


def _refused(**counted: str) -> Series:
    reasons = ("too_long", "overloaded", "unavailable", "internal_error")
    return {
        series("callhome_refused_pings_total", f'reason="{reason}"'): counted.get(
            reason, growing(5 if reason == "too_long" else 0)
        )
        for reason in reasons
    }


def _tasks(**succeeded: str) -> Series:
    # Its clock begins with the test's, at 0.
    return {
        series("callhome_task_last_success_timestamp_seconds", f'task="{task}"'): succeeded.get(
            task, growing(60)
        )
        for task in ("keeper", "mails", "partitions")
    }


def _gauges(**values: str) -> Series:
    usual = {
        "ready": steady(1),
        "database_away": steady(0),
        "rollup_lag_seconds": steady(0.2),
        "spool_pings": steady(0),
        "spool_age_seconds": steady(0),
        "spool_bytes": steady(0),
        "spool_limit_bytes": steady(1e9),
        "spool_disk_used_ratio": steady(0.4),
        "spool_disk_limit_ratio": steady(0.9),
    }
    return {series(f"callhome_{name}"): value for name, value in (usual | values).items()}


def _counters(**values: str) -> Series:
    usual = {
        "received_pings_total": growing(600),
        "unverified_pings_total": growing(6),
        "lost_pings_total": steady(0),
        "spool_damaged_places_total": steady(0),
        "quarantined_pings_total": steady(0),
    }
    return {series(f"callhome_{name}"): value for name, value in (usual | values).items()}


UP: Final = series("up")
STARTED: Final = series("process_start_time_seconds")
CONNECTED: Final = series("callhome_task_connected", 'task="keeper"')
WORKER: Final = 'worker="2"'

HEALTHY: Final[Mapping[str, str]] = {
    UP: steady(1),
    STARTED: steady(0),
    CONNECTED: steady(1),
    series("callhome_task_connected", 'task="mails"'): steady(1),
    series("callhome_worker_up", WORKER): steady(1),
    series("callhome_worker_restarts_total", WORKER): steady(0),
    **_gauges(),
    **_counters(),
    **_refused(),
    **_deliveries(),
    **_tasks(),
    **_histogram("callhome_commit_seconds", at_most="0.01"),
    **_histogram("callhome_loop_lag_seconds", at_most="0.01"),
}


@dataclass(frozen=True)
class Scenario:
    """What is so: ``changed`` and ``gone`` of what is healthy. ``alerts`` fire then at ``at``, and no others.

    ``before``: none has fired yet.
    """

    what: str
    alerts: tuple[str, ...]
    changed: Series = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    before: str = "15m"
    at: str = "50m"
    takes_days: bool = False

    def test(self) -> dict[str, Any]:
        """The scenario in the terms of promtool."""
        healthy = {UP: "1+0x1500"} if self.takes_days else HEALTHY
        given = {name: values for name, values in healthy.items() if not name.startswith(self.gone or "-")}
        firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
        found = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(self.alerts)]
        return {
            "name": self.what,
            "interval": "10m" if self.takes_days else "1m",
            "input_series": [
                {"series": name, "values": values} for name, values in (given | self.changed).items()
            ],
            "promql_expr_test": [
                {"expr": firing, "eval_time": self.before, "exp_samples": []},
                {"expr": f"{firing} > bool 0", "eval_time": self.at, "exp_samples": found},
            ],
        }


# In tens of minutes.
_WEEK: Final = 7 * 24 * 6
# What a server had that isn't there any more.
_LEFT: Final = {
    series("callhome_spool_pings", at=_ALSO): "500+0x20 stale",
    series("up", at=_ALSO): "1+0x20 stale",
}

SCENARIOS: Final = (
    Scenario("all is well", ()),
    Scenario("the only server is down", ("CallhomeDown", "CallhomeReplicaUnreachable"), {UP: then(1, 0)}),
    Scenario("no server is known", ("CallhomeDown",), gone=("up{",), before="1m", at="3m"),
    Scenario(
        "one of two servers is down",
        ("CallhomeReplicaUnreachable",),
        {series("up", at=_ALSO): then(1, 0)},
    ),
    Scenario(
        "it is not ready",
        ("CallhomeNoneReady", "CallhomeReplicaNotReady"),
        {series("callhome_ready"): then(1, 0)},
    ),
    Scenario(
        "one of two is not ready",
        ("CallhomeReplicaNotReady",),
        {series("callhome_ready", at=_ALSO): then(1, 0)},
    ),
    Scenario(
        "a restart: not ready for some minutes",
        (),
        {series("callhome_ready", at=_ALSO): "1+0x20 0+0x4 1+0x100"},
    ),
    Scenario("nothing can be kept", ("CallhomeUnavailable",), _refused(unavailable="0+0x20 0+300x100")),
    Scenario("a failover: a second of refusals", (), _refused(unavailable="0+0x20 10+0x100"), at="23m"),
    Scenario("too much comes", ("CallhomeOverloaded",), _refused(overloaded="0+0x20 0+300x100")),
    Scenario("a request fails", ("CallhomeInternalErrors",), _refused(internal_error=then(0, 1)), at="23m"),
    Scenario(
        "nothing comes any more but scanners",
        ("CallhomeNoPings",),
        {
            series("callhome_received_pings_total"): f"0+6000x{_WEEK} {6_000 * _WEEK}+0.5x60",
            series("callhome_stored_pings_total"): f"0+6000x{_WEEK} {6_000 * _WEEK}+0x60",
            series("callhome_duplicate_pings_total"): f"0+0x{_WEEK + 60}",
            series("callhome_spooled_pings_total"): f"0+0x{_WEEK + 60}",
            series("callhome_refused_pings_total", 'reason="not_found"'): f"0+0x{_WEEK} 0+0.5x60",
        },
        before="168h",
        at="170h",
        takes_days=True,
    ),
    Scenario(
        "a quiet hour, as a week ago",
        (),
        {series("callhome_received_pings_total"): f"0+0x{_WEEK + 60}"},
        before="168h",
        at="170h",
        takes_days=True,
    ),
    Scenario("it dies again and again", ("CallhomeRestarting",), {STARTED: "0+0x20 3600+300x100"}, at="35m"),
    Scenario("it was started again once", (), {STARTED: then(0, 3_600)}, at="35m"),
    Scenario(
        "a worker died",
        ("CallhomeRestarting",),
        {series("callhome_worker_restarts_total", WORKER): then(0, 1)},
        at="30m",
    ),
    Scenario("a worker hangs", ("CallhomeWorkerHangs",), {series("callhome_worker_up", WORKER): then(1, 0)}),
    Scenario(
        "the loop is busy",
        ("CallhomeLoopBusy",),
        _histogram("callhome_loop_lag_seconds", at_most="1.0"),
        before="5m",
    ),
    Scenario("pings are lost", ("CallhomePingsLost",), _counters(lost_pings_total=then(0, 3))),
    Scenario(
        "a server starts and finds pings lost",
        ("CallhomePingsLost",),
        {series("callhome_lost_pings_total", at=_ALSO): "_x20 3+0x100"},
    ),
    Scenario("pings were lost days ago", (), _counters(lost_pings_total=steady(3)), before="100m", at="100m"),
    Scenario(
        "the spool is damaged", ("CallhomeSpoolDamaged",), _counters(spool_damaged_places_total=then(0, 1))
    ),
    Scenario(
        "rows are refused", ("CallhomePingsQuarantined",), _counters(quarantined_pings_total=then(0, 1))
    ),
    Scenario(
        "the spool is not drained",
        ("CallhomeSpoolNotDrained",),
        _gauges(spool_age_seconds="0+0x20 0+60x100", spool_pings=then(0, 500)),
    ),
    Scenario("an outage of ten minutes", (), _gauges(spool_age_seconds="0+0x20 0+60x10 0+0x100"), at="30m"),
    Scenario("the spool is nearly full", ("CallhomeSpoolNearlyFull",), _gauges(spool_bytes=then(2e8, 8.5e8))),
    Scenario(
        "its disk is nearly full",
        ("CallhomeSpoolNearlyFull",),
        _gauges(spool_disk_used_ratio=steady(0.87)),
        before="0m",
    ),
    Scenario("the spool grows", ("CallhomeSpoolFillsUp",), _gauges(spool_bytes="0+0x20 0+5e6x100"), at="80m"),
    Scenario(
        "its disk fills up",
        ("CallhomeSpoolFillsUp",),
        _gauges(spool_disk_used_ratio="0.5+0.0005x120"),
        before="0m",
        at="80m",
    ),
    Scenario("a server is gone, its spool is not empty", ("CallhomeSpoolLeftBehind",), _LEFT, at="80m"),
    Scenario(
        "a server is gone, its spool is empty",
        (),
        _LEFT | {series("callhome_spool_pings", at=_ALSO): "500+0x10 0+0x10 stale"},
        at="80m",
    ),
    Scenario(
        "the database is away",
        ("CallhomeDatabaseAway",),
        _gauges(database_away=then(0, 1)) | {CONNECTED: then(1, 0)},
    ),
    Scenario(
        "the database is away, and there is no spool", ("CallhomeDatabaseAway",), {CONNECTED: then(1, 0)}
    ),
    Scenario("a failover of the database", (), _gauges(database_away="0+0x20 1+0x1 0+0x100"), at="22m"),
    Scenario(
        "commits are slow",
        ("CallhomeCommitsSlow",),
        _histogram("callhome_commit_seconds", at_most="2.0"),
        before="5m",
    ),
    Scenario("a task fails", ("CallhomeTaskFails",), _tasks(mails="0+60x20 1200+0x100")),
    Scenario(
        "all tasks miss the database",
        ("CallhomeDatabaseAway",),
        _tasks(mails="0+60x20 1200+0x100", keeper="0+60x20 1200+0x100")
        | {series("callhome_task_connected", f'task="{task}"'): then(1, 0) for task in ("keeper", "mails")},
        at="110m",
    ),
    Scenario(
        "partitions are not made",
        ("CallhomePartitionsNotKept",),
        {series("callhome_task_last_success_timestamp_seconds", 'task="partitions"'): "0+0x300"},
        before="24h",
        at="26h",
        takes_days=True,
    ),
    Scenario("counters are behind", ("CallhomeRollupLags",), _gauges(rollup_lag_seconds=then(0.2, 90))),
    Scenario(
        "one server can not know how far the counters are",
        (),
        {series("callhome_rollup_lag_seconds", at=_ALSO): then(0.2, 900)},
    ),
    Scenario("a mail is refused", ("CallhomeMailsFail",), _deliveries(failed=then(0, 1))),
    Scenario("a mail is uncertain", ("CallhomeMailsFail",), _deliveries(uncertain=then(0, 1))),
    Scenario("mails are postponed", (), _deliveries(postponed="0+0x20 0+10x100")),
    Scenario(
        "the mail server is away",
        ("CallhomeMailServerUnreachable",),
        _deliveries(unreachable="0+0x20 0+6x100"),
        at="80m",
    ),
    Scenario(
        "installs are invented",
        ("CallhomeUnverifiedSurge",),
        _counters(unverified_pings_total="0+6x20 120+300x100"),
        at="110m",
    ),
)
