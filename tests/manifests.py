"""What can be said of Kubernetes manifests without a cluster: built by kubectl, and looked at as data."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parent.parent
MANIFESTS = ROOT / "manifests"
# Every folder that can be applied, by its name; the base alone lacks what each overlay adds.
OVERLAYS = {
    path.name: path
    for path in sorted(MANIFESTS.glob("overlays/*"))
    if (path / "kustomization.yaml").is_file()
}
BUILT = {**OVERLAYS, "drain": MANIFESTS / "drain"}

Resource = dict[str, Any]

# What the Pod Security Standard "restricted" allows, of Kubernetes 1.37.
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")

# Keywords that mean in a CustomResourceDefinition what they mean in JSON Schema.
KEYWORDS = (
    *("type", "required", "enum", "pattern", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
)
COMBINED = ("anyOf", "allOf", "oneOf")


class Pod(NamedTuple):
    """What a workload makes pods from."""

    name: str  # kind and name of the workload
    labels: Mapping[str, str]
    spec: Resource
    workload: Resource

    @property
    def containers(self) -> list[Resource]:
        """All containers, init containers too."""
        return [one for kind in CONTAINERS for one in self.spec.get(kind, ())]

    @property
    def ports(self) -> dict[str, int]:
        """Named ports of its containers."""
        return {
            port["name"]: port["containerPort"] for one in self.containers for port in one.get("ports", ())
        }


def command(name: str) -> str:
    """The path of a command of the development requirements; skips the test where it is missing."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: `make setup` installs it into .venv")
    return found


def read(path: Path) -> list[Resource]:
    """The documents of a YAML file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def with_secrets(folder: Path) -> Path:
    """A copy of the manifests in ``folder``, with every file of a secret in place as an operator would make it."""
    copy = folder / "manifests"
    shutil.copytree(MANIFESTS, copy, ignore=shutil.ignore_patterns("secrets"))
    for kustomization in copy.rglob("kustomization.yaml"):
        for generator in read(kustomization)[0].get("secretGenerator", ()):
            for file in generator["files"]:
                path = kustomization.parent / file
                path.parent.mkdir(exist_ok=True)
                path.write_text(f"{secret_value(path.name)}\n", encoding="utf-8")
    return copy


def secret_value(name: str) -> str:
    """What stands in a secret's file of this name; no two are the same."""
    host = f"db-{name}"
    values = {
        "database_url": f"postgresql://callhome:correct-horse@{host}:5432/callhome",
        "smtp_url": "smtps://callhome:battery-staple@smtp.example.com",
    }
    return values.get(name, f"{name}-" + "0123456789abcdef" * 4)


def build(folder: Path) -> list[Resource]:
    """What ``kubectl apply --kustomize`` would send of this folder; fails with kubectl's own words."""
    done = subprocess.run(
        [command("kubectl"), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def of_kind(resources: list[Resource], *kinds: str) -> list[Resource]:
    """The resources of these kinds."""
    return [one for one in resources if one["kind"] in kinds]


def name_of(resource: Resource) -> str:
    """Kind and name."""
    return f"{resource['kind']}/{resource['metadata']['name']}"


def pods(resources: list[Resource]) -> list[Pod]:
    """What each workload makes pods from."""
    found = []
    for one in of_kind(resources, "StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"):
        spec = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
        template = spec["template"]
        found.append(Pod(name_of(one), template["metadata"]["labels"], template["spec"], one))
    return found


def server(resources: list[Resource]) -> Pod:
    """The StatefulSet of callhome."""
    (found,) = (pod for pod in pods(resources) if pod.name == "StatefulSet/callhome")
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    for one in selector.get("matchExpressions", ()):
        present = labels.get(one["key"]) in one["values"]
        assert one["operator"] in ("In", "NotIn"), one
        if present is not (one["operator"] == "In"):
            return False
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


def bytes_of(quantity: str) -> int:
    """A quantity of storage in bytes."""
    matched = re.fullmatch(r"(\d+)(Ki|Mi|Gi|Ti)", quantity)
    assert matched, quantity
    return int(matched[1]) << 10 * (("Ki", "Mi", "Gi", "Ti").index(matched[2]) + 1)


def unrestricted(pod: Pod) -> Iterator[str]:
    """What the Pod Security Standard "restricted" would refuse of this pod, and a writable root file system."""
    spec = pod.spec
    own = spec.get("securityContext", {})
    for name in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", ()):
        if not volume.keys() - {"name"} <= VOLUMES:
            yield f"volume {volume['name']}"
    for name in ("sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"):
        if name in own:
            yield name
    for one in pod.containers:
        yield from (f"{one['name']}: {problem}" for problem in _unrestricted(one, own))


def _unrestricted(container: Resource, pod_context: Resource) -> Iterator[str]:
    context = container.get("securityContext", {})
    both = pod_context | context
    if context.get("privileged") or context.get("procMount", "Default") != "Default":
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if both.get("runAsNonRoot") is not True or not both.get("runAsUser"):
        yield "may be root"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"
    # Not of the standard, but ours.
    if context.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem"


def _image() -> str:
    """The last stage of the Containerfile, a line for each instruction."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.split(r"^FROM .*$", text, flags=re.MULTILINE)[-1]


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    lines = re.findall(r"^ENV (.+)$", _image(), re.MULTILINE)
    return {name: value for line in lines for name, value in re.findall(r"(\w+)=\"?([^\s\"]+)", line)}


def image_user() -> tuple[int, int]:
    """The user and the group that the image runs as."""
    ((user, group),) = re.findall(r"^USER (\d+):(\d+)$", _image(), re.MULTILINE)
    return int(user), int(group)


def json_schema(schema: Any, closed: bool = True) -> Any:
    """The schema of a custom resource as JSON Schema, which takes no field that it doesn't name.

    What Kubernetes' own extensions to it say (rules in CEL, kinds of lists) is left out.
    """
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {name: schema[name] for name in KEYWORDS if name in schema}
    if "properties" in schema:
        made["properties"] = {name: json_schema(one) for name, one in schema["properties"].items()}
        if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            made[name] = json_schema(schema[name])
    # These say something more of fields that are named already.
    made |= {name: [json_schema(one, False) for one in schema[name]] for name in COMBINED if name in schema}
    return made


def custom_schemas(folder: Path) -> dict[tuple[str, str], Any]:
    """JSON schemas by version and kind, of the CustomResourceDefinitions in the YAML files of ``folder``."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        for one in of_kind(read(path), "CustomResourceDefinition"):
            for version in one["spec"]["versions"]:
                schema = json_schema(version["schema"]["openAPIV3Schema"])
                schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
                key = (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"])
                found[key] = schema
    return found
