"""Writes compose/prometheus-rules.yml: the rules of the PrometheusRule, without Kubernetes around them.

.venv/bin/python tools/rules.py, after a change of manifests/overlays/monitoring/prometheusrule.yaml or site.yaml.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Final

ROOT: Final = Path(__file__).parent.parent
OVERLAY: Final = ROOT / "manifests" / "overlays" / "monitoring"
WRITTEN: Final = ROOT / "compose" / "prometheus-rules.yml"
_HEAD: Final = """\
# Made by tools/rules.py from manifests/overlays/monitoring/prometheusrule.yaml: change that, and site.yaml beside it.
"""


def rules(manifest: str, site: str) -> str:
    """Return the rules as Prometheus reads them, each alert leading to the runbook of the site."""
    _, spec = manifest.split("\nspec:\n")
    (runbook,) = re.findall(r"^  runbook: (\S+)$", site, re.MULTILINE)
    return _HEAD + re.sub(r"(?<=runbook_url: )[^#\s]+", runbook, dedent(spec))


def main() -> None:
    """Write them."""
    manifest, site = ((OVERLAY / name).read_text("utf-8") for name in ("prometheusrule.yaml", "site.yaml"))
    WRITTEN.write_text(rules(manifest, site), encoding="utf-8")


if __name__ == "__main__":
    main()
