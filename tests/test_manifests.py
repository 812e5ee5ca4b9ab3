"""The Kubernetes manifests: each overlay is built by kubectl, and held against schemas, standards and settings.

What each overlay is for is in manifests/README.md. None of this needs a cluster.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import callhome
from callhome.cli import main
from callhome.settings import TABLE, Settings, SettingsError, load
from callhome.settings.kinds import listen
from manifests import (
    BUILT,
    MANIFESTS,
    OVERLAYS,
    ROOT,
    Pod,
    Resource,
    build,
    bytes_of,
    command,
    custom_schemas,
    image_environment,
    image_user,
    name_of,
    of_kind,
    pods,
    read,
    secret_value,
    selects,
    server,
    unrestricted,
    with_secrets,
)

VALIDATE: Any = pytest.importorskip(
    "kubernetes_validate.utils", reason="needs kubernetes-validate: `make setup` installs it into .venv"
)

# Kinds that Kubernetes learns from others, and whose schemas no package has: those of TEST_CRDS serve.
CUSTOM = {
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("postgresql.cnpg.io/v1", "ScheduledBackup"),
    ("barmancloud.cnpg.io/v1", "ObjectStore"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
}
# A folder with the YAML files of their CustomResourceDefinitions.
CUSTOM_SCHEMAS = os.environ.get("TEST_CRDS")
# What CloudNativePG makes for its cluster `callhome-db`, and no overlay.
OPERATORS_SECRETS = {"callhome-db-app", "callhome-db-ca"}
EXPLAINED = Path(__file__).parent / "hardening" / "explained.yaml"
# With callhome in them, so with its StatefulSet.
WHOLE = [name for name in OVERLAYS if name != "monitoring"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Resource]]:
    """The resources of each overlay, as kubectl would send them."""
    copy = with_secrets(tmp_path_factory.mktemp("built"))
    return {name: build(copy / path.relative_to(MANIFESTS)) for name, path in BUILT.items()}


def _kustomizations() -> list[Path]:
    return sorted(path.parent for path in MANIFESTS.rglob("kustomization.yaml"))


def _secrets(resources: list[Resource]) -> set[str]:
    """Names of the secrets that are there for this overlay's pods."""
    found = {one["metadata"]["name"] for one in of_kind(resources, "Secret")}
    has_operator = any(one["kind"] == "Cluster" for one in resources)
    return found | (OPERATORS_SECRETS if has_operator else set())


def _environment(pod: Pod, resources: list[Resource], container: Resource) -> dict[str, str]:
    """The variables of a container of ours: the image's, its ConfigMaps', its own."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(resources, "ConfigMap")}
    found = image_environment()
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    return found | {one["name"]: one["value"] for one in container.get("env", ())}


def _settings(resources: list[Resource], folder: Path) -> Settings:
    """The settings of the server as it would read them in its pod; raises where one is wrong or unknown."""
    pod = server(resources)
    environ = _environment(pod, resources, pod.containers[-1])
    (folder / "secrets").mkdir()
    for source in next(one for one in pod.spec["volumes"] if one["name"] == "secrets")["projected"][
        "sources"
    ]:
        held = {one["metadata"]["name"]: one["data"].keys() for one in of_kind(resources, "Secret")} | {
            "callhome-db-app": {"uri"}
        }
        wanted = source["secret"].get("items") or [
            {"key": k, "path": k} for k in held[source["secret"]["name"]]
        ]
        for item in wanted:
            assert item["key"] in held[source["secret"]["name"]], item
            (folder / "secrets" / item["path"]).write_text(secret_value(item["path"]), encoding="utf-8")
    environ |= {"CALLHOME_SECRETS_DIR": str(folder / "secrets"), "CALLHOME_SPOOL_DIR": str(folder / "spool")}
    return load(
        Settings, environ={name: value for name, value in environ.items() if name.startswith("CALLHOME_")}
    )


@pytest.mark.parametrize("folder", _kustomizations(), ids=lambda path: path.relative_to(MANIFESTS).as_posix())
def test_a_file_has_one_resource(folder: Path) -> None:
    """Each file that kustomize takes as resources has one, and each YAML file of a folder is used."""
    kustomization = read(folder / "kustomization.yaml")[0]
    resources = [name for name in kustomization["resources"] if name.endswith(".yaml")]
    assert [name for name in resources if len(read(folder / name)) != 1] == []
    others = [
        one["path"] for key in ("patches", "replacements", "components") for one in kustomization.get(key, ())
    ]
    generated = [
        file.rpartition("=")[2]
        for one in kustomization.get("configMapGenerator", ())
        for file in one.get("files", ())
    ]
    used = {*resources, *others, *generated, "kustomization.yaml"}
    assert {path.name for path in folder.glob("*.yaml")} == {name for name in used if name.endswith(".yaml")}


@pytest.mark.parametrize("name", BUILT)
def test_overlay_builds(name: str, built: dict[str, list[Resource]]) -> None:
    """kubectl builds it without a warning; no two resources have the same name; all are in one namespace."""
    resources = built[name]
    assert resources
    counted = Counter(
        (one["apiVersion"], name_of(one), one["metadata"].get("namespace")) for one in resources
    )
    assert [one for one, times in counted.items() if times > 1] == []
    assert {
        one["metadata"].get("namespace", "callhome")
        for one in of_kind(resources, *{one["kind"] for one in resources})
    } <= {
        "callhome",
        "cattle-dashboards",
    }


def _last_four() -> list[str]:
    """The last four versions of Kubernetes that the package knows, as "1.37"."""
    known = {VALIDATE.major_minor(version) for version in VALIDATE.all_versions()}
    return sorted(known, key=lambda version: [int(part) for part in version.split(".")])[-4:]


def _validated(resources: list[Resource], version: str, folder: Path) -> tuple[int, list[str]]:
    """What kubernetes-validate says of these resources: its exit code and its lines."""
    file = folder / "resources.yaml"
    file.write_text(yaml.safe_dump_all(resources), encoding="utf-8")
    done = subprocess.run(
        [command("kubernetes-validate"), "--strict", "--quiet", "--kubernetes-version", version, str(file)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).replace(f"{file} ", "").splitlines()


@pytest.mark.parametrize("version", _last_four())
def test_resources_are_valid(version: str, built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """The strict schemas of this version take each resource of each overlay; kinds without a schema are on a list."""
    different = {yaml.safe_dump(one): one for resources in built.values() for one in resources}
    code, said = _validated(list(different.values()), version, tmp_path)
    known = {
        f"WARN Couldn't find schema for kind {kind} with api version {api} for kubernetes version {version}"
        for api, kind in CUSTOM
    }
    assert (code, [line for line in said if line not in known]) == (0, [])


def test_invalid_resource_is_found(built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """A misspelt field is an error, and a kind that nobody knows a warning."""
    (account,) = of_kind(built["single-node"], "ServiceAccount")
    code, said = _validated([account | {"automountToken": False}], _last_four()[-1], tmp_path)
    assert code != 0
    assert "automountToken" in said[0]
    code, said = _validated([account | {"kind": "Account"}], _last_four()[-1], tmp_path)
    assert said[0].startswith("WARN Couldn't find schema for kind Account ")


@pytest.mark.skipif(
    CUSTOM_SCHEMAS is None,
    reason="no package has the schemas of custom resources: put their CustomResourceDefinitions (CloudNativePG, its "
    "Barman Cloud plugin, Prometheus operator) into a folder, and name it in TEST_CRDS",
)
@pytest.mark.parametrize("name", BUILT)
def test_custom_resources_fit_their_schemas(name: str, built: dict[str, list[Resource]]) -> None:
    """Each custom resource has a definition, and only the fields that it names."""
    jsonschema: Any = pytest.importorskip("jsonschema")
    schemas = custom_schemas(Path(str(CUSTOM_SCHEMAS)))
    for one in built[name]:
        key = (one["apiVersion"], one["kind"])
        if key in CUSTOM:
            assert key in schemas, f"no CustomResourceDefinition of {key}"
            found = jsonschema.Draft202012Validator(schemas[key]).iter_errors(one)
            assert [f"{name_of(one)} {error.json_path}: {error.message}" for error in found] == []


def test_schema_of_a_custom_resource_refuses_unknown_fields() -> None:
    """A field that a definition doesn't name is found, deep down too, and a number or text is either."""
    from manifests import json_schema

    jsonschema: Any = pytest.importorskip("jsonschema")
    port = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    spec = {
        "type": "object",
        "properties": {"port": port, "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    validator = jsonschema.Draft202012Validator(
        json_schema({"type": "object", "properties": {"specs": {"type": "array", "items": spec}}})
    )
    assert validator.is_valid({"specs": [{"port": 1, "any": {"x": 1}}, {"port": "http"}]})
    assert not validator.is_valid({"specs": [{"prot": 1}]})
    assert not validator.is_valid({"specs": [{"port": 1.5}]})


@pytest.mark.parametrize("name", BUILT)
def test_pods_are_restricted(name: str, built: dict[str, list[Resource]]) -> None:
    """Each pod meets the restricted Pod Security Standard, with a read-only root and no token of the API server."""
    for pod in pods(built[name]):
        assert list(unrestricted(pod)) == [], pod.name
        assert pod.spec.get("automountServiceAccountToken") is False, pod.name
        assert pod.spec.get("enableServiceLinks") is False, pod.name
    for one in of_kind(built[name], "Namespace"):
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in of_kind(built[name], "ServiceAccount"):
        assert one["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("hostNetwork", True, "hostNetwork"),
        ("volumes.0.hostPath", {"path": "/"}, "volume data"),
        ("securityContext.sysctls", [{"name": "kernel.shmmax"}], "sysctls"),
        ("securityContext.runAsNonRoot", False, "one: may be root"),
        ("securityContext.runAsUser", 0, "one: may be root"),
        ("securityContext.seccompProfile.type", "Unconfined", "one: seccompProfile"),
        ("containers.0.securityContext.runAsUser", 0, "one: may be root"),
        ("containers.0.securityContext.privileged", True, "one: privileged"),
        ("containers.0.securityContext.allowPrivilegeEscalation", True, "one: allowPrivilegeEscalation"),
        ("containers.0.securityContext.capabilities.drop", ["NET_RAW"], "one: capabilities"),
        ("containers.0.securityContext.capabilities.add", ["SYS_ADMIN"], "one: capabilities"),
        ("containers.0.securityContext.readOnlyRootFilesystem", False, "one: readOnlyRootFilesystem"),
        ("containers.0.ports", [{"containerPort": 80, "hostPort": 80}], "one: hostPort"),
    ],
)
def test_unrestricted_pod_is_found(path: str, value: object, found: str) -> None:
    """The look at pods finds each planted fault, and nothing in a pod without one."""
    context = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    own = {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}}
    spec: Any = {
        "securityContext": own,
        "containers": [{"name": "one", "securityContext": context}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    assert list(unrestricted(Pod("planted", {}, spec, {}))) == []
    *way, last = path.split(".")
    place = spec
    for step in way:
        place = place[int(step)] if step.isdecimal() else place[step]
    place[last] = value
    assert list(unrestricted(Pod("planted", {}, spec, {}))) == [found]


@pytest.mark.parametrize("name", BUILT)
def test_containers_are_bounded_and_pinned(name: str, built: dict[str, list[Resource]]) -> None:
    """Each container has requests and limits of processor and memory, and an image of one version, this one if ours."""
    for pod in pods(built[name]):
        for one in pod.containers:
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= one["resources"][kind].keys(), (pod.name, one["name"])
            image, _, tag = one["image"].rpartition(":")
            assert re.fullmatch(r"v?\d+\.\d+[\w.-]*", tag), one["image"]
            assert one["imagePullPolicy"] == "IfNotPresent", one["name"]
            if image.rpartition("/")[2] == "callhome":
                assert tag == callhome.__version__
    for cluster in of_kind(built[name], "Cluster"):
        assert re.search(r":\d+\.\d+-", cluster["spec"]["imageName"])
        assert {"cpu", "memory"} <= cluster["spec"]["resources"]["limits"].keys()


@pytest.mark.parametrize("name", BUILT)
def test_volumes_are_declared_and_used(name: str, built: dict[str, list[Resource]]) -> None:
    """Every mount has its volume and every volume its mount; what is in memory or on the node is bounded."""
    for pod in pods(built[name]):
        declared = {one["name"] for one in pod.spec.get("volumes", ())}
        declared |= {one["metadata"]["name"] for one in pod.workload["spec"].get("volumeClaimTemplates", ())}
        assert {
            mount["name"] for one in pod.containers for mount in one.get("volumeMounts", ())
        } == declared, pod.name
        assert all("sizeLimit" in one["emptyDir"] for one in pod.spec.get("volumes", ()) if "emptyDir" in one)


@pytest.mark.parametrize("name", OVERLAYS)
def test_secrets_and_settings_that_pods_name_are_there(name: str, built: dict[str, list[Resource]]) -> None:
    """Each Secret and ConfigMap that a pod takes is of its overlay, or of CloudNativePG where that is."""
    resources = built[name]
    maps = {one["metadata"]["name"] for one in of_kind(resources, "ConfigMap")}
    for pod in pods(resources):
        volumes = pod.spec.get("volumes", ())
        sources = [source for one in volumes for source in one.get("projected", {}).get("sources", ())]
        named = {source["secret"]["name"] for source in sources}
        named |= {one["secret"]["secretName"] for one in volumes if "secret" in one}
        assert named <= _secrets(resources), pod.name
        for one in pod.containers:
            assert {source["configMapRef"]["name"] for source in one.get("envFrom", ())} <= maps
            assert not [variable for variable in one.get("env", ()) if "valueFrom" in variable]


@pytest.mark.parametrize("name", OVERLAYS)
def test_secrets_are_in_secrets_only(name: str, built: dict[str, list[Resource]]) -> None:
    """No value of a secret's file stands anywhere else, and no ConfigMap has a secret setting."""
    others = [one for one in built[name] if one["kind"] != "Secret"]
    text = json.dumps(others)
    for one in of_kind(built[name], "Secret"):
        assert [key for key in one["data"] if secret_value(key) in text] == []
    secret = {row.variable for row in TABLE.values() if row.secret}
    assert [one for one in of_kind(others, "ConfigMap") if one["data"].keys() & secret] == []
    assert "correct-horse" not in text


def test_files_of_secrets_are_never_committed(tmp_path: Path) -> None:
    """Every file of a secret lies where git does not look."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("needs git")
    copy = with_secrets(tmp_path)
    subprocess.run([git, "init", "--quiet", str(tmp_path)], check=True, timeout=60)
    files = list(copy.rglob("secrets/*"))
    assert len(files) > 4
    done = subprocess.run(
        [git, "-C", str(tmp_path), "check-ignore", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(done.stdout.splitlines()) == len(files)


@pytest.mark.parametrize("name", WHOLE)
def test_settings_are_known_and_right(name: str, built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """Image, ConfigMap and secrets together are settings that the server takes; a misspelt one would not be."""
    settings = _settings(built[name], tmp_path)
    assert settings.workers == 1  # the replicas are the workers
    (config,) = (one for one in of_kind(built[name], "ConfigMap") if "CALLHOME_STOP_DELAY_S" in one["data"])
    assert config["data"].keys() <= {row.variable for row in TABLE.values()}
    config["data"] = config["data"] | {"CALLHOME_STOP_DELAYS": "1"}
    (tmp_path / "planted").mkdir()
    try:
        with pytest.raises(SettingsError, match="CALLHOME_STOP_DELAYS"):
            _settings(built[name], tmp_path / "planted")
    finally:
        del config["data"]["CALLHOME_STOP_DELAYS"]


@pytest.mark.parametrize("name", WHOLE)
def test_ports_and_probes_are_the_listeners(name: str, built: dict[str, list[Resource]]) -> None:
    """The container's ports are those on which the image listens, and the probes ask paths that the console has."""
    pod = server(built[name])
    environ = image_environment()
    assert pod.ports == {
        "ingest": listen(environ["CALLHOME_INGEST_LISTEN"]).port,
        "console": listen(environ["CALLHOME_CONSOLE_LISTEN"]).port,
    }
    (one,) = pod.spec["containers"]
    paths = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert {probe: one[probe]["httpGet"] for probe in paths} == {
        probe: {"path": path, "port": "console"} for probe, path in paths.items()
    }


@pytest.mark.parametrize("name", BUILT)
def test_our_pods_run_as_the_images_user(name: str, built: dict[str, list[Resource]]) -> None:
    """Pods with only our image run as its user; their volumes are its group's, and secrets readable by that alone."""
    for pod in pods(built[name]):
        if "callhome" in pod.labels.get("app.kubernetes.io/name", ""):
            context = pod.spec["securityContext"]
            assert (context["runAsUser"], context["runAsGroup"]) == image_user()
            assert context["fsGroup"] == image_user()[1]
        for volume in pod.spec.get("volumes", ()):
            held = volume.get("secret") or volume.get("projected")
            assert held is None or held["defaultMode"] == 0o440, (pod.name, volume["name"])


@pytest.mark.parametrize("name", WHOLE)
def test_pod_has_the_time_to_stop(name: str, built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """Kubernetes waits longer than a stop can take, and takes a pod out of its Services before it refuses anything."""
    pod = server(built[name])
    settings = _settings(built[name], tmp_path)
    assert pod.spec["terminationGracePeriodSeconds"] >= settings.whole_stop_s + 10
    probe = pod.spec["containers"][0]["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < settings.stop_delay_s


@pytest.mark.parametrize("name", WHOLE)
def test_spool_fits_its_own_volume(name: str, built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """The spool's folder is on a volume of the replica's own, which outlives it and has room for all it may hold."""
    pod = server(built[name])
    spec = pod.workload["spec"]
    settings = _settings(built[name], tmp_path)
    (claim,) = spec["volumeClaimTemplates"]
    (mount,) = (
        one for one in pod.spec["containers"][0]["volumeMounts"] if one["name"] == claim["metadata"]["name"]
    )
    assert Path(image_environment()["CALLHOME_SPOOL_DIR"]).parent == Path(mount["mountPath"])
    size_bytes = bytes_of(claim["spec"]["resources"]["requests"]["storage"])
    assert settings.spool_bytes <= size_bytes * settings.spool_disk_percent / 100
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


@pytest.mark.parametrize("name", BUILT)
def test_selectors_match(name: str, built: dict[str, list[Resource]]) -> None:
    """Workloads select their own pods; each Service leads to ports of the pods of one workload, and to no others."""
    resources = built[name]
    for pod in pods(resources):
        if "selector" in pod.workload["spec"]:
            assert selects(pod.workload["spec"]["selector"], pod.labels)
    for service in of_kind(resources, "Service"):
        behind = [
            one
            for one in pods(resources)
            if selects({"matchLabels": service["spec"]["selector"]}, one.labels)
        ]
        assert len(behind) == 1, name_of(service)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= behind[0].ports.keys()
    services = {one["metadata"]["name"]: one for one in of_kind(resources, "Service")}
    for one in of_kind(resources, "StatefulSet"):
        assert services[one["spec"]["serviceName"]], name_of(one)
    for ingress in of_kind(resources, "Ingress"):
        hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
        assert [host for one in ingress["spec"]["tls"] for host in one["hosts"]] == hosts
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            backend = path["backend"]["service"]
            ports = services[backend["name"]]["spec"]["ports"]
            assert backend["port"]["name"] in {port["name"] for port in ports}


@pytest.mark.parametrize("name", BUILT)
def test_network_is_denied_by_default(name: str, built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """A policy denies every pod both ways; no other leads nowhere, and each opens ports that its pods listen on."""
    resources = built[name]
    # The drain's pods, and those of CloudNativePG, are guarded by the policies of production.
    policies = of_kind(resources if name in WHOLE else built["production"], "NetworkPolicy")
    for pod in pods(resources):
        denied = [one for one in policies if one["spec"]["podSelector"] == {} and len(one["spec"]) == 2]
        assert [one["spec"]["policyTypes"] for one in denied] == [["Ingress", "Egress"]], pod.name
    operators = (
        [Pod("CloudNativePG", {"cnpg.io/cluster": "callhome-db"}, {}, {})]
        if _secrets(resources) & OPERATORS_SECRETS
        else []
    )
    for one in of_kind(resources, "NetworkPolicy"):
        selected = [
            pod for pod in [*pods(resources), *operators] if selects(one["spec"]["podSelector"], pod.labels)
        ]
        assert selected, name_of(one)
        for rule in one["spec"].get("ingress", ()):
            wanted = {port["port"] for port in rule["ports"]}
            if "cnpg.io/cluster" not in selected[0].labels:
                assert wanted <= set(selected[0].ports.values()), name_of(one)
        for rule in one["spec"].get("egress", ()):
            own = [peer["podSelector"] for peer in rule["to"] if peer.keys() == {"podSelector"}]
            targets = [
                pod
                for pod in [*pods(resources), *operators]
                if any(selects(peer, pod.labels) for peer in own)
            ]
            assert bool(targets) == bool(own), name_of(one)


@pytest.mark.parametrize("name", WHOLE)
def test_only_named_namespaces_reach_the_console(name: str, built: dict[str, list[Resource]]) -> None:
    """The console's port opens to namespaces by name, in no policy to everybody."""
    pod = server(built[name])
    console = pod.ports["console"]
    opened = [
        rule
        for one in of_kind(built[name], "NetworkPolicy")
        if selects(one["spec"]["podSelector"], pod.labels)
        for rule in one["spec"].get("ingress", ())
        if console in {port["port"] for port in rule.get("ports", [{"port": console}])}
    ]
    assert opened
    for peer in (peer for rule in opened for peer in rule["from"]):
        (named,) = peer["namespaceSelector"]["matchExpressions"]
        assert (named["key"], named["operator"]) == ("kubernetes.io/metadata.name", "In")


@pytest.mark.parametrize("name", WHOLE)
def test_budget_and_autoscaler_refer_to_what_exists(name: str, built: dict[str, list[Resource]]) -> None:
    """The budget is for callhome's pods; what an autoscaler scales is there, and no manifest sets its number back."""
    resources = built[name]
    (budget,) = of_kind(resources, "PodDisruptionBudget")
    behind = [pod.name for pod in pods(resources) if selects(budget["spec"]["selector"], pod.labels)]
    assert behind == ["StatefulSet/callhome"]
    for one in of_kind(resources, "HorizontalPodAutoscaler"):
        target = one["spec"]["scaleTargetRef"]
        (scaled,) = (
            workload for workload in resources if name_of(workload) == f"{target['kind']}/{target['name']}"
        )
        assert scaled["apiVersion"] == target["apiVersion"]
        assert "replicas" not in scaled["spec"]


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "single-node"])
def test_production_survives_a_node(name: str, built: dict[str, list[Resource]]) -> None:
    """Three replicas or more on different nodes; one at a time leaves; the last quiet half hour decides on fewer."""
    resources = built[name]
    (scaler,) = of_kind(resources, "HorizontalPodAutoscaler")
    assert scaler["spec"]["minReplicas"] >= 3
    assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 1800
    pod = server(resources)
    spread = {one["topologyKey"]: one for one in pod.spec["topologySpreadConstraints"]}
    assert spread["kubernetes.io/hostname"]["whenUnsatisfiable"] == "DoNotSchedule"
    assert "topology.kubernetes.io/zone" in spread
    assert all(selects(one["labelSelector"], pod.labels) for one in spread.values())
    assert pod.workload["spec"]["minReadySeconds"] > 0
    assert pod.workload["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 1
    (budget,) = of_kind(resources, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1


def test_database_of_production(built: dict[str, list[Resource]], tmp_path: Path) -> None:
    """Three instances, commits that wait for a standby, sessions for every replica, and backups each night."""
    resources = built["production"]
    (cluster,) = of_kind(resources, "Cluster")
    spec = cluster["spec"]
    assert spec["instances"] == 3
    assert spec["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
        "failoverQuorum": True,
    }
    (scaler,) = of_kind(resources, "HorizontalPodAutoscaler")
    # docs/operating.md: eight sessions, one more while it drains, two for mails.
    assert int(spec["postgresql"]["parameters"]["max_connections"]) >= scaler["spec"]["maxReplicas"] * 11 + 20
    (store,) = of_kind(resources, "ObjectStore")
    (plugin,) = spec["plugins"]
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    assert plugin["isWALArchiver"] is True
    keys = {one["key"]: one["name"] for one in store["spec"]["configuration"]["s3Credentials"].values()}
    held = {one["metadata"]["name"]: one["data"].keys() for one in of_kind(resources, "Secret")}
    assert all(key in held[name] for key, name in keys.items())
    (backup,) = of_kind(resources, "ScheduledBackup")
    assert backup["spec"]["cluster"]["name"] == cluster["metadata"]["name"]
    assert (backup["spec"]["method"], backup["spec"]["pluginConfiguration"]["name"]) == (
        "plugin",
        plugin["name"],
    )
    assert len(backup["spec"]["schedule"].split()) == 6
    # The names under which the pods ask for what CloudNativePG makes.
    assert {name.rpartition("-")[0] for name in OPERATORS_SECRETS} == {cluster["metadata"]["name"]}


def test_site_is_told_once(tmp_path: Path) -> None:
    """Each value of site.yaml reaches the cluster, and nothing else has the old one: no placeholder is left."""
    copy = with_secrets(tmp_path)
    file = copy / "overlays" / "production" / "site.yaml"
    site = read(file)[0]
    old = dict(site["data"])
    new = {key: f"new-{key.replace('_', '-')}.example.org" for key in old}
    new |= {"pod_network": "10.99.0.0/16", "mail_from": "new@example.org"}
    file.write_text(yaml.safe_dump(site | {"data": new}), encoding="utf-8")
    resources = build(copy / "overlays" / "production")
    # Policies name the namespaces of controllers, whatever their classes are called.
    values = set(_texts([one for one in resources if one["kind"] not in ("Secret", "NetworkPolicy")]))
    assert not [one for one in resources if one["metadata"]["name"].startswith("site")]
    assert [key for key, value in new.items() if not any(value in text for text in values)] == []
    assert [key for key, value in old.items() if value in values] == []
    assert values & {"site", "https://site"} == set()


def _texts(value: Any) -> list[str]:
    """Every text in it that is no key."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "single-node"])
def test_old_programs_are_not_redirected(name: str, built: dict[str, list[Resource]]) -> None:
    """Where pings come in, each annotation about redirects to TLS says no; the console's Ingress is another one."""
    ingresses = {one["metadata"]["name"]: one for one in of_kind(built[name], "Ingress")}
    annotations = ingresses["callhome-ingest"]["metadata"]["annotations"]
    said = {key: value for key, value in annotations.items() if re.search(r"redirect|force-https", key)}
    assert set(said.values()) == {"false", "disabled"}
    classes = {one["spec"]["ingressClassName"] for one in ingresses.values()}
    assert len(classes) == len(ingresses) == 2


@pytest.mark.parametrize("name", BUILT)
def test_commands_of_our_containers_exist(name: str, built: dict[str, list[Resource]]) -> None:
    """What a container of the image is told to run is a command of callhome."""
    for pod in pods(built[name]):
        for one in pod.containers:
            if "/callhome:" in f"/{one['image']}":
                assert "command" not in one
                found: click.Command | None = main
                for word in one.get("args", ()):
                    if not isinstance(found, click.Group):
                        break  # what follows are its arguments
                    found = found.get_command(click.Context(found), word)
                    assert found is not None, one["args"]


def test_drain_takes_the_spool_of_a_replica(built: dict[str, list[Resource]]) -> None:
    """The Job that drains a spool mounts a replica's volume where the replica has it, and reads the same database."""
    (pod,) = pods(built["drain"])
    replica = server(built["production"])
    volumes = {one["name"]: one for one in pod.spec["volumes"]}
    claim = replica.workload["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    assert re.fullmatch(rf"{claim}-callhome-\d+", volumes["spool"]["persistentVolumeClaim"]["claimName"])
    mounts, of_replica = (
        {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        for one in (pod.containers[0], replica.containers[0])
    )
    assert mounts == of_replica
    assert pod.containers[0]["args"] == ["spool", "drain", image_environment()["CALLHOME_SPOOL_DIR"]]
    assert pod.containers[0]["env"] == replica.containers[0]["env"]
    assert pod.containers[0]["image"] == replica.containers[0]["image"]
    assert pod.spec["securityContext"] == replica.spec["securityContext"]
    # Production's policies are for its pods, and production's Services are not.
    policies = of_kind(built["production"], "NetworkPolicy")
    assert "to-database" in {
        one["metadata"]["name"] for one in policies if selects(one["spec"]["podSelector"], pod.labels)
    }
    for service in of_kind(built["production"], "Service"):
        assert not selects({"matchLabels": service["spec"]["selector"]}, pod.labels)


def test_scale_out_agrees_with_itself(built: dict[str, list[Resource]]) -> None:
    """Nothing of CloudNativePG is left, and the Job names as many workers as there are."""
    resources = built["scale-out"]
    assert "cnpg" not in json.dumps(resources)
    workloads = {one.name: one for one in pods(resources)}
    (workers,) = (
        variable["value"]
        for one in workloads["Job/distribute"].containers
        for variable in one.get("env", ())
        if variable["name"] == "WORKERS"
    )
    assert int(workers) == workloads["StatefulSet/citus-worker"].workload["spec"]["replicas"]
    assert {pod.containers[0]["image"] for name, pod in workloads.items() if "citus" in name} == {
        workloads["Job/distribute"].containers[0]["image"]
    }


def test_single_node_makes_its_secrets_once(tmp_path: Path) -> None:
    """The script makes secrets that nobody else can read and that fit together, and leaves them when it runs again."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    copy = tmp_path / "single-node"
    shutil.copytree(OVERLAYS["single-node"], copy, ignore=shutil.ignore_patterns("secrets"))
    folder = copy / "secrets"

    def make() -> dict[str, str]:
        subprocess.run([str(copy / "make-secrets")], check=True, timeout=60)
        return {path.name: path.read_text(encoding="utf-8").strip() for path in folder.iterdir()}

    made = make()
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in [folder, *folder.iterdir()]} == {0}
    assert made == make()
    settings = load(
        Settings, environ={"CALLHOME_SECRETS_DIR": str(_only(folder, tmp_path, "secret", "database_url"))}
    )
    assert made["postgres_password"] in settings.database_url.dsn
    (folder / "postgres_password").unlink()
    anew = make()
    assert anew["secret"] == made["secret"]
    assert anew["postgres_password"] != made["postgres_password"]
    assert anew["postgres_password"] in anew["database_url"]
    named = {one["name"]: one["files"] for one in read(copy / "kustomization.yaml")[0]["secretGenerator"]}
    assert {Path(file).name for files in named.values() for file in files} == made.keys()


def _only(folder: Path, tmp_path: Path, *names: str) -> Path:
    """A folder with these files of ``folder``, as the pod gets them."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for name in names:
        shutil.copy(folder / name, mounted)
    return mounted


def test_database_of_single_node(built: dict[str, list[Resource]]) -> None:
    """The throw-away PostgreSQL makes the user and the database that database_url names, at the Service's address."""
    workloads = {one.name: one for one in pods(built["single-node"])}
    environ = {one["name"]: one["value"] for one in workloads["Deployment/postgres"].containers[0]["env"]}
    script = (OVERLAYS["single-node"] / "make-secrets").read_text(encoding="utf-8")
    user, host, database = re.findall(r"postgresql://(\w+):\$password@(\w+):5432/(\w+)", script)[0]
    assert (environ["POSTGRES_USER"], environ["POSTGRES_DB"]) == (user, database)
    assert host in {one["metadata"]["name"] for one in of_kind(built["single-node"], "Service")}


def _scanner() -> str:
    """Checkov, which has an environment of its own: it wants other versions of what callhome runs on."""
    beside = ROOT / ".venv" / "checks" / "bin" / "checkov"
    found = str(beside) if beside.is_file() else shutil.which("checkov")
    if found is None:
        pytest.skip(
            "needs checkov: .venv/bin/python -m venv .venv/checks && "
            ".venv/checks/bin/pip install --require-hashes -r requirements/checks.txt"
        )
    return found


@pytest.fixture(scope="module")
def findings(
    built: dict[str, list[Resource]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[tuple[str, str]]]:
    """What checkov finds wrong, by overlay: check and resource."""
    folder = tmp_path_factory.mktemp("scanned")
    for name, resources in built.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(resources), encoding="utf-8")
    # It looks at nothing but these files: no downloads, and no question whether there is a newer one.
    options = ["--framework", "kubernetes", "--skip-download", "--output", "json", "--compact", "--quiet"]
    done = subprocess.run(
        [_scanner(), "--directory", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true", "LOG_LEVEL": "ERROR"},
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in built}
    for one in report["results"]["failed_checks"]:
        found[Path(one["file_path"]).stem].add((one["check_id"], _without_hash(one["resource"])))
    return found


def _without_hash(resource: str) -> str:
    """Kind and name, as checkov says it, without namespace and the hash of generated names."""
    kind, _, name = resource.replace(".callhome.", ".", 1).partition(".")
    return f"{kind}/{re.sub(r'-[0-9a-z]{10}$', '', name)}"


def _explained() -> list[dict[str, str]]:
    explained: list[dict[str, str]] = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))
    return explained


@pytest.mark.parametrize("name", BUILT)
def test_scan_finds_nothing_unexplained(name: str, findings: dict[str, set[tuple[str, str]]]) -> None:
    """Each finding of checkov is on the list of those that are meant to be, with a reason."""
    explained = [(one["check"], re.compile(one["resource"])) for one in _explained()]
    left = [
        (check, resource)
        for check, resource in sorted(findings[name])
        if not any(check == known and which.fullmatch(resource) for known, which in explained)
    ]
    assert left == []


def test_explanations_are_needed(findings: dict[str, set[tuple[str, str]]]) -> None:
    """Each explained finding is still found, and has a sentence that says why it stands."""
    everything = set().union(*findings.values())
    for one in _explained():
        assert any(
            check == one["check"] and re.fullmatch(one["resource"], resource)
            for check, resource in everything
        ), one
        assert len(one["because"].split()) > 5
        assert one["because"].endswith(".")
