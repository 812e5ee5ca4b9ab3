"""``callhome import``: what an older service has kept, as pings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import CallhomeError, UsageError
from . import import_view
from .database import run
from .import_progress import shown
from .options import config, database_url
from .text import printable

if TYPE_CHECKING:
    from ..imports.converting import Plan
    from ..imports.preparing import Prepared
    from ..imports.wanted import Outcome, Wanted
    from ..settings import Settings
    from ..store.connection import Connection
    from ..store.products import Product

# As in the CHECK on import_run.name.
_NAME_CHARACTERS: Final = 200


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option(
    "--mapping",
    "mapping_file",
    required=True,
    metavar="TOML",
    type=click.Path(path_type=Path),
    help="What each column is.",
)
@click.option("--dry-run", is_flag=True, help="Read and check all of it; store nothing.")
@click.option("--name", metavar="TEXT", help="What people call this import. [default: the name of the file]")
@click.option(
    "--from",
    "from_",
    metavar="TIME",
    help="Leave out what is before this time (ISO 8601; UTC unless it names a zone).",
)
@click.option("--until", metavar="TIME", help="Leave out what is of this time or later.")
@click.option("--strict", is_flag=True, help="Import nothing if a single record is rejected.")
@click.option(
    "--overlapping",
    is_flag=True,
    help="No old row of this file was in another import, whatever its times say.",
)
@click.option("--no-wait", is_flag=True, help="Leave the counting to the servers.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where rejected records go. [default: <name>.rejected.csv here]",
)
@click.option(
    "--work-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where rows are sorted, some 250 bytes each. [default: the temporary folder]",
)
@click.option(
    "--processes", type=click.IntRange(1, 64), help="Processes that read. [default: one for each core]"
)
@config
@database_url
def import_pings(file: str, config: Path | None, database_url: str | None, **given: Any) -> None:
    """Bring in what an older service has kept: rows of a file become pings.

    FILE is CSV or NDJSON, plain or gzipped; - is the standard input. All of it is read first. A record that is wrong
    is told with its line, column and what was expected, and written to the report; the others are imported, in the
    order of their time. Rows older than CALLHOME_RETENTION_DAYS go into the daily summaries alone.

    It may be stopped at any time: the same command goes on where it was, and no row counts twice. The secret must be
    that of the servers.

    \b
    Example:
      callhome import old.csv --mapping old.toml --dry-run
    """
    from ..settings import Settings, load

    settings = load(Settings, {"database_url": database_url}, config=config)
    registered = run(_registered, config, database_url)
    with ExitStack() as stack, _told_if_stopped():
        _Import(stack, settings, registered, file, given).run()


class _Import:
    """One call of the command. ``given`` are its options."""

    def __init__(
        self,
        stack: ExitStack,
        settings: Settings,
        registered: list[Product],
        file: str,
        given: dict[str, Any],
    ) -> None:
        from ..imports.mapping import parse
        from ..imports.reading import Source, opened
        from ..imports.rejects import Rejects
        from ..imports.sorting import Runs

        self._settings = settings
        self._registered = {product.id: product.key for product in registered}
        self._given = given
        self._file = file
        self._mapping = parse(_text_of(given["mapping_file"]), file)
        binary = stack.enter_context(opened(file))
        self._size_bytes = 0 if file == "-" else Path(file).stat().st_size
        self._source = Source(binary, self._mapping.form)
        self._runs = stack.enter_context(Runs(given["work_dir"]))
        report: Path = given["report"] or Path(f"{_stem(file)}.rejected.{self._mapping.form.format}")
        if report.exists() and file != "-" and report.samefile(file):
            raise UsageError(f"--report: {report} is the file to import itself")
        self._rejects = stack.enter_context(Rejects(report, self._mapping.form, self._source.header))
        self._plan = self._planned()

    def run(self) -> None:
        """Read, and store unless it is a dry run."""
        from ..imports.converting import converter
        from ..imports.preparing import UnknownProducts

        converter(self._plan)  # what is wrong with the mapping is told before anything is read
        begun_s = time.monotonic()
        prepared = self._read()
        read_s = time.monotonic() - begun_s
        import_view.tell(self._file, prepared, self._rejects, self._registered)
        if prepared.unknown:
            raise UnknownProducts(prepared.unknown)
        if self._given["strict"] and self._rejects.count:
            raise UsageError(
                f"{import_view.records(self._rejects.count)} rejected, see {self._rejects.path}; nothing was imported"
            )
        if self._given["dry_run"]:
            import_view.tell_first(converter(self._plan), prepared)
            asyncio.run(_checked(self._settings, prepared, self._wanted))
            click.echo("Nothing was imported: it was a dry run")
        elif prepared.rows:
            self._store(prepared, read_s)
        else:
            raise UsageError("the file has no row to import")

    @property
    def _wanted(self) -> Wanted:
        from ..imports.wanted import Wanted

        name = self._given["name"] or Path(self._file).name
        return Wanted(
            name=printable(name, _NAME_CHARACTERS),
            rejected=self._rejects.count,
            retention_days=self._settings.retention_days,
            wait=not self._given["no_wait"],
            overlapping=self._given["overlapping"],
        )

    def _planned(self) -> Plan:
        from ..imports.converting import Plan
        from ..imports.records import Span

        span = Span(
            _moment("--from", self._given["from_"], 0),
            _moment("--until", self._given["until"], 2**48),
            int(time.time() * 1000),
        )
        return Plan(
            mapping=self._mapping.text,
            file_name=self._file,
            columns=tuple(self._source.header),
            secret=self._settings.secret.get_secret_value().encode(),
            product_ids=tuple((key, id) for id, key in self._registered.items()),
            geo_database=self._settings.geo_database,
            span=span,
        )

    def _read(self) -> Prepared:
        from ..imports.converting import cores, processes
        from ..imports.preparing import prepare

        many = self._given["processes"] or processes(self._size_bytes, cores())
        with shown() as tell, _told_if_full():
            return prepare(
                self._source,
                self._plan,
                self._mapping,
                (self._runs, self._rejects),
                many,
                lambda read_bytes: tell("reading", read_bytes, self._size_bytes),
            )

    def _store(self, prepared: Prepared, read_s: float) -> None:
        from ..imports.sorting import Numbered

        numbered = Numbered(self._runs.merged(), repeats=not self._mapping.row_id)
        with shown() as tell:
            outcome = asyncio.run(_stored(self._settings, prepared, self._wanted, numbered, tell))
        if numbered.twins:
            click.echo(f"{numbered.twins:,} rows had the id of another: each id was taken once")
        import_view.tell_outcome(outcome, read_s)


async def _checked(settings: Settings, prepared: Prepared, wanted: Wanted) -> None:
    """Raise what would keep this from being imported, and tell how much of it is old. Cancelling it changes nothing."""
    from ..imports.checks import check
    from ..store.connection import connect
    from ..store.license_usage import utc_day
    from ..store.partitions import keep_from

    connection = await connect(settings.database_url.dsn, "import")
    try:
        keep = keep_from(await utc_day(connection), settings.retention_days)
        await check(connection, prepared, keep, overlapping=wanted.overlapping)
    finally:
        connection.terminate()
    click.echo(f"Rows from {keep} on would be kept singly, older ones go into the daily summaries alone")


async def _stored(
    settings: Settings, prepared: Prepared, wanted: Wanted, numbered: Any, tell: Any
) -> Outcome:
    """Store all rows. Cancelling it leaves those that are committed."""
    from ..imports.checks import midnight_ms
    from ..imports.chunks import chunks
    from ..imports.storing import Storing
    from ..store.partitions import keep_from

    async with Storing(settings.database_url.dsn, prepared, wanted, tell) as storing:
        today = await storing.today()
        done = await storing.begin(today)
        if done:
            click.echo(f"Going on behind the first {done:,} rows", err=True)
        keep_ms = midnight_ms(keep_from(today, settings.retention_days))
        await storing.store(chunks(numbered, done, keep_ms))
        return storing.outcome


async def _registered(connection: Connection) -> list[Product]:
    """Return the products; raise ``UndefinedTableError`` where there is no table of imports. Cancelling it is safe."""
    from ..store import imports, products

    await imports.known(connection, b"")
    return await products.list_all(connection)


@contextmanager
def _told_if_full() -> Iterator[None]:
    """Say what to do where a file can't be written: the rows that are sorted, or the report."""
    try:
        yield
    except OSError as error:
        raise CallhomeError(
            f"{error.strerror}, while rows were sorted (some 250 bytes each) or the report was written; nothing was "
            "imported. Name a folder with room: --work-dir, --report"
        ) from None


@contextmanager
def _told_if_stopped() -> Iterator[None]:
    """Say after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise CallhomeError("stopped: what is stored stays; the same command goes on where it was") from None


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: expected text in UTF-8") from None


def _stem(file: str) -> str:
    name = "stdin" if file == "-" else Path(file).name
    return name.removesuffix(".gz").rpartition(".")[0] or name


def _moment(option: str, text: str | None, without: int) -> int:
    from ..imports.times import moment

    if text is None:
        return without
    try:
        return moment(text)
    except ValueError:
        raise UsageError(f"{option}: expected a time such as 2026-12-01T08:30:00Z, got {text!r}") from None
