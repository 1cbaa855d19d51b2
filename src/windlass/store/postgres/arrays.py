"""Statements over many rows at once on PostgreSQL: a column is one array, so that any number of rows is one text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import BigInteger, Integer, LargeBinary, SmallInteger

from windlass.store.tables import metadata

if TYPE_CHECKING:
    from windlass.store.cursor import Cursor

_TABLE: Final = re.compile(r"\b(?:INTO|UPDATE|FROM) (\w+)")
_INSERT: Final = re.compile(r"\(([\w, ]+)\) VALUES \{rows\}")
_AMONG: Final = re.compile(r"([\w.]+) IN \(\{rows\}\)")
_AMONG_TUPLES: Final = re.compile(r"\(([\w., ]+)\) IN \(VALUES \{rows\}\)")


def arrays_of(table: str, columns: str, *more: str) -> str:
    """Return the text that makes rows of arrays, of the types of `columns`, then of the types `more`."""
    known = metadata.tables[table].c
    kinds = [*(_kind(known[name.strip()].type) for name in columns.split(",")), *more]
    return f"unnest({', '.join(f'?::{kind}[]' for kind in kinds)})"


def columns_of(rows: Sequence[Sequence[Any]], kind: type[NamedTuple] | None = None) -> list[list[Any]]:
    """Return the columns of rows, each for one array; of no rows they are as many as `kind` has."""
    if not rows and kind is not None:
        return [[] for _ in kind._fields]
    return [list(column) for column in zip(*rows, strict=True)]


def over_arrays(cursor: Cursor, statement: str, rows: Sequence[Sequence[Any]], before: Sequence[Any]) -> int:
    """Run a statement over `rows` and return how many rows it changed; see `many_rows.over_many`."""
    if not rows:
        return 0
    cursor.execute(_text(statement), (*before, *map(list, zip(*rows, strict=True))))
    return cursor.rowcount


@lru_cache(maxsize=256)
def _text(statement: str) -> str:
    """Return the statement with arrays in the place of its rows, each of the type of its column."""
    found = _TABLE.search(statement)
    if found is None:
        raise ValueError(statement)

    def arrays(names: str) -> str:
        return arrays_of(found[1], ",".join(name.strip().rpartition(".")[2] for name in names.split(",")))

    for shape, text in (
        (_INSERT, lambda m: f"({m[1]}) SELECT * FROM {arrays(m[1])}"),  # noqa: S608 - names of columns
        (_AMONG_TUPLES, lambda m: f"({m[1]}) IN (SELECT * FROM {arrays(m[1])})"),  # noqa: S608 - the same
        (_AMONG, lambda m: f"{m[1]} = ANY(ARRAY(SELECT * FROM {arrays(m[1])}))"),  # noqa: S608 - the same
    ):
        if shape.search(statement):
            return shape.sub(text, statement)
    raise ValueError(statement)


def _kind(kind: Any) -> str:
    if isinstance(kind, LargeBinary):
        return "bytea"
    if isinstance(kind, BigInteger):
        return "bigint"
    if isinstance(kind, SmallInteger):
        return "smallint"
    return "integer" if isinstance(kind, Integer) else "text"
