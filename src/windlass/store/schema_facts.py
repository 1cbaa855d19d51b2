"""A schema as a set of plain sentences, so that two can be compared and their difference be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect

if TYPE_CHECKING:
    from sqlalchemy import Connection, Inspector

#: Tables of the migrations themselves.
_OUTSIDE = frozenset({"alembic_version"})
#: Parts of tables, which are as those say.
_PARTS = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"


def schema_facts(connection: Connection) -> frozenset[str]:
    """Return one sentence for each table, column, key, constraint and index of a database."""
    inspector = inspect(connection)
    parts = set(connection.exec_driver_sql(_PARTS).scalars()) if connection.dialect.name == "postgresql" else set()
    return frozenset(
        fact
        for table in inspector.get_table_names()
        if table not in _OUTSIDE | parts
        for fact in (f"table {table}", *_columns(inspector, table), *_constraints(inspector, table))
    ) | frozenset(_rowids(connection))


def _columns(inspector: Inspector, table: str) -> Iterator[str]:
    for column in inspector.get_columns(table):
        null = "" if column["nullable"] else " NOT NULL"
        default = "" if column["default"] is None else f" DEFAULT {column['default']}"
        yield f"column {table}.{column['name']} {column['type']}{null}{default}"


def _constraints(inspector: Inspector, table: str) -> Iterator[str]:
    key = inspector.get_pk_constraint(table)
    yield f"primary key of {table} on {_list(key['constrained_columns'])}"
    for unique in inspector.get_unique_constraints(table):
        yield f"unique key {unique['name']} of {table} on {_list(unique['column_names'])}"
    for check in inspector.get_check_constraints(table):
        yield f"check {check['name']} of {table}: {_plain(check['sqltext'])}"
    for foreign in inspector.get_foreign_keys(table):
        there = f"{foreign['referred_table']} on {_list(foreign['referred_columns'])}"
        yield f"foreign key of {table} on {_list(foreign['constrained_columns'])} to {there}"
    for index in inspector.get_indexes(table):
        unique_mark = "unique " if index["unique"] else ""
        yield f"{unique_mark}index {index['name']} of {table} on {_list(index['column_names'])}{_where(index)}"


def _where(index: Mapping[str, Any]) -> str:
    for option, clause in (index.get("dialect_options") or {}).items():
        if option.endswith("_where"):
            return f" where {_plain(str(clause))}"
    return ""


def _list(names: Any) -> str:
    return f"({', '.join(str(name) for name in names)})"


def _plain(clause: str) -> str:
    return re.sub(r"\s+", " ", clause).strip()


def _rowids(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        for row in connection.exec_driver_sql("PRAGMA table_list"):
            if row.wr and row.schema == "main":
                yield f"table {row.name} without rowid"
        counting = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
        for row in connection.exec_driver_sql(counting):
            yield f"table {row.name} gives no rowid out twice"
