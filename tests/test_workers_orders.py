"""What supervisor and worker say to each other."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from callhome.workers.orders import READY, Order, Place, command, last_words


def test_an_order_arrives_as_it_was_given() -> None:
    """An order is one line, whatever its settings hold, and is read as it was."""
    given = {
        "secret": "x\n\"'\u2028é",
        "legacy_fields": {"prod": "product"},
        "viewers": 0,
        "legacy_always_ok": True,
    }
    order = Order(Place(2, 3, Path("/run/x y")), given)
    line = order.line()
    assert line.count(b"\n") == 1
    assert Order.read(line) == order
    assert order.place.socket_of(3) == Path("/run/x y/3.sock")


@pytest.mark.parametrize("line", [b"", b"{}\n"[:1], b"no order"])
def test_half_an_order_is_none(line: bytes) -> None:
    """What is no order raises."""
    with pytest.raises(ValueError, match=r"Expecting"):
        Order.read(line)


def test_answers_are_lines() -> None:
    """A worker's answers are a line of JSON each."""
    assert json.loads(READY) == {"ready": True}
    words = last_words("it is so,\nand so", 2)
    assert words.count(b"\n") == 1
    assert json.loads(words) == {"error": "it is so,\nand so", "exit_code": 2}


def test_a_command_runs_this_package_wherever_it_is_started(tmp_path: Path) -> None:
    """Modules of the folder that it is started in, or another callhome there, are not taken for ours."""
    (tmp_path / "logging.py").write_text("raise SystemExit(9)\n")
    (tmp_path / "callhome").mkdir()
    (tmp_path / "callhome" / "__init__.py").write_text("raise SystemExit(9)\n")
    done = subprocess.run(
        command("callhome.cli", "--version"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout[:8]) == (0, "callhome"), done
