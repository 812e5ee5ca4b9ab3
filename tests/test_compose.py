"""``compose.yaml``: services are confined, the proxy alone faces the internet, and all names in it are true."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

import callhome
from callhome.settings import TABLE, Settings, load
from composed import (
    FILE,
    NAMES,
    ROOT,
    composition,
    interpolated,
    mounts,
    networks_of,
    server_settings,
    size_bytes,
    subnet,
    variables,
)

COMPOSED = composition()
SERVICES: dict[str, dict[str, Any]] = COMPOSED["services"]
CADDYFILE = (ROOT / "compose" / "caddy" / "Caddyfile").read_text("utf-8")
# Files of a listener that the process needs beside connections and viewers: docs/operating.md.
DESCRIPTORS = 256 + 1_000 + 64
# Which may be added, and why, stands beside each in the file.
CAPABILITIES = {"caddy": ["NET_BIND_SERVICE"]}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what setup.sh works on."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files to the users of the containers")
    shutil.copytree(ROOT / "compose", tmp_path / "compose", ignore=shutil.ignore_patterns("local", "secrets"))
    (tmp_path / "compose" / "secrets").mkdir()
    return tmp_path


def set_up(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run setup.sh in a copy, with its backups there too."""
    command = ["sh", str(checkout / "compose" / "setup.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def made(checkout: Path) -> Path:
    """A copy in which all was made."""
    (checkout / ".env").write_text(
        "".join(f"{name}={value}\n" for name, value in NAMES.items()) + f"BACKUP_DIR={checkout}/backups\n"
    )
    done = set_up(checkout)
    assert done.returncode == 0, done.stderr
    return checkout


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_confined(name: str) -> None:
    """No service is root, writes to its image, has a capability or gains one, or takes more than its share."""
    service = SERVICES[name]
    uid, _, gid = service["user"].partition(":")
    assert (uid, gid) != ("0", "0")
    assert uid.isdecimal() == gid.isdecimal() is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == CAPABILITIES.get(name, [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert size_bytes(service["mem_limit"]) > 0
    assert service["pids_limit"] > 0


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_looked_after(name: str) -> None:
    """Each service is started again, says whether it is well, and keeps a bounded log."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_images_are_pinned() -> None:
    """An image is of one version and one digest; callhome's own is of this version."""
    for name, service in SERVICES.items():
        if name == "callhome":
            assert service["image"] == f"callhome:{callhome.__version__}"
        else:
            assert re.fullmatch(
                r"[\w/.-]+:v?\d+\.\d+(\.\d+)?(-\w+)?@sha256:[0-9a-f]{64}", service["image"]
            ), name


def test_images_are_those_of_the_manifests() -> None:
    """An image that the manifests for Kubernetes use too has the same version there."""
    ours = dict(service["image"].partition("@")[0].split(":") for service in SERVICES.values())
    text = "\n".join(path.read_text("utf-8") for path in ROOT.glob("manifests/**/*.yaml"))
    if not text:
        pytest.skip("there are no manifests")
    theirs = re.findall(r"^\s*(?:- )?image: [\"']?([\w/.-]+):([\w.-]+)", text, re.MULTILINE)
    assert [(image, tag) for image, tag in theirs if ours.get(image, tag) != tag] == []


def test_only_the_proxy_faces_the_internet() -> None:
    """Ports are published by Caddy alone; the database has no way out, and callhome one of its own."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"caddy": ["0.0.0.0:80:8080", "0.0.0.0:443:8443"]}
    for port, setting in {"8080": "http_port", "8443": "https_port"}.items():
        assert re.search(rf"^\t{setting} {{\$\w+:{port}}}$", CADDYFILE, re.MULTILINE)
    inside = {name for name, network in COMPOSED["networks"].items() if network.get("internal")}
    ways_out = {name: networks_of(service) - inside for name, service in SERVICES.items()}
    assert {name: ways for name, ways in ways_out.items() if ways} == {"caddy": {"edge"}, "callhome": {"out"}}
    assert networks_of(SERVICES["postgres"]) == networks_of(SERVICES["backup"]) == {"data"}


def test_callhome_trusts_the_proxy_alone() -> None:
    """The one trusted address is Caddy's, which is fixed, in its network, and given to nobody else."""
    address = ip_address(SERVICES["caddy"]["networks"]["web"]["ipv4_address"])
    assert [ip_network(SERVICES["callhome"]["environment"]["CALLHOME_TRUSTED_PROXIES"])] == [
        ip_network(address)
    ]
    assert address in subnet(COMPOSED, "web")
    assert address not in subnet(COMPOSED, "web", "ip_range")
    assert subnet(COMPOSED, "edge") == ip_network(SERVICES["caddy"]["environment"]["EDGE_SUBNET"])
    assert f"EDGE_SUBNET:{subnet(COMPOSED, 'edge')}" in CADDYFILE


def test_settings_are_settings(made: Path) -> None:
    """What callhome is given is accepted, with the secrets that setup.sh makes, and leads to what is there."""
    environ = dict(SERVICES["callhome"]["environment"])
    assert environ.keys() <= {row.variable for row in TABLE.values()}
    volume = {target: source for source, target, _ in mounts(SERVICES["callhome"])}
    assert environ["CALLHOME_SPOOL_DIR"].rpartition("/")[0] in volume
    assert volume["/run/secrets/callhome"] == "./compose/secrets/callhome"

    environ["CALLHOME_SPOOL_DIR"] = str(made / "spool")
    environ["CALLHOME_SECRETS_DIR"] = str(made / "compose/secrets/callhome")
    found = load(Settings, {}, environ=environ)
    assert found.console_hosts == (NAMES["CONSOLE_HOST"], "callhome")
    for upstream, port in {"INGEST": found.ingest_listen.port, "CONSOLE": found.console_listen.port}.items():
        assert f"{{${upstream}_UPSTREAM:callhome:{port}}}" in CADDYFILE
    password = (made / "compose/secrets/callhome_password").read_text().strip()
    url = (made / "compose/secrets/callhome/database_url").read_text().strip()
    assert url == f"postgresql://callhome:{password}@postgres:5432/callhome"
    grace_s = int(SERVICES["callhome"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > found.stop_delay_s + found.stop_s + found.stop_drain_s
    files = SERVICES["callhome"]["ulimits"]["nofile"]
    assert files["soft"] == files["hard"] >= found.connections + found.viewers + DESCRIPTORS


def test_volumes_secrets_and_networks_are_declared_and_used() -> None:
    """What a service mounts, reads or joins is declared, what is declared is used, and a named file is in the tree."""
    named, bound = set[str](), set[str]()
    for service in SERVICES.values():
        for source, _, _ in mounts(service):
            (bound if source.startswith((".", "/")) else named).add(source)
    assert named == COMPOSED["volumes"].keys()
    secrets = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert secrets == COMPOSED["secrets"].keys()
    assert {network for service in SERVICES.values() for network in networks_of(service)} == COMPOSED[
        "networks"
    ].keys()
    made_by_setup = {"./compose/secrets/callhome", "/var/backups/callhome"}
    assert [source for source in bound - made_by_setup if not (ROOT / source).exists()] == []


def test_what_is_mounted_from_the_tree_is_read_only() -> None:
    """A container changes nothing of the checkout; what it keeps is in a volume, or in the folder of the backups."""
    written = {
        source for service in SERVICES.values() for source, _, read_only in mounts(service) if not read_only
    }
    assert written == COMPOSED["volumes"].keys() | {"/var/backups/callhome"}


def test_postgresql_keeps_its_data_in_the_volume() -> None:
    """The volume is where version 18 of the image has its data, and memory is shared as the documentation says."""
    postgres = SERVICES["postgres"]
    assert ("postgres", "/var/lib/postgresql", False) in mounts(postgres)
    settings = server_settings(postgres)
    assert size_bytes(settings["shared_buffers"]) * 4 == size_bytes(postgres["mem_limit"])
    assert not {"fsync", "full_page_writes", "synchronous_commit"} & settings.keys()
    assert SERVICES["backup"]["image"] == postgres["image"]


def test_variables_are_explained() -> None:
    """Every variable of .env stands in the page about one virtual machine; names and networks must be given."""
    page = (ROOT / "docs" / "deploy" / "one-vm.md").read_text("utf-8")
    assert [name for name in variables() if f"`{name}`" not in page] == []
    assert {name for name, is_needed in variables().items() if is_needed} == NAMES.keys()
    for name in NAMES:
        with pytest.raises(KeyError, match=name):
            composition({other: value for other, value in NAMES.items() if other != name})


def test_setup_makes_secrets_for_their_readers_once(checkout: Path) -> None:
    """Each secret is long, its own, and readable by the one user that needs it; a second run changes nothing."""
    backups = checkout / "backups"
    assert set_up(checkout).returncode == 1
    (checkout / ".env").write_text(
        f"PING_HOST=a\nCONSOLE_HOST=b\nCONSOLE_NETWORKS=private_ranges\nBACKUP_DIR={backups}\n"
    )
    assert set_up(checkout, "a", "b").returncode == 1
    assert set_up(checkout).returncode == 0
    secrets = checkout / "compose" / "secrets"
    readers = {"callhome/secret": 10001, "callhome/database_url": 10001, "grafana_password": 472}
    readers |= dict.fromkeys(("postgres_admin_password", "callhome_password", "backup_pgpass"), 999)
    found = {path.relative_to(secrets).as_posix(): path for path in secrets.rglob("*") if path.is_file()}
    assert {name: path.stat().st_uid for name, path in found.items()} == readers
    assert {stat.S_IMODE(path.stat().st_mode) for path in found.values()} == {0o400}
    assert (backups.stat().st_uid, stat.S_IMODE(backups.stat().st_mode)) == (999, 0o700)
    texts = {name: path.read_text().strip() for name, path in found.items()}
    assert len({text for name, text in texts.items() if len(text) == 64}) == 4
    assert {f"./compose/secrets/{name}" for name in found if "/" not in name} == {
        secret["file"] for secret in COMPOSED["secrets"].values()
    }
    for name, service in SERVICES.items():
        for secret in service.get("secrets", ()):
            assert str(readers[secret]) == service["user"].partition(":")[0], f"{name} can't read {secret}"

    local = checkout / "compose" / "caddy" / "local"
    local.mkdir(parents=True, exist_ok=True)
    (local / "console.key").touch(0o400)
    assert set_up(checkout).returncode == 0
    assert {name: path.read_text().strip() for name, path in found.items()} == texts
    assert stat.S_IMODE((local / "console.key").stat().st_mode) == 0o400


def test_setup_takes_the_names_once(checkout: Path) -> None:
    """The names given to setup.sh are those of .env, which is not written over."""
    (checkout / "compose" / "setup.sh").write_text(
        (checkout / "compose" / "setup.sh")
        .read_text()
        .replace("/var/backups/callhome", f"{checkout}/backups")
    )
    assert set_up(checkout, NAMES["PING_HOST"], NAMES["CONSOLE_HOST"]).returncode == 0
    lines = (checkout / ".env").read_text().splitlines()
    assert dict(line.split("=") for line in lines) == NAMES
    assert set_up(checkout, "other.example.com", "x.example.com").returncode == 1
    assert (checkout / ".env").read_text().splitlines() == lines


def test_compose_itself_reads_the_file(made: Path) -> None:
    """Docker's own Compose finds nothing wrong, and reads it as these tests do."""
    command = _compose_command()
    shutil.copy(FILE, made)
    done = subprocess.run(
        [*command, "--profile", "monitoring", "config", "--format", "json"],
        cwd=made,
        env={"PATH": os.environ["PATH"], "HOME": str(made)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    read = json.loads(done.stdout)
    assert read["services"].keys() == SERVICES.keys()
    for name, service in SERVICES.items():
        assert read["services"][name]["image"] == service["image"]
        assert read["services"][name]["networks"].keys() == networks_of(service)
        assert read["services"][name]["read_only"] is True
    assert read["services"]["callhome"]["environment"] == SERVICES["callhome"]["environment"]


def _compose_command() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run(
                [*command, "version", "--short"], capture_output=True, text=True, check=False
            )
            if done.returncode == 0 and int(done.stdout.lstrip("v").partition(".")[0] or 0) >= 2:
                return command
    pytest.skip("needs Docker Compose 2.24 or newer: apt-get install docker-compose (Debian 13)")


@pytest.mark.parametrize(
    ("text", "found"),
    [("${A}", "x"), ("${A:-y}", "x"), ("${B:-y z}/32", "y z/32"), ("${B:-}", ""), ("${A:?why}-${A}", "x-x")],
)
def test_variables_are_put_in(text: str, found: str) -> None:
    """A variable gives its value, or its default where it is empty or missing."""
    assert interpolated(text, {"A": "x", "B": ""}) == found


def test_a_line_of_confinement_that_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking one line of confinement away fails the test of it."""
    for line in ("  read_only: true\n", "  cap_drop: [ALL]\n", "  security_opt: [no-new-privileges:true]\n"):
        text = FILE.read_text("utf-8")
        assert line in text
        monkeypatch.setitem(
            SERVICES, "postgres", composition(text=text.replace(line, "", 1))["services"]["postgres"]
        )
        with pytest.raises((AssertionError, KeyError)):
            test_service_is_confined("postgres")
