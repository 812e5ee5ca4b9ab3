"""`callhome.imports.reading`, `rejects`, `sorting`, `chunks` and `converting`: from a file to chunks of sorted rows."""

from __future__ import annotations

import csv
import gzip
import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callhome.imports import reading
from callhome.imports.chunks import CHUNK_DAYS, CHUNK_ROWS, chunks
from callhome.imports.converting import Plan, convert, converting, cores, processes
from callhome.imports.mapping import FileForm
from callhome.imports.reading import Block, Source, UnreadableFile
from callhome.imports.records import Span
from callhome.imports.rejects import TOLD, Rejected, Rejects
from callhome.imports.sorting import PAGE_ROWS, Numbered, Runs, pages
from callhome.store.encoding import row_id
from callhome.store.ids import id_at, id_ms
from rows import Row

FORM = FileForm("csv", "utf-8", ",", '"', ())
DAY_MS = 86_400_000


def read(data: bytes, form: FileForm = FORM) -> tuple[Source, list[Block]]:
    """The source of these bytes, and all its blocks, split."""
    source = Source(io.BytesIO(data), form)
    return source, [block.split() for block in source.blocks()]


def row(ms: int, install: int = 1) -> bytes:
    """A row of a time."""
    return bytes(Row(id=id_at(ms), at_s=ms / 1000, install=install))


@pytest.mark.parametrize(
    ("data", "form", "header", "records", "lines"),
    [
        (b"a,b\r\n1,2\r\n", FORM, ("a", "b"), [["1", "2"]], [2]),
        (b"\xef\xbb\xbfa,b\n1,2", FORM, ("a", "b"), [["1", "2"]], [2]),
        (b'a,b\n"1,\n""x""",2\n\n3,4\n', FORM, ("a", "b"), [['1,\n"x"', "2"], ["3", "4"]], [2, 5]),
        ("a;b\né;2\n".encode("latin-1"), FileForm("csv", "latin-1", ";", '"', ()), ("a", "b"), [["é", "2"]], [2]),
        (b'1\t5" disk\n', FileForm("csv", "utf-8", "\t", "", ("a", "b")), ("a", "b"), [["1", '5" disk']], [1]),
        (b"a,b\n\xff,2\n", FORM, ("a", "b"), [["\udcff", "2"]], [2]),
        (b'{"a":1}\n\n{"a":2}', FileForm("ndjson", "utf-8", ",", '"', ()), (), [b'{"a":1}\n', b'{"a":2}'], [1, 3]),
    ],
)  # fmt: skip
def test_records_have_the_lines_of_the_file(
    data: bytes, form: FileForm, header: tuple[str, ...], records: list[object], lines: list[int]
) -> None:
    """Quotes, line breaks in them, marks, encodings, blank lines: each record, and the line where it begins."""
    for packed in (data, gzip.compress(data)):
        source, (block,) = read(packed, form)
        assert (tuple(source.header), block.records, block.lines) == (header, records, lines)
        assert source.read_bytes == len(packed)


def test_a_missing_quote_costs_no_more_than_a_ping_may_be_long() -> None:
    """Lines that a quote has swallowed are told by their numbers, and those behind are read."""
    lines = "".join(f"{n},x\n" for n in range(2, 6_000))
    _, (block,) = read(f'a,b\n1,"x\n{lines}'.encode())
    ((line, given, expected),) = block.broken
    assert line == 2
    assert "is a quote missing?" in expected
    last = int(given.removeprefix("lines 2 to "))
    assert block.lines == list(range(last + 1, 6_001))


def test_a_line_of_json_without_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond a mebibyte is one broken record, whatever its length."""
    data = b'{"a":1}\n' + b"x" * (3 << 20) + b'\n{"a":2}\n'
    _, (block,) = read(data, FileForm("ndjson", "utf-8", ",", '"', ()))
    assert (block.lines, [line for line, _, _ in block.broken]) == ([1, 3], [2])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,b\n1," + b"2" * (2 << 20), "line 2 is longer than"),
        (b"", "the file is empty"),
        (gzip.compress(b"a,b\n1,2\n" * 1000)[:-9], "can't be unpacked"),
    ],
    ids=["endless", "empty", "cut"],  # not the bytes, which need not be the same in two processes
)
def test_an_unreadable_file_is_told(data: bytes, said: str) -> None:
    """An empty file and one that is cut say so."""
    with pytest.raises(UnreadableFile, match=said):
        read(data)


@given(
    st.lists(
        st.lists(
            st.sampled_from(["1", "", "é", 'say "x"', "two\nlines", "\r", ",", "end\n"]),
            min_size=2,
            max_size=2,
        ),
        max_size=40,
    ),
    st.integers(1, 5),
)
def test_quotes_change_nothing_but_who_splits(rows: list[list[str]], size: int) -> None:
    """Whatever is quoted where, and wherever a block ends, the records and their lines are those of one reader."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *rows])
    expected, line = [], 2
    for row in rows:
        expected.append((row, line))
        written = io.StringIO(newline="")
        csv.writer(written).writerow(row)
        line += len(list(io.StringIO(written.getvalue(), newline="")))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "BLOCK_RECORDS", size)
        _, blocks = read(text.getvalue().encode())
    assert [pair for block in blocks for pair in zip(block.records, block.lines, strict=True)] == expected


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The name and the system's reason."""
    with pytest.raises(UnreadableFile, match="No such file"):
        reading.opened(str(tmp_path / "none.csv"))


def test_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many records come in blocks, none lost between them."""
    monkeypatch.setattr(reading, "BLOCK_RECORDS", 7)
    _, blocks = read(b"a\n" + b"".join(b"%d\n" % n for n in range(50)))
    assert [record for block in blocks for record in block.records] == [[str(n)] for n in range(50)]
    assert max(len(block.records) for block in blocks) == 7


@pytest.mark.parametrize("quote", ['"', ""])
def test_the_report_can_be_mended_and_read(tmp_path: Path, quote: str) -> None:
    """Rejected records stand as they were read, in the encoding of the file, with line, column and reason behind."""
    form = FileForm("csv", "latin-1", ";", quote, ())
    with Rejects(tmp_path / "r.csv", form, ("a", "b")) as rejects:
        rejects.add(Rejected(7, "b", "'é'", "expected; a number"), ["é", "x"])
        rejects.add(Rejected(9, "", "", "expected 2 cells"), ["1"])
        assert (rejects.count, str(rejects.told[0])) == (2, "line 7, b: expected; a number (got 'é')")
    source, (block,) = read((tmp_path / "r.csv").read_bytes(), form)
    assert tuple(source.header) == ("a", "b", "rejected_line", "rejected_column", "rejected_because")
    assert [record[:4] for record in block.records] == [["é", "x", "7", "b"], ["1", "", "9", ""]]


def test_the_report_of_json_is_json(tmp_path: Path) -> None:
    """Objects get the reason beside their own values; what is none is told as a text."""
    with Rejects(tmp_path / "r.ndjson", FileForm("ndjson", "utf-8", ",", '"', ()), ()) as rejects:
        rejects.add(Rejected(1, "a", "", "why"), b'{"a":1}\n')
        rejects.add(Rejected(2, "", "", "why"), b"{\xff\n")
    first, second = (tmp_path / "r.ndjson").read_text("utf-8").splitlines()
    assert first == '{"a":1,"rejected_line":1,"rejected_column":"a","rejected_because":"why"}'
    assert second.startswith('{"rejected":"{')


def test_few_are_told_and_all_are_counted(tmp_path: Path) -> None:
    """A terminal shows the first; the report has all; without any there is no report."""
    with Rejects(tmp_path / "r.csv", FORM, ("a",)) as rejects:
        assert not rejects.path.exists()
        for line in range(TOLD + 5):
            rejects.add(Rejected(line, "a", "", "why"), ["x"])
    assert (len(rejects.told), rejects.count) == (TOLD, TOLD + 5)
    assert len(rejects.path.read_text("utf-8").splitlines()) == TOLD + 6


def test_runs_are_merged_in_order() -> None:
    """Whatever runs rows come in, they come out sorted, each once, equal ones included."""
    chance = random.Random(1)
    rows = [row(chance.randrange(10**6), install=n) for n in range(5 * PAGE_ROWS)]
    rows += rows[:100]
    with Runs(None) as runs:
        begun = 0
        while begun < len(rows):
            size = chance.randrange(1, 3 * PAGE_ROWS)
            runs.add(pages(rows[begun : begun + size]))
            begun += size
        runs.add(pages([]))
        merged = [one for some in runs.merged() for one in some]
        assert runs.size_bytes > len(rows) * 100
    assert merged == sorted(rows)


def test_runs_leave_no_file(tmp_path: Path) -> None:
    """The file of the runs has no name, so that none is left, whatever ends the process."""
    with Runs(tmp_path) as runs:
        runs.add(pages([row(1)]))
        assert list(tmp_path.iterdir()) == []


def test_equal_rows_get_ids_of_their_own() -> None:
    """Repetitions are numbered over all lists, the same each time, within their millisecond."""
    one, other = row(1_000), row(2_000)
    merged = [[one, one], [one, other], [other]]
    first, again = ([one for some in Numbered(merged, repeats=True) for one in some] for _ in range(2))
    assert first == again
    assert first[0] == one
    assert len({row_id(each) for each in first}) == 5
    assert [id_ms(row_id(each)) for each in first] == [1_000] * 3 + [2_000] * 2
    assert [each[22:] for each in first] == [one[22:]] * 3 + [other[22:]] * 2


def test_rows_with_the_same_id_are_one_where_ids_are_given() -> None:
    """The first of them is taken, the others are counted."""
    one, other = row(1_000), row(2_000)
    numbered = Numbered([[one, one], [one], [other]], repeats=False)
    assert [each for some in numbered for each in some] == [one, other]
    assert numbered.twins == 2


def test_chunks_end_at_the_retention_and_after_some_days() -> None:
    """No chunk is old and new, none is of too many days or rows; skipping some leaves the rest as it was."""
    rows = [row(day * DAY_MS + n) for day in range(0, 300, 2) for n in range(300)]
    merged = [rows[at : at + 777] for at in range(0, len(rows), 777)]
    keep_ms = 101 * DAY_MS
    found = list(chunks(merged, 0, keep_ms))
    assert [one for chunk in found for one in chunk.rows] == rows
    assert [chunk.end for chunk in found][-1] == len(rows)
    for chunk in found:
        times = [id_ms(row_id(one)) for one in chunk.rows]
        assert len(times) <= CHUNK_ROWS
        assert times[-1] // DAY_MS - times[0] // DAY_MS < CHUNK_DAYS
        assert {ms < keep_ms for ms in times} == {chunk.is_old}
    for done in (1, 776, 777, found[0].end, len(rows)):
        rest = list(chunks(merged, done, keep_ms))
        assert [one for chunk in rest for one in chunk.rows] == rows[done:]
        assert [chunk.end for chunk in rest][-1:] == [len(rows)][: done < len(rows)]


def test_chunks_are_bounded_on_a_busy_day() -> None:
    """A day with more rows than a chunk takes is several."""
    rows = [row(n) for n in range(CHUNK_ROWS + 10)]
    assert [len(chunk.rows) for chunk in chunks([rows], 0, 0)] == [CHUNK_ROWS, 10]


MAPPING = '[time]\ncolumn = "t"\nformat = "unix"\n[fields]\nproduct = "p"\nversion = "v"\ninstall = "m"\n'


def plan() -> Plan:
    """A plan for the columns t, p, v and m."""
    span = Span(0, 2**48, int(time.time() * 1000))
    return Plan(MAPPING, "x.csv", ("t", "p", "v", "m"), b"s" * 32, (("es", 1), ("ec", 2)), None, span)


def block(count: int) -> Block:
    """Records of two products, one of a third, and one that is bad."""
    records = [[str(1_700_000_000 + n), ("es", "ec")[n % 2], "1", f"install-{n}"] for n in range(count)]
    records += [["1700000000", "no", "1", "install-x"], ["never", "es", "1", "install-y"]]
    return Block(records, list(range(2, count + 4)))


def test_a_block_is_converted_and_summed_up() -> None:
    """Its rows are a sorted run; what became none of its records is told by their place."""
    done = convert(plan(), block(10))
    assert [(product, reach.rows) for product, reach in sorted(done.reach.items())] == [(1, 5), (2, 5)]
    assert done.reach[2].first_ms == 1_700_000_001_000
    assert done.reach[2].joined(done.reach[1]) == (10, 1_700_000_000_000, 1_700_000_009_000)
    assert dict(done.unknown) == {"no": 1}
    assert done.bad == [(11, "t", "never", "expected a time (unix)")]


def test_several_processes_do_what_one_does() -> None:
    """The same runs, in the order of the blocks."""
    blocks = [block(n) for n in (5, 50, 1, 20)]
    found = []
    for many in (1, 2):
        with converting(plan(), many) as convert_all:
            found.append([(b.lines, done.run, done.reach, done.bad) for b, done in convert_all(blocks)])
    assert found[0] == found[1]


def test_small_files_are_read_by_one_process() -> None:
    """Starting others takes longer than reading it; of the standard input nobody knows."""
    assert (processes(1_000, 8), processes(1 << 30, 8), processes(0, 8)) == (1, 8, 8)
    assert cores() >= 1


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Killed without a word, the command leaves no process behind."""
    code = (
        "import os, sys, time\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_imports_reading import plan, block, converting\n"
        "if __name__ == '__main__':\n"
        "    with converting(plan(), 2) as convert_all:\n"
        "        list(convert_all([block(1)] * 8))\n"
        "        import multiprocessing\n"
        "        print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "        time.sleep(600)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code, "utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    assert children
    process.kill()
    process.wait()
    process.stdout.close()
    give_up_s = time.monotonic() + 30
    while any(_is_alive(pid) for pid in children):
        assert time.monotonic() < give_up_s, "a process was left behind"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    """Whether a process works; who is dead and not collected yet doesn't."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
