"""What is wrong with the lines of a file: told in order, as much as people can read, all of it counted."""

from __future__ import annotations

from callhome.licenses.badlines import TOLD, BadLine, BadLines


def test_mistakes_are_told_in_the_order_of_lines() -> None:
    """Each is a line that says where, what was given and what was expected."""
    bad = BadLines()
    assert not bad
    bad.add(BadLine(7, "", "3 cells", "4, as in the header"))
    assert str(bad).startswith("1 mistake in the file; nothing was imported:")
    bad.add(BadLine(2, "seats", "'x'", "a number"))
    assert bad
    assert str(bad).splitlines() == [
        "2 mistakes in the file; nothing was imported:",
        "  line 2, seats: got 'x'; expected a number",
        "  line 7: got 3 cells; expected 4, as in the header",
    ]


def test_more_than_people_read_is_counted() -> None:
    """Only so many are kept; the others are counted, those that were only counted before too."""
    bad = BadLines()
    for line in range(TOLD + 5):
        bad.add(BadLine(line, "seats", "'x'", "a number"))
    bad.add_uncounted(3)
    assert len(bad.found) == TOLD
    lines = str(bad).splitlines()
    assert len(lines) == TOLD + 2
    assert (lines[0], lines[-1]) == (
        f"{TOLD + 8} mistakes in the file; nothing was imported:",
        "  and 8 more",
    )
