"""Alerts, dashboard and runbook are about the metrics that a real server tells, and each alert fires when it must."""

from __future__ import annotations

import asyncio
import json
import re
import runpy
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from alerting import SCENARIOS
from listener import post
from manifests import build, read
from pages import ROOT, anchors
from running import connected, ping, raw, until
from subscriptions import due
from supervised import Site, supervised

OVERLAY = ROOT / "manifests" / "overlays" / "monitoring"
COMPOSE = ROOT / "compose"
RULES = COMPOSE / "prometheus-rules.yml"
DASHBOARD = OVERLAY / "dashboards" / "callhome.json"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
# What tools/rules.py makes of a PrometheusRule and of site.yaml.
made = runpy.run_path(str(ROOT / "tools" / "rules.py"))["rules"]
# What Prometheus makes itself.
NOT_OURS = {"up", "ALERTS"}
# Before the first ping of a kind there is nothing of it to show.
MAY_BE_EMPTY = {"Alerts", "Tasks without a connection", "Refused by reason"}


def promtool(*words: str | Path, text: str | None = None) -> str:
    """Run promtool, which must find no fault; return what it says."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(
        [path, *map(str, words)], input=text, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by their names."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that show something."""
    return [one for one in json.loads(DASHBOARD.read_text("utf-8"))["panels"] if one["type"] != "row"]


def shown(expression: str) -> str:
    """An expression of the dashboard as Grafana sends it, with all that can be chosen chosen."""
    return re.sub(r"\$\w+", lambda name: "5s" if name[0] == "$__rate_interval" else ".*", expression)


def expressions() -> dict[str, list[str]]:
    """All expressions: of the alerts by their names, and of panels and annotations by their titles."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    found = {name: [rule["expr"]] for name, rule in alerts().items()}
    found |= {one["title"]: [shown(each["expr"]) for each in one["targets"]] for one in panels()}
    notes = [note for note in dashboard["annotations"]["list"] if "expr" in note]
    return found | {note["name"]: [shown(note["expr"])] for note in notes}


def selectors(expression: str) -> set[str]:
    """What an expression selects: each metric with what its labels must be."""
    bare = re.sub(r"\b(?:by|on|without|ignoring) \([^)]*\)", "", expression)
    names = r'(?<![\w"])([a-zA-Z_:][\w:]*)(\{(?:[^}"]|"[^"]*")*\})?(?!\s*\(|\w)'
    # Words of the language, and labels in quotes, are no metrics.
    words = {"and", "or", "unless", "offset", "bool"}
    plain = re.sub(r"\[[^\]]*\]|offset \w+", "", bare)
    found = {name + labels for name, labels in re.findall(names, plain)}
    return {one for one in found if one not in words}


def test_the_rules_of_compose_are_those_of_kubernetes() -> None:
    """compose/prometheus-rules.yml is what tools/rules.py makes of the PrometheusRule."""
    manifest, site = ((OVERLAY / name).read_text("utf-8") for name in ("prometheusrule.yaml", "site.yaml"))
    assert RULES.read_text("utf-8") == made(manifest, site), "run tools/rules.py"
    assert yaml.safe_load(manifest)["spec"] == yaml.safe_load(RULES.read_text("utf-8"))


def test_the_place_of_the_runbook_is_told_once() -> None:
    """Another place in site.yaml is where every alert leads."""
    manifest = (OVERLAY / "prometheusrule.yaml").read_text("utf-8")
    text = made(manifest, "data:\n  runbook: https://example.org/x\n")
    urls = re.findall(r"runbook_url: (.+)", text)
    assert len(urls) == len(alerts())
    assert {url.partition("#")[0] for url in urls} == {"https://example.org/x"}


def test_kustomize_tells_it_to_every_alert(tmp_path: Path) -> None:
    """What kubectl builds has the place of site.yaml in each alert, and sends the file itself to no cluster."""
    copy = shutil.copytree(OVERLAY, tmp_path / "monitoring")
    (copy / "site.yaml").write_text(
        re.sub(r"runbook: \S+", "runbook: https://example.org/x", (copy / "site.yaml").read_text("utf-8")),
        encoding="utf-8",
    )
    built = {one["kind"]: one for one in build(copy)}
    assert built.keys() == {"ConfigMap", "PrometheusRule", "ServiceMonitor"}
    found = [rule for group in built["PrometheusRule"]["spec"]["groups"] for rule in group["rules"]]
    urls = [rule["annotations"]["runbook_url"] for rule in found]
    assert urls == [f"https://example.org/x#{name.lower()}" for name in alerts()]
    assert built["ConfigMap"]["data"]["callhome.json"] == DASHBOARD.read_text("utf-8")


def test_the_console_of_each_replica_is_scraped() -> None:
    """The ServiceMonitor finds the console's Service and its port; the label that names the job has its name."""
    (monitor,) = read(OVERLAY / "servicemonitor.yaml")
    (service,) = read(ROOT / "manifests" / "base" / "service-console.yaml")
    labels, (endpoint,) = service["metadata"]["labels"], monitor["spec"]["endpoints"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert labels[monitor["spec"]["jobLabel"]] == "callhome"
    (job,) = yaml.safe_load((COMPOSE / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert job["job_name"] == "callhome"


def test_promtool_accepts_the_rules_and_the_configuration(tmp_path: Path) -> None:
    """`promtool check` finds no fault, the expressions of the dashboard included."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    promtool("check", "config", COMPOSE / "prometheus.yml")
    every = [each for found in expressions().values() for each in found]
    recorded = [{"record": f"shown_{place}", "expr": each} for place, each in enumerate(every)]
    path = tmp_path / "shown.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": recorded}]}), encoding="utf-8")
    promtool("check", "rules", path)


@pytest.mark.parametrize("name", alerts())
def test_each_alert_says_what_it_is(name: str) -> None:
    """An alert has a severity, says in words what is so, and leads to its section of the runbook."""
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"].partition("#")[2] == name.lower()


def test_each_alert_has_its_section_in_the_runbook() -> None:
    """The runbook has a section for each alert with what it means, what to look at and what to do, and no other."""
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    assert sections.keys() == alerts().keys()
    assert {name.lower() for name in sections} <= anchors(RUNBOOK)
    for name, text in sections.items():
        assert re.findall(r"^\*\*(\w+(?: \w+)?)\.\*\*", text, re.MULTILINE) == ["Meaning", "Look at", "Do"], (
            name
        )
        assert f"`{alerts()[name]['labels']['severity']}`" in text, name


def test_each_alert_fires_when_it_must_and_else_not(tmp_path: Path) -> None:
    """In each scenario the alerts that it names fire, no others, and before it begins none at all."""
    fired = {name for scenario in SCENARIOS for name in scenario.alerts}
    assert fired == alerts().keys()
    shutil.copy(RULES, tmp_path)
    for every, takes_days in (("2m", False), ("10m", True)):
        tests = [scenario.test() for scenario in SCENARIOS if scenario.takes_days is takes_days]
        path = tmp_path / f"tests-{every}.yml"
        given = {"rule_files": [RULES.name], "evaluation_interval": every, "tests": tests}
        path.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
        promtool("test", "rules", path)


def test_texts_of_alerts_are_filled_in(tmp_path: Path) -> None:
    """What an alert tells has its server and its figure in it, in units for people."""
    shutil.copy(RULES, tmp_path)
    (scenario,) = (one for one in SCENARIOS if one.what == "the spool is not drained")
    rule = alerts()["CallhomeSpoolNotDrained"]
    expected = {
        "exp_labels": {
            "severity": "warning",
            "namespace": "callhome",
            "job": "callhome",
            "instance": "callhome-0",
        },
        "exp_annotations": {
            "summary": "Pings wait in the spool of callhome-0",
            "description": "The oldest has been on that one disk alone for 29m 0s.",
            "runbook_url": rule["annotations"]["runbook_url"],
        },
    }
    asked = {"eval_time": scenario.at, "alertname": "CallhomeSpoolNotDrained", "exp_alerts": [expected]}
    test = {**scenario.test(), "promql_expr_test": [], "alert_rule_test": [asked]}
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [RULES.name], "tests": [test]}), encoding="utf-8")
    promtool("test", "rules", path)


def test_the_dashboard_says_what_it_shows() -> None:
    """Each panel has a title of its own, says what it is, has a unit and asks the data source that is chosen."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    every = dashboard["panels"]
    assert len({one["id"] for one in every}) == len(every)
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource", "namespace", "instance"]
    for one in panels():
        assert one["title"]
        assert one["description"].endswith("."), one["title"]
        assert one["fieldConfig"]["defaults"]["unit"], one["title"]
        assert {each["datasource"]["uid"] for each in (one, *one["targets"])} == {"${datasource}"}


def test_panels_do_not_lie_on_each_other() -> None:
    """No two panels share a place, and none is wider than the page."""
    taken = set[tuple[int, int]]()
    for one in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        at = one["gridPos"]
        assert at["x"] + at["w"] <= 24, one["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, one["title"]
        taken |= cells


def test_grafana_finds_the_dashboard_and_the_data() -> None:
    """What is provisioned names the folder that compose mounts, and the service that compose starts."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    mounted = dict(each.split(":")[:2] for each in services["grafana"]["volumes"])
    folders = {inside: ROOT / here for here, inside in mounted.items() if here.startswith(".")}
    provisioning = folders["/etc/grafana/provisioning"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "callhome.yml").read_text("utf-8"))[
        "providers"
    ]
    assert (folders[provider["options"]["path"]] / "callhome.json").read_bytes() == DASHBOARD.read_bytes()
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text("utf-8"))[
        "datasources"
    ]
    assert re.fullmatch(r"http://(\w+):9090", source["url"])[1] in services  # type: ignore[index]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('rate(a_total{b="c (d"}[5m]) > 0', {'a_total{b="c (d"}'}),
        ("sum by (namespace, job) (a offset 1w) or on (x) b unless c offset 1h", {"a", "b", "c"}),
        ("time() - max(a > bool 0) and histogram_quantile(0.99, a_bucket)", {"a", "a_bucket"}),
    ],
)
def test_selectors_are_found(expression: str, found: set[str]) -> None:
    """Metrics are told from functions, words of the language and labels."""
    assert selectors(expression) == found


@asynccontextmanager
async def watched(site: Site, folder: Path) -> AsyncIterator[str]:
    """A real Prometheus that scrapes a server each second, with our rules; where it answers."""
    path = shutil.which("prometheus")
    if path is None:
        pytest.skip("no prometheus: apt-get install prometheus")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    config = yaml.safe_load((COMPOSE / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [str(site.console)]}]
    shutil.copy(RULES, folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        path,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={place}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://{place}"
    finally:
        process.terminate()
        await process.wait()


async def asked(url: str, **parameters: str) -> Any:
    """What Prometheus answers."""
    async with aiohttp.ClientSession() as session, session.get(url, params=parameters) as got:
        answer = await got.json()
    assert answer["status"] == "success", (parameters, answer)
    return answer["data"]


async def test_all_is_about_what_a_real_server_tells(database: str, tmp_path: Path) -> None:
    """A real Prometheus scrapes two workers: all that alerts and panels select is there, and panels show something."""
    environ = {
        "CALLHOME_SPOOL_DIR": str(tmp_path / "spool"),
        "CALLHOME_SMTP_URL": "smtp://127.0.0.1:1",
        "CALLHOME_MAIL_FROM": "callhome@example.com",
    }
    async with supervised(database, 2, **environ) as site, watched(site, tmp_path) as prometheus:
        async with connected(database) as connection:
            await due(connection)

        async def is_scraped_twice() -> bool:
            await _send(site)
            try:
                count = await asked(
                    f"{prometheus}/api/v1/query", query="min(count_over_time(callhome_ready[1m]))"
                )
            except (aiohttp.ClientError, AssertionError):  # it has not begun
                return False
            return bool(count["result"]) and int(count["result"][0]["value"][1]) >= 5

        await until(is_scraped_twice, patience_s=60.0)
        missing, empty = await _looked(prometheus)
        told = await asked(f"{prometheus}/api/v1/rules")
    assert not missing
    assert set(empty) <= MAY_BE_EMPTY
    health = {rule["name"]: rule["health"] for group in told["groups"] for rule in group["rules"]}
    assert health == dict.fromkeys(alerts(), "ok")


async def _send(site: Site) -> None:
    async with raw(site.ingest) as client:
        await client.send(post(ping())).answer()
        await client.send(post(ping(version=""))).answer()


async def _looked(prometheus: str) -> tuple[dict[str, str], list[str]]:
    """What nothing is there for: selectors, each with who has it, and panels."""
    missing, empty = dict[str, str](), []
    for name, found in expressions().items():
        for selector in set().union(*map(selectors, found)):
            if selector.partition("{")[0] not in NOT_OURS and not await asked(
                f"{prometheus}/api/v1/series", **{"match[]": selector}
            ):
                missing[selector] = name
    for one in panels():
        answers = [
            await asked(f"{prometheus}/api/v1/query", query=shown(each["expr"])) for each in one["targets"]
        ]
        if not any(answer["result"] for answer in answers):
            empty.append(one["title"])
    return missing, empty
