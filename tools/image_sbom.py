"""Prints what an image contains as CycloneDX 1.6: run in the image, by the image's Python (see the Containerfile).

The Python packages are those installed beside that Python, the system's those that dpkg knows, and what the pages
contain stands in their NOTICE.txt. The same contents give the same text.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
import uuid
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

Component = dict[str, Any]

DPKG: Final = Path("/var/lib/dpkg/status")
# A line of NOTICE.txt: `d3-geo 3.1.1: ISC, by Mike Bostock`.
_NOTICE: Final = re.compile(r"^(@?[a-z0-9@/._-]+) (\d\S*): ([^,\n]+), by ", re.MULTILINE)


def sbom(pages: str) -> dict[str, Any]:
    """The whole document; ``pages`` is the text of their NOTICE.txt."""
    found = [*_python(), *_pages(pages), *_system()]
    (root,) = [each for each in found if each["purl"].startswith("pkg:pypi/callhome@")]
    others = sorted((each for each in found if each is not root), key=lambda each: str(each["purl"]))
    contents = json.dumps([root, *others])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, contents)}",
        "version": 1,
        "metadata": {"component": {**root, "type": "application"}},
        "components": others,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [each["bom-ref"] for each in others]}],
    }


def _python() -> Iterator[Component]:
    """The interpreter, and every package that it finds."""
    version = platform.python_version()
    yield _component("python", version, f"pkg:generic/python@{version}", {"expression": "Python-2.0"})
    seen: set[str] = set()
    for each in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower()
        # Python takes the first that it finds; a tree that is worked on may have a second one.
        if name in seen:
            continue
        seen.add(name)
        yield _component(
            name, each.version, f"pkg:pypi/{name}@{quote(each.version)}", _license(each.metadata)
        )


def _license(metadata: importlib.metadata.PackageMetadata) -> Component | None:
    """As CycloneDX has it; None where it isn't told in a line."""
    if "License-Expression" in metadata:
        return {"expression": metadata["License-Expression"]}
    # Some have the whole text of the license where its name belongs.
    if "License" in metadata and len(metadata["License"].splitlines()) == 1:
        return {"license": {"name": metadata["License"]}}
    return None


def _pages(notice: str) -> Iterator[Component]:
    for name, version, license in _NOTICE.findall(notice):
        yield _component(name, version, f"pkg:npm/{quote(name)}@{quote(version)}", {"expression": license})


def _system() -> Iterator[Component]:
    """The packages of the base, where it is Debian or one of its children."""
    if not DPKG.is_file():
        return
    system = platform.freedesktop_os_release()
    distribution = f"{system['ID']}-{system.get('VERSION_ID', '')}"
    for entry in DPKG.read_text(encoding="utf-8").split("\n\n"):
        package = Parser().parsestr(entry, headersonly=True)
        if package.get("Status", "").endswith(" installed"):
            name, version, architecture = (package[field] for field in ("Package", "Version", "Architecture"))
            place = f"pkg:deb/{system['ID']}/{quote(name)}@{quote(version)}"
            yield _component(name, version, f"{place}?arch={architecture}&distro={distribution}", None)


def _component(name: str, version: str, purl: str, license: Component | None) -> Component:
    told = {"licenses": [license]} if license else {}
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **told}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, required=True, help="the NOTICE.txt of the pages")
    words = parser.parse_args()
    print(json.dumps(sbom(words.pages.read_text(encoding="utf-8")), indent=1))


if __name__ == "__main__":
    main()
