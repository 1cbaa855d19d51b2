"""Looking for labels in a column that holds them as canonical JSON."""

from __future__ import annotations

import orjson
from sqlalchemy import Column, ColumnElement, func


def has_label(column: Column[str], name: str, value: str | None) -> ColumnElement[bool]:
    """Say whether a row has the label `name`, with `value` unless that is None.

    It looks for the label's own text: no other text of the JSON can hold its quotes.
    """
    needle = f"{orjson.dumps(name).decode()}:" + ("" if value is None else orjson.dumps(value).decode())
    condition: ColumnElement[bool] = func.replace(column, needle, "") != column
    return condition
