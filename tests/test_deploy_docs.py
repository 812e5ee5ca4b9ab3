"""The pages of docs/deploy: what they name is there, in the manifests and in the tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from manifests import Pod, build, name_of, of_kind, read, unrestricted
from pages import ROOT, broken_links, examples, prose, spans
from signed import SIGNED
from test_cli_serve import CLEAN, KNOWN_S, callhome, serving, told

FOLDER = ROOT / "docs" / "deploy"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
# Those that could not be run: each says so before its first section, with its sources and their date.
NOT_RUN = ("cluster.md", "kubeadm.md", "kubespray.md", "rancher.md", "from-rancher-1.6.md")
TOUR = FOLDER / "tour"

# Objects that a page speaks of, and that the cluster or an operator makes; and those of other namespaces.
MADE = {
    ("secret", "callhome-db-app"),
    ("deployment", "cnpg-controller-manager"),
}
# Files that an operator has, and git has not.
WRITTEN = ("compose/secrets/", "compose/callhome.env", "manifests/overlays/acme")
KINDS = {
    "cluster": "Cluster",
    "clusters.postgresql.cnpg.io": "Cluster",
    "deployment": "Deployment",
    "job": "Job",
    "service": "Service",
    "statefulset": "StatefulSet",
}


def named() -> set[tuple[str, str]]:
    """Kind and name of all resources of the manifests and of the tour, as they stand in their files."""
    files = [path for folder in (ROOT / "manifests", TOUR) for path in folder.rglob("*.yaml")]
    resources = [one for path in files for one in read(path) if isinstance(one, dict)]
    return {(one["kind"], one["metadata"]["name"]) for one in resources if "metadata" in one}


def unknown_objects(text: str) -> list[str]:
    """Objects that a page names as kubectl does (``statefulset/callhome``), and that no manifest has."""
    there = named()
    words = re.findall(rf"\b({'|'.join(map(re.escape, KINDS))})/([a-z][a-z0-9-]*)\b(?!\.)", text)
    return [f"{kind}/{name}" for kind, name in words if (KINDS[kind], name) not in there | MADE]


def missing_paths(text: str) -> list[str]:
    """Paths of the tree in the text and in commands (``manifests/…``, ``docs/…``, ``compose/…``) that are not there."""
    paths = re.findall(r"(?<![\w/.-])((?:manifests|docs|tools|compose)/[\w./-]*[\w])", text)
    return [path for path in paths if not (ROOT / path).exists() and not path.startswith(WRITTEN)]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    """Links and anchors lead somewhere; files and folders exist, in commands too."""
    assert not broken_links(PAGES[page], FOLDER)
    assert not missing_paths(PAGES[page])


@pytest.mark.parametrize("page", PAGES)
def test_objects_are_those_of_the_manifests(page: str) -> None:
    """What a page tells kubectl to look at is made by the manifests, under this name."""
    assert not unknown_objects(PAGES[page])


def test_what_is_not_there_is_found() -> None:
    """The searches find a path and an object that don't exist, and nothing else."""
    assert missing_paths("`manifests/base` manifests/no/such.yaml https://x.example/docs/y") == [
        "manifests/no/such.yaml"
    ]
    assert unknown_objects("statefulset/callhome, deployment/postgres, service/no, job/drain-spool") == [
        "service/no"
    ]


def test_the_index_has_every_page() -> None:
    """docs/deploy/README.md links to each page beside it."""
    linked = set(re.findall(r"\]\(([\w.-]+\.md)\)", PAGES["README.md"]))
    assert PAGES.keys() - linked == {"README.md"}


@pytest.mark.parametrize("page", NOT_RUN)
def test_a_page_that_was_not_run_says_so(page: str) -> None:
    """Before its first section it says that it could not be run, when it was written, and from what."""
    begin = PAGES[page].partition("\n## ")[0]
    assert "could not be run" in begin
    assert re.search(r"2026-\d\d-\d\d", begin)
    assert "ource" in begin


@pytest.mark.parametrize("page", NOT_RUN)
def test_no_output_that_nobody_saw(page: str) -> None:
    """A page that was not run has no block of output."""
    assert not re.search(r"^ *```(text|json|console)$", PAGES[page], re.MULTILINE)


def test_pictures_are_described_and_there() -> None:
    """Each picture has a text for those who don't see it, and each file of the folder is on a page."""
    used = set()
    for text in PAGES.values():
        for alt, source in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text):
            assert len(alt) > 20
            used.add((FOLDER / source).resolve())
    assert {path.resolve() for path in (FOLDER / "pictures").iterdir()} <= used


def test_pictures_share_one_style() -> None:
    """All drawings have the same style, and describe themselves where they are seen alone."""
    drawings = [path.read_text(encoding="utf-8") for path in (FOLDER / "pictures").glob("*.svg")]
    styles = {re.findall(r"<style>.*?</style>", drawing, re.DOTALL)[0] for drawing in drawings}
    assert len(styles) == 1
    assert all("<title>" in drawing and 'role="img"' in drawing for drawing in drawings)


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root, and unshare: apt-get install util-linux",
)
def test_a_container_made_by_hand_is_as_shown() -> None:
    """The page's shell with namespaces of its own says what the page shows."""
    (example,) = (one for one in examples("containers.md", PAGES["containers.md"]) if "unshare" in one.code)
    done = subprocess.run(
        ["sh", "-ec", example.code], capture_output=True, text=True, timeout=60, check=False
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("needs the right to make namespaces: a container without it can't")
    assert example.problem(done.returncode, done.stdout, []) == ""


def test_the_tour_applies_its_folder_and_explains_its_program() -> None:
    """What the tour applies for the copies is its folder, and the program in it is named."""
    assert "docs/deploy/tour" in " ".join(re.findall(r"--kustomize (\S+)", PAGES["tour.md"]))
    assert "docs/deploy/tour/pinger.py" in spans(prose(PAGES["tour.md"]))


def test_the_tours_pod_is_valid_and_restricted() -> None:
    """kubectl builds the tour's folder; its resources are valid, and its pod is what its namespace demands."""
    validate = pytest.importorskip(
        "kubernetes_validate.utils", reason="needs kubernetes-validate: `make setup` installs it into .venv"
    )
    resources = build(TOUR)
    for resource in resources:
        validate.validate(resource, validate.latest_version(), strict=True)
    (pod,) = of_kind(resources, "Pod")
    assert not list(unrestricted(Pod(name_of(pod), pod["metadata"]["labels"], pod["spec"], pod)))


def test_the_tours_copies_call_home(database: str, tmp_path: Path) -> None:
    """The program of the tour sends pings from many countries, and says what became of them, as the page shows."""
    (tmp_path / "database_url").write_text(database)
    (tmp_path / "secret").write_text("s" * 32)
    environ = {"CALLHOME_SECRETS_DIR": str(tmp_path), "CALLHOME_TRUSTED_PROXIES": "127.0.0.0/8"}
    with serving(**environ) as (_, lines):
        assert callhome("product", "add", "es", **environ).returncode == 0
        url, console = told(lines, "pings at "), told(lines, "console at ")
        command = [sys.executable, str(TOUR / "pinger.py"), url, "1.0", "10"]
        # A server knows of a new product within a moment; until then the program ends, as for any unknown one.
        for _ in range(KNOWN_S):
            done = subprocess.run(command, capture_output=True, text=True, env=CLEAN, timeout=60, check=False)
            if done.returncode == 0:
                break
        assert done.stdout == "5 pings answered, 0 sent again\n10 pings answered, 0 sent again\n", done.stderr
        counted: list[list[object]] = []
        give_up_s = time.monotonic() + KNOWN_S
        while len(counted) < 2 and time.monotonic() < give_up_s:
            request = urllib.request.Request(f"{console}/api/v1/live", headers=SIGNED)
            with urllib.request.urlopen(request, timeout=KNOWN_S) as answer:
                counted = json.load(answer)["countries"]
        assert len({country for _, country, *_ in counted} - {"ZZ"}) > 1
    assert done.stdout in PAGES["tour.md"]
