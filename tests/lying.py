"""Runs a server that breaks the promise: ``python lying.py LIE serve …``. The checker must find out.

Its store or its spool loses a row of each fifth batch, or stores one twice, and says that all is well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from callhome.cli import main
from callhome.spool.spool import Spool
from callhome.store.ids import new_id
from callhome.store.writer import BatchWriter

Lie = Callable[[Sequence[bytes]], Sequence[bytes]]
_EACH: Final = 5


def lose(rows: Sequence[bytes]) -> Sequence[bytes]:
    """Leave out the first."""
    return rows[1:]


def double(rows: Sequence[bytes]) -> Sequence[bytes]:
    """Take the first for a second ping, as a server would that makes an id of its own for what has one."""
    return [*rows, rows[0][:6] + new_id() + rows[0][22:]]


LIES: Final[dict[str, tuple[type, str, Lie]]] = {
    "lost on the way to the table": (BatchWriter, "write", lose),
    "lost in the spool": (Spool, "append", lose),
    "stored twice": (BatchWriter, "write", double),
}


def tell(owner: type, name: str, lie: Lie) -> None:
    """Have a method told of other rows than it is given, each fifth time."""
    original: Any = getattr(owner, name)
    calls = 0

    async def lying(self: Any, rows: Sequence[bytes], *words: Any, **named: Any) -> Any:
        nonlocal calls
        calls += len(rows) > 1
        is_honest = calls % _EACH or len(rows) < 2
        return await original(self, rows if is_honest else lie(rows), *words, **named)

    setattr(owner, name, lying)


if __name__ == "__main__":
    tell(*LIES[sys.argv[1]])
    sys.argv = ["callhome", *sys.argv[2:]]
    main()
