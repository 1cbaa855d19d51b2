"""Reading a text out of a column that holds JSON, as each database has it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class JsonText(FunctionElement[Any]):
    """The text at a place in JSON; null where there is none. The names on the way there are plain words."""

    type = Text()
    inherit_cache = False  # its path stands in the text
    name = "json_text"

    def __init__(self, column: ColumnElement[Any], path: str) -> None:
        """Read from `column` what stands at `path`, names with dots between."""
        self.path = path
        super().__init__(column)


@compiles(JsonText)
def _of_sqlite(element: JsonText, compiler: Any, **options: Any) -> str:
    return f"json_extract({compiler.process(element.clauses, **options)}, '$.{element.path}')"


@compiles(JsonText, "postgresql")
def _of_postgresql(element: JsonText, compiler: Any, **options: Any) -> str:
    return f"(({compiler.process(element.clauses, **options)})::json #>> '{{{element.path.replace('.', ',')}}}')"


def json_text(column: ColumnElement[Any], path: str) -> ColumnElement[str]:
    """Return what stands at `path` of a column that holds JSON."""
    return JsonText(column, path)
