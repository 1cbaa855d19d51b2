# ruff: noqa: S608 - the only texts put together here are names of our own tables and columns
"""A run as one document: a line of JSON for each row that the hot tables have of it, in pieces of bounded size."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import LargeBinary

from windlass.errors import CorruptStore
from windlass.store.columns import is_filled
from windlass.store.migrations import HEAD
from windlass.store.tables import metadata
from windlass.store.transaction import Transaction

FORMAT: Final = 1
#: Bytes after which a piece ends; one row may be larger.
PIECE: Final = 1 << 20
_HEAD: Final = b'{"windlass":'
_ROWS: Final = 256


class _Part(NamedTuple):
    """A table that has rows of a run, with the columns that its rows of one run are ordered by."""

    table: str
    #: The column with the run's id.
    run: str
    order: tuple[str, ...]


#: Every table of a run's history. `run_labels` repeats what stands in `runs`.
PARTS: Final = (
    _Part("runs", "id", ("id",)),
    _Part("run_dependencies", "run_id", ("on_id",)),
    _Part("tasks", "run_id", ("task",)),
    _Part("attempts", "run_id", ("task", "number")),
    _Part("events", "run_id", ("seq",)),
    _Part("artifacts", "run_id", ("task", "name")),
    _Part("log_chunks", "run_id", ("task", "attempt", "seq")),
)


class Position(NamedTuple):
    """How far a document was read: the table, and the last row of it."""

    part: int = 0
    after: tuple[Any, ...] | None = None


class Mark(NamedTuple):
    """What tells whether a final run was changed since it was copied."""

    last_event: int | None
    note: str | None
    labels: str | None
    restored_at: int | None


def mark_of(tx: Transaction, run_id: bytes) -> Mark | None:
    """Return the mark of a run as it is now; None where there is none."""
    row = tx.cursor.execute(
        "SELECT (SELECT max(seq) FROM events WHERE run_id = runs.id), note, labels, restored_at FROM runs WHERE id = ?",
        (run_id,),
    ).fetchone()
    return None if row is None else Mark._make(row)


def is_whole(tx: Transaction, run_id: bytes) -> bool:
    """Say whether a final run has as many tasks as it says itself; one that lost some of them is no copy of itself."""
    row = tx.cursor.execute(
        "SELECT counts, (SELECT count(*) FROM tasks WHERE run_id = runs.id) FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    return row is None or row[0] is None or sum(orjson.loads(row[0]).values()) == row[1]


def read_piece(tx: Transaction, run_id: bytes, start: Position) -> tuple[bytes, Position | None]:
    """Return lines of a run's document from `start`, and where the next piece begins; None where this is the last."""
    lines = [] if start != Position() else [head_line(run_id.hex(), FORMAT, HEAD)]
    size = 0
    part, after = start
    while part < len(PARTS):
        rows = 0
        for values in _rows(tx, run_id, part, after):
            rows += 1
            line = row_line(PARTS[part].table, values)
            lines.append(line)
            size += len(line)
            after = tuple(values[name] for name in PARTS[part].order)
            if size >= PIECE:
                return b"".join(lines), Position(part, after)
        if rows < _ROWS:
            part, after = part + 1, None
    return b"".join(lines), None


def read_rows(lines: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `(table, values)` of a piece of a document. Raises CorruptStore where it is none."""
    try:
        for line in lines.splitlines():
            found = orjson.loads(line)
            if isinstance(found, dict):
                if found["windlass"] != FORMAT:
                    raise CorruptStore("The archived run was written by a newer Windlass: install that one.")
                continue
            table, values = found
            if table in _column_names():
                yield table, _decoded(table, values)
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise CorruptStore(f"What the archive holds is no document of a run: {error}.") from error


def insert_rows(tx: Transaction, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Put rows of a document back; rows that are there already stay. Events of old are no news to anybody."""
    for table, kept in rows:
        values = kept | dict.fromkeys(_filled()[table])
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        tx.cursor.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", tuple(values.values())
        )


def _rows(tx: Transaction, run_id: bytes, part: int, after: tuple[Any, ...] | None) -> Iterator[dict[str, Any]]:
    table, run, order = PARTS[part]
    columns = _column_names()[table]
    keys = ", ".join(order)
    beyond = "" if after is None else f" AND ({keys}) > ({', '.join('?' * len(order))})"
    found = tx.cursor.execute(
        f"SELECT {', '.join(columns)} FROM {table} WHERE {run} = ?{beyond} ORDER BY {keys} LIMIT {_ROWS}",
        (run_id, *(after or ())),
    ).fetchall()
    return (dict(zip(columns, row, strict=True)) for row in found)


@lru_cache(maxsize=1)
def _column_names() -> dict[str, tuple[str, ...]]:
    return {
        part.table: tuple(str(column.name) for column in metadata.tables[part.table].columns if not is_filled(column))
        for part in PARTS
    }


@lru_cache(maxsize=1)
def _filled() -> dict[str, tuple[str, ...]]:
    return {
        part.table: tuple(str(column.name) for column in metadata.tables[part.table].columns if is_filled(column))
        for part in PARTS
    }


@lru_cache(maxsize=1)
def _binary() -> dict[str, frozenset[str]]:
    return {
        part.table: frozenset(
            column.name for column in metadata.tables[part.table].columns if isinstance(column.type, LargeBinary)
        )
        for part in PARTS
    }


def head_line(run: str, form: int, schema: str) -> bytes:
    """Return the first line of a document; `run` is its id in hexadecimal."""
    return _line({"windlass": form, "schema": schema, "run": run})


def run_of(data: bytes) -> bytes | None:
    """Return the run whose document begins with these bytes; None where none does.

    Raises CorruptStore where what begins like a document is none.
    """
    if not data.startswith(_HEAD):
        return None
    try:
        return bytes.fromhex(orjson.loads(data.partition(b"\n")[0])["run"])
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptStore(f"What the archive holds is no document of a run: {error}.") from error


def row_line(table: str, values: dict[str, Any]) -> bytes:
    """Return the line of one row."""
    return _line([table, _encoded(values)])


def bytes_of_data(value: Any) -> bytes:
    """Return the bytes that a line of a log chunk says. Raises ValueError, TypeError or KeyError where it says none."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True)
    return str(value).encode()


def _encoded(values: dict[str, Any]) -> dict[str, Any]:
    """Return values without those that are null; bytes as text, or where they are none as `{base64: ...}`."""
    return {name: _text(name, value) for name, value in values.items() if value is not None}


def _text(name: str, value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    if name == "data":
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    return value.hex()


def _decoded(table: str, values: dict[str, Any]) -> dict[str, Any]:
    binary = _binary()[table]
    known = _column_names()[table]
    return {name: _bytes(name, value) if name in binary else value for name, value in values.items() if name in known}


def _bytes(name: str, value: Any) -> bytes:
    return bytes_of_data(value) if name == "data" else bytes.fromhex(value)


def _line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"
