"""What all scripts share on the command line, and what they are given to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from callhome.errors import CallhomeError, UsageError

from . import machine, outages, site, workload
from .outages import Database
from .pings import Pings, new_tag
from .report import Report, say
from .site import Site
from .workload import Workload

RESULTS: Final = Path(__file__).parent / "results"

Body = Callable[..., None]


class _Cores(click.ParamType[machine.Cores]):
    name = "cores"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> machine.Cores:
        if isinstance(value, frozenset):
            return value
        try:
            return machine.cores(value)
        except ValueError:
            self.fail(f"{value!r}: expected such as 0, 0,2 or 1-3", param, ctx)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a script. ``remote`` is the deployment the operator names; None: servers of our own."""

    workload: Workload
    layout: machine.Layout
    remote: Site | None
    product: str
    report: Report

    def pings(self) -> Pings:
        """Pings under a tag of their own."""
        return Pings(self.workload.pings, self.product, new_tag())

    @contextmanager
    def site(self, **settings: str) -> Iterator[Site]:
        """Where the load goes; this process runs on the load's cores meanwhile.

        ``settings`` are settings of a server of our own, by name.
        """
        with machine.pinned(self.layout.load):
            if self.remote is not None:
                site.probe(self.remote.ingest, self.product)
                self._describe(self.remote.database, None)
                yield self.remote
                return
            say("starting PostgreSQL and the server")
            with site.own_site(self.layout, self.product, self.workload.postgres, **settings) as own:
                self._describe(own.database, own.data_dir)
                yield own

    @contextmanager
    def database(self) -> Iterator[Database]:
        """A PostgreSQL of our own that can go away and come back, with schema and product."""
        with (
            machine.pinned(self.layout.load),
            outages.database(self.layout, self.workload.postgres) as database,
        ):
            say("starting PostgreSQL and the server")
            site.prepare(database.dsn, self.product)
            self._describe(database.dsn, database.folder)
            yield database

    @contextmanager
    def breakable(self, **settings: str) -> Iterator[tuple[Site, Database]]:
        """A site of our own (``settings``: as `site`) whose PostgreSQL can go away and come back."""
        with self.database() as database, site.serving(database.dsn, self.layout, **settings) as served:
            yield (
                Site(served.ingest, served.console, database.dsn, served.pid, database.folder, True),
                database,
            )

    @contextmanager
    def postgres(self) -> Iterator[str]:
        """A PostgreSQL of our own with schema and product, without a server: its DSN."""
        with (
            machine.pinned(self.layout.load),
            site.own_postgres(self.layout, self.workload.postgres) as postgres,
        ):
            site.prepare(postgres.dsn, self.product)
            self._describe(postgres.dsn, postgres.data_dir)
            yield postgres.dsn

    def _describe(self, database: str | None, data_dir: Path | None) -> None:
        self.report.machine |= machine.describe(data_dir)
        if database is not None:
            self.report.machine["postgresql"] = site.postgres_version(database)


def _choose_workload(ctx: click.Context, _param: click.Parameter, name: str) -> Workload:
    try:
        chosen = workload.load(name)
    except CallhomeError as error:
        raise click.UsageError(str(error)) from None
    script = str(ctx.command.name)
    if script in chosen.sections:
        ctx.default_map = chosen.options(script)
    return chosen


_workload = click.option(
    "--workload", metavar="NAME", default=workload.STANDARD, is_eager=True, callback=_choose_workload,
    help="What to send and how much of it: a file of bench/workloads, or any other.",
)  # fmt: skip
_results = click.option(
    "--results", metavar="DIR", type=click.Path(path_type=Path), default=RESULTS, show_default="bench/results",
    help="Where the JSON goes.",
)  # fmt: skip
_LAYOUT: Final = tuple(
    click.option(
        f"--{who}-cores", metavar="N,N-M", type=_Cores(), show_default=default, help=f"Cores of {what}."
    )
    for who, what, default in (
        ("server", "our server", "the first"),
        ("database", "our PostgreSQL", "those between; of two, the second"),
        ("load", "this program and wrk", "the last"),
    )
)
_REMOTE: Final = (
    click.option("--url", metavar="URL", help="Load this deployment's ingest listener, instead of servers of our own."),
    click.option("--console-url", metavar="URL", help="Its console listener; CALLHOME_TOKEN has a token of it."),
    click.option("--database-url", metavar="URL", help="Its database, to look for the committed rows."),
    click.option("--product", metavar="KEY", default="bench", help="A registered product of it, for load tests only."),
)  # fmt: skip


_SHARED: Final = frozenset(
    {"server_cores", "database_cores", "load_cores", "url", "console_url", "database_url", "product"}
)


def bench(name: str, *, remote: bool = True) -> Callable[[Body], click.Command]:
    """Make ``function(run, **options)`` the command of script ``name``; ``remote``: it can load a deployment.

    It ends with 1 where a check fails or `CallhomeError` is raised, whatever the figures are.
    """

    def decorate(function: Body) -> click.Command:
        def invoke(workload: Workload, results: Path, **given: Any) -> None:
            try:
                own = {key: given.pop(key) for key in tuple(given) if key not in _SHARED}
                run = _run(name, workload, given, own)
                say(f"{name}: {run.remote.ingest if run.remote else run.layout}")
                machine.allow_open_files()
                function(run, **own)
            except CallhomeError as error:
                click.secho(f"bench: {error}", err=True, fg="red")
                raise click.exceptions.Exit(error.exit_code) from None
            saved = run.report.save(results)
            run.report.show()
            click.echo(f"  saved: {saved}\n")
            if not run.report.ok:
                raise click.exceptions.Exit(1)

        command: Any = invoke
        command.__doc__ = function.__doc__
        for option in reversed((*(_REMOTE if remote else ()), _workload, _results, *_LAYOUT)):
            command = option(command)
        # click keeps a function's options last to first: the script's own are told before the shared ones.
        command.__click_params__ += getattr(function, "__click_params__", [])
        settings = {
            "default_map": workload.load(workload.STANDARD).options(name),
            "show_default": True,
            "help_option_names": ["-h", "--help"],
        }
        return click.command(name, context_settings=settings)(command)

    return decorate


def _run(name: str, chosen: Workload, given: dict[str, Any], own: dict[str, Any]) -> Run:
    layout = machine.Layout.of(given["server_cores"], given["database_cores"], given["load_cores"])
    url, remote = given.get("url"), None
    if url:
        remote = Site(url, given["console_url"], given["database_url"])
    elif given.get("console_url") or given.get("database_url"):
        raise UsageError("--console-url and --database-url belong to a deployment: name its --url too")
    parameters = {"workload": chosen.name, "layout": str(layout), "url": url, **own}
    if remote is None:
        parameters["postgres"] = dict(chosen.postgres)
    report = Report(name, parameters, chosen.wanted(name))
    return Run(chosen, layout, remote, given.get("product") or "bench", report)
