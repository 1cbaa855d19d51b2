"""What the declarations of all tables share: their registry, types of columns, indexes of some rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Text, event, text

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Integer keys that the database counts up: 64 bit on PostgreSQL, the rowid on SQLite.
Serial = BigInteger().with_variant(Integer, "sqlite")
Id = LargeBinary(16)
Time = BigInteger
Json = Text

#: Where an index says, in its `info`, which rows it holds.
_WHERE: Final = "where"

every_table = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def of_run() -> tuple[Column[Any], ...]:
    """Return the columns that say the same of a run wherever it stands: whose it is, what it is of, how it is."""
    return (
        Column("project", Text, nullable=False),
        Column("job_id", Id, nullable=False),
        Column("revision_id", BigInteger, nullable=False),
        Column("state", Text, nullable=False),
    )


def one_of(column: str, values: frozenset[str] | set[str]) -> str:
    """Return the condition that a column is one of some words."""
    # Not IN: SQLite makes a table of its list anew for every row that is written, which doubles the time of a write.
    return f"({' OR '.join(f'{column} = {value!r}' for value in sorted(values))})"


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index of those rows alone for which `where` is true."""
    # To be told of PostgreSQL here SQLAlchemy would load its dialect: 30 ms in every command. See `_on_postgresql`.
    return Index(name, *columns, unique=unique, sqlite_where=text(where), info={_WHERE: where})


@event.listens_for(every_table, "before_create")
def _on_postgresql(_: MetaData, connection: Connection, **__: object) -> None:
    """Tell PostgreSQL, where it is about to make the tables, which indexes are partial."""
    if connection.dialect.name != "postgresql":
        return
    for table in every_table.tables.values():
        for index in table.indexes:
            if _WHERE in index.info:
                index.dialect_kwargs["postgresql_where"] = text(index.info[_WHERE])
