"""Whether a PostgreSQL database has the schema that the tables are declared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint, inspect

from windlass.store.columns import is_filled
from windlass.store.deviations import REPAIR, Deviations, deviations
from windlass.store.postgres.partitions import lacking
from windlass.store.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, Inspector, Table

# The text of a check or of an index's condition is not compared: PostgreSQL keeps it in words of its own.


#: What statements rely on; all else is for speed, or refuses what they do not write.
_RELIED_ON: Final = ("table ", "column ", "primary key ", "unique ")


def drift(connection: Connection) -> Deviations:
    """Return the differences, tables of others not counted."""
    differ = deviations(*_facts(connection))
    problems, notes = lacking(connection)
    return Deviations((*differ.problems, *invalid_indexes(connection), *problems), (*differ.notes, *notes))


def lacks(connection: Connection) -> bool:
    """Say whether anything is missing without which statements of this program would fail."""
    wanted, found = _facts(connection)
    return any(fact.startswith(_RELIED_ON) for fact in wanted - found)


def _facts(connection: Connection) -> tuple[set[str], set[str]]:
    """Return what is declared and what is there."""
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    wanted: set[str] = set()
    found: set[str] = set()
    for name, table in metadata.tables.items():
        wanted.update(_declared(table, connection))
        if name in there:
            found.update(_found(inspector, name, connection))
    return wanted, found


def invalid_indexes(connection: Connection) -> Iterator[str]:
    """Say which indexes were begun and never finished: they cost what an index costs, and are read by nobody."""
    sql = (
        "SELECT i.relname, t.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_class t ON t.oid = x.indrelid WHERE NOT x.indisvalid AND i.relkind = 'i' "
        "AND t.relnamespace = current_schema()::regnamespace ORDER BY 1"
    )
    for index, table in connection.exec_driver_sql(sql):
        if table in metadata.tables:
            yield f"The index {index} of {table} was never finished; {REPAIR} makes it anew."


def _declared(table: Table, connection: Connection) -> Iterator[str]:
    name = table.name
    yield f"table {name}"
    for column in table.columns:
        filled = column.server_default is not None or is_filled(column) or column is table.autoincrement_column
        yield _column(name, column.name, column.type, connection, null=bool(column.nullable), filled=filled)
    yield f"primary key of {name} on {_list(column.name for column in table.primary_key)}"
    dialect = connection.dialect
    for constraint in table.constraints:
        said = dialect.identifier_preparer.format_constraint(constraint)
        if isinstance(constraint, UniqueConstraint):
            yield f"unique key {said} of {name} on {_list(column.name for column in constraint.columns)}"
        elif isinstance(constraint, CheckConstraint):
            yield f"check {said} of {name}"
        elif isinstance(constraint, ForeignKeyConstraint):
            yield f"foreign key of {name} on {_list(constraint.column_keys)} to {constraint.referred_table.name}"
    for index in table.indexes:
        columns = _list(column.name for column in index.columns)
        yield _index(str(index.name), name, columns, unique=bool(index.unique), some="where" in index.info)


def _found(inspector: Inspector, name: str, connection: Connection) -> Iterator[str]:
    yield f"table {name}"
    for column in inspector.get_columns(name):
        null, filled = bool(column["nullable"]), column["default"] is not None or "identity" in column
        yield _column(name, column["name"], column["type"], connection, null=null, filled=filled)
    yield f"primary key of {name} on {_list(inspector.get_pk_constraint(name)['constrained_columns'])}"
    for unique in inspector.get_unique_constraints(name):
        yield f"unique key {unique['name']} of {name} on {_list(unique['column_names'])}"
    for check in inspector.get_check_constraints(name):
        yield f"check {check['name']} of {name}"
    for foreign in inspector.get_foreign_keys(name):
        yield f"foreign key of {name} on {_list(foreign['constrained_columns'])} to {foreign['referred_table']}"
    for index in inspector.get_indexes(name):
        if "duplicates_constraint" in index:
            continue
        some = bool((index.get("dialect_options") or {}).get("postgresql_where"))
        yield _index(str(index["name"]), name, _list(index["column_names"]), unique=bool(index["unique"]), some=some)


def _column(table: str, name: str, kind: Any, connection: Connection, *, null: bool, filled: bool) -> str:
    said = f"{'' if null else ' NOT NULL'}{' DEFAULT' if filled else ''}"
    return f"column {table}.{name} {kind.compile(dialect=connection.dialect)}{said}"


def _index(index: str, table: str, columns: str, *, unique: bool, some: bool) -> str:
    return f"{'unique ' if unique else ''}index {index} of {table} on {columns}{' where ...' if some else ''}"


def _list(names: Any) -> str:
    return f"({', '.join(str(name) for name in names)})"
