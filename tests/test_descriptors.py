"""`callhome.descriptors`: the limit is raised, and what fits in it is served."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no such limit", allow_module_level=True)

PROGRAM = """
import json, logging, resource
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from callhome import descriptors
print(json.dumps([*descriptors.take(2_000, 1_000, 256), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "shares"),
    [
        (1_024, 4_320, [2_000, 2_000]),
        (1_024, 4_319, [2_000, 1_999]),
        (1_024, 2_048, [1_232, 496]),
        (1_024, 1_024, [464, 240]),
        (128, 128, [10, 16]),
    ],
)
def test_no_more_is_served_than_there_are_descriptors(soft: int, hard: int, shares: list[int]) -> None:
    """The soft limit becomes the hard one; where that is too low, fewer are served and a line says what to do."""
    program = PROGRAM.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *served, limit = json.loads(done.stdout)
    assert (served, limit) == (shares, hard)
    said = ("CALLHOME_CONNECTIONS", f"{shares[0]} ingest and {shares[1]} console", "`ulimit -n 4320`")
    assert [part in done.stderr for part in said] == [hard < 4_320] * 3
