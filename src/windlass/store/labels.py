"""Labels: looked for in a column that holds them as canonical JSON, and those of runs in a table of their own."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from sqlalchemy import Column, ColumnElement, func

from windlass.store.transaction import Transaction


def has_label(column: Column[str], name: str, value: str | None) -> ColumnElement[bool]:
    """Say whether a row has the label `name`, with `value` unless that is None.

    It looks for the label's own text: no other text of the JSON can hold its quotes.
    """
    needle = f"{orjson.dumps(name).decode()}:" + ("" if value is None else orjson.dumps(value).decode())
    condition: ColumnElement[bool] = func.replace(column, needle, "") != column
    return condition


def keep_run_labels(tx: Transaction, labels: Iterable[tuple[str, str, bytes]]) -> None:
    """Note `(name, value, run id)` for lists."""
    tx.cursor.executemany("INSERT INTO run_labels (name, value, run_id) VALUES (?, ?, ?)", labels)


def keep_labels_of(tx: Transaction, run_id: bytes, labels: str | None) -> None:
    """Note the labels of a run that comes back, as its row has them; those that are noted already stay."""
    tx.cursor.executemany(
        "INSERT INTO run_labels (name, value, run_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(name, str(value), run_id) for name, value in (orjson.loads(labels) if labels else {}).items()],
    )
