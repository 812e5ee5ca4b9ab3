"""The rules of style that a machine can check, as pure functions of a module's source.

Each rule takes a `Module` and yields complaints, each beginning with ``line N:``. `tests/test_style.py`
runs them over the package, and each over a planted violation too.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[["Module"], Iterator[str]]

# What a reader keeps in mind at once; the models named in the style (linehaul, goatcounter) stay below them.
MODULE_LINES = 300
FUNCTION_LINES = 40
PARAMETERS = 6

# The way of the data: no stage imports one before it.
STAGES = ("ingest", "jobs", "spool", "store", "live", "console")
IO_LIBRARIES = frozenset({"asyncio", "aiohttp", "asyncpg", "uvloop", "websockets"})
SQL_ROOMS = ("store", "embedded")
# In the shape of statements, since a help text may say how long a COPY or an UPDATE takes.
SQL = re.compile(
    r"\b(SELECT\s|INSERT INTO\s|DELETE FROM\s|CREATE TABLE\s|(?:LISTEN|NOTIFY) \w+$"
    r"|UPDATE\s+(?:$|\S+\s+SET\b)|COPY\s+(?:$|\S+\s*(?:\(|FROM\b|TO\b)))"
)
MUTABLE_CALLS = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "WeakSet"}
)


@dataclass(frozen=True)
class Module:
    """One module: its dotted name inside the package (``ingest.decode``; ``""`` is the package itself)."""

    name: str
    source: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.source)

    @cached_property
    def lines(self) -> list[str]:
        """The source's lines, the first at index 0."""
        return self.source.splitlines()

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """The numbers of the lines that hold code: neither blank, nor only a comment, nor a docstring."""
        skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            if token.type not in skipped | {tokenize.ENDMARKER}:
                lines.update(range(token.start[0], token.end[0] + 1))
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        return frozenset(lines)

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Every function with its dotted name within the module, nested ones too."""
        return ((name, node) for name, node in _named(self.tree) if not isinstance(node, ast.ClassDef))


def _named(parent: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, Function | ast.ClassDef):
            yield prefix + node.name, node
            yield from _named(node, f"{prefix}{node.name}.")
        else:
            yield from _named(node, prefix)


def long_module(module: Module) -> Iterator[str]:
    """A module has at most 300 lines, or its docstring says why after the word ``long:``."""
    if len(module.lines) > MODULE_LINES and "long:" not in (ast.get_docstring(module.tree) or ""):
        yield f"line {len(module.lines)}: more than {MODULE_LINES} lines, and no `long:` in the docstring"


def long_function(module: Module) -> Iterator[str]:
    """A function has at most 40 lines of code."""
    for name, node in module.functions():
        size = len(module.code_lines.intersection(range(node.lineno, (node.end_lineno or node.lineno) + 1)))
        if size > FUNCTION_LINES:
            yield f"line {node.lineno}: {name} has {size} lines of code, over {FUNCTION_LINES}"


def many_parameters(module: Module, exempt: Mapping[str, str] | None = None) -> Iterator[str]:
    """A function takes at most six parameters besides ``self``; ``exempt`` maps names to reasons."""
    for name, node in module.functions():
        args = node.args
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        count = sum(arg is not None and arg.arg not in ("self", "cls") for arg in every)
        if count > PARAMETERS and f"{module.name}.{name}" not in (exempt or {}):
            yield f"line {node.lineno}: {name} takes {count} parameters, over {PARAMETERS}"


def broad_except(module: Module) -> Iterator[str]:
    """``except Exception`` stands only at a ``# task root``, or cleans up and raises again."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = set(_names(node.type)) if node.type else {"BaseException"}
        last = node.body[-1]
        raises_again = isinstance(last, ast.Raise) and last.exc is None
        marked = "# task root" in module.lines[node.lineno - 1]
        if caught & {"Exception", "BaseException"} and not marked and not raises_again:
            yield f"line {node.lineno}: a broad except that is no `# task root`"


def _names(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def mutable_global(module: Module) -> Iterator[str]:
    """No module holds a mutable value, unless as a Final table in capitals, nor rebinds a global."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: rebinds the global {', '.join(node.names)}"
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign):
            targets, value, is_final = statement.targets, statement.value, False
        elif isinstance(statement, ast.AnnAssign) and statement.value:
            targets, value = [statement.target], statement.value
            is_final = "Final" in ast.unparse(statement.annotation)
        else:
            continue
        name = ast.unparse(targets[0])
        if _is_mutable(value) and name != "__all__" and not (is_final and name.isupper()):
            yield f"line {statement.lineno}: {name} is a mutable global"


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in MUTABLE_CALLS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _public(module: Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public classes and functions: no part of the name begins with ``_``, and none lies in a function."""
    inside = {f"{name}." for name, _ in module.functions()}
    for name, node in _named(module.tree):
        if not re.search(r"(^|\.)_", name) and not any(name.startswith(outer) for outer in inside):
            yield name, node


def missing_docstring(module: Module) -> Iterator[str]:
    """Each module, public class, function and coroutine says what it is for."""
    if not ast.get_docstring(module.tree):
        yield "line 1: the module has no docstring"
    for name, node in _public(module):
        overloaded = any(ast.unparse(each).endswith(("overload", ".setter")) for each in node.decorator_list)
        if not ast.get_docstring(node) and not overloaded:
            yield f"line {node.lineno}: {name} has no docstring"


def silent_cancellation(module: Module) -> Iterator[str]:
    """The docstring of a public coroutine says what cancellation does."""
    for name, node in _public(module):
        if isinstance(node, ast.AsyncFunctionDef) and "ancel" not in (ast.get_docstring(node) or ""):
            yield f"line {node.lineno}: {name} does not say what cancellation does"


def stray_sql(module: Module) -> Iterator[str]:
    """SQL lives in the store, and in the launcher of the embedded PostgreSQL."""
    if module.name.partition(".")[0] in SQL_ROOMS:
        return
    constants = (node for node in ast.walk(module.tree) if isinstance(node, ast.Constant))
    for node in constants:
        # A docstring, or a string that is a statement of its own, may talk about SQL.
        said = node.value if node.lineno in module.code_lines else None
        if isinstance(said, str) and (found := SQL.search(said)):
            yield f"line {node.lineno}: SQL outside the store: {found[1].strip()}"


def imports(module: Module, *, at_runtime: bool = False) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of all imports; ``at_runtime`` leaves out those for the type checker.

    ``from a import b`` yields both ``a`` and ``a.b``, since ``b`` may be a module.
    """
    unseen = [node for node in ast.walk(module.tree) if isinstance(node, ast.If)] if at_runtime else []
    hidden = {
        id(part) for node in unseen if "TYPE_CHECKING" in ast.unparse(node.test) for part in ast.walk(node)
    }
    package = ["callhome", *filter(None, module.name.split("."))]
    for node in ast.walk(module.tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = node.level - module.is_package
            base = ".".join(package[: len(package) - up] if node.level else [])
            source = ".".join(filter(None, (base, node.module)))
            yield node.lineno, source
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def backward_import(module: Module) -> Iterator[str]:
    """No stage imports one before it, not even for its types; only the command line and the demo import ``app``."""
    room = module.name.partition(".")[0]
    earlier = STAGES[: STAGES.index(room)] if room in STAGES else ()
    banned = () if room in ("", "__main__", "app", "cli", "demo") else (*earlier, "app", "cli")
    rooms = {(line, name.split(".")[1]) for line, name in imports(module) if name.startswith("callhome.")}
    for line, imported in sorted(rooms):
        if imported in banned:
            yield f"line {line}: {module.name} imports {imported}, which comes before it"


def impurities(module: Module, modules: Mapping[str, Module]) -> Iterator[str]:
    """The libraries of I/O that importing a module brings in, with the way there."""
    ways: list[tuple[str, ...]] = []
    seen: set[str] = set()

    def follow(name: str, *way: str) -> None:
        parts = name.split(".")
        # Importing a module runs the packages above it as well.
        for depth in range(1, len(parts) + 1 if parts[0] == "callhome" else 0):
            inner = ".".join(parts[1:depth])
            if inner in modules and inner not in seen:
                seen.add(inner)
                ways.append((*way, inner))

    follow(f"callhome.{module.name}")
    while ways:
        way = ways.pop()
        for line, name in imports(modules[way[-1]], at_runtime=True):
            if name.partition(".")[0] in IO_LIBRARIES:
                yield f"line {line}: {' > '.join(way)} imports {name}"
            follow(name, *way)


RULES: tuple[Rule, ...] = (
    long_module,
    long_function,
    many_parameters,
    broad_except,
    mutable_global,
    missing_docstring,
    silent_cancellation,
    stray_sql,
    backward_import,
)
