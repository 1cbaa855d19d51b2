"""What the declarations of all tables share: their registry, types of columns, indexes of some rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, event, text
from sqlalchemy import Text as _Text

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Integer keys that the database counts up: 64 bit on PostgreSQL, the rowid on SQLite.
Serial = BigInteger().with_variant(Integer, "sqlite")
Id = LargeBinary(16)
#: Text in the order of its bytes on both databases: it is what keys of lists go by, it is quick, and no upgrade of the
#: system's languages can change it below an index.
Text = _Text().with_variant(_Text(collation="C"), "postgresql")
Time = BigInteger
Json = Text

#: Where an index says, in its `info`, which rows it holds.
_WHERE: Final = "where"
#: Where a table says, in its `info`, that PostgreSQL keeps its rows in partitions, by which column.
_PARTITIONED: Final = "partitioned by"
#: Where a column says, in its `info`, what stands in it on PostgreSQL unless said otherwise.
_DEFAULT: Final = "default on postgresql"

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


def on_postgresql(default: str) -> dict[str, Any]:
    """Return what to say of a column that PostgreSQL fills by itself, and no other database does."""
    return {_DEFAULT: default}


def partitioned(by: str) -> dict[str, Any]:
    """Return what to say of a table whose rows PostgreSQL keeps in partitions, by ranges of a column."""
    return {_PARTITIONED: by}


def partitioned_tables() -> dict[str, str]:
    """Return the tables that have partitions on PostgreSQL, each with the column that they go by."""
    return {name: table.info[_PARTITIONED] for name, table in every_table.tables.items() if _PARTITIONED in table.info}


def rest_of(table: str) -> str:
    """Return the name of the partition that takes what no other one does."""
    return f"{table}_rest"


def is_filled(column: Column[Any]) -> bool:
    """Say whether PostgreSQL fills a column by itself: what stands there means nothing elsewhere."""
    return _DEFAULT in column.info


#: How full PostgreSQL makes the pages of some indexes, in percent: their keys come in order, and each comes again with
#: every version of its row, or with every event of its run. In full pages that would split each of them, after a search
#: for what could be removed.
ROOM: Final = {
    "pk_runs": 45,
    "ix_runs_job": 45,
    "ix_runs_state": 45,
    "pk_queue": 45,
    "uq_queue_run_id_task": 45,
    "ix_events_run": 33,
}


def say_which_rows() -> None:
    """Tell SQLAlchemy how PostgreSQL makes tables: which have partitions, which indexes are partial or have room."""
    for table in every_table.tables.values():
        if _PARTITIONED in table.info:
            table.dialect_kwargs["postgresql_partition_by"] = f"RANGE ({table.info[_PARTITIONED]})"
        for index in table.indexes:
            if _WHERE in index.info:
                index.dialect_kwargs["postgresql_where"] = text(index.info[_WHERE])
            if index.name in ROOM:
                index.dialect_kwargs["postgresql_with"] = {"fillfactor": ROOM[str(index.name)]}


@event.listens_for(every_table, "before_create")
def _on_postgresql(_: MetaData, connection: Connection, **__: object) -> None:
    """Say so where PostgreSQL is about to make them."""
    if connection.dialect.name == "postgresql":
        say_which_rows()


@event.listens_for(every_table, "after_create")
def _filled_on_postgresql(_: MetaData, connection: Connection, **__: object) -> None:
    """Tell PostgreSQL, once it has the tables, what it fills by itself, and where rows go that have no partition."""
    if connection.dialect.name != "postgresql":
        return
    for table in every_table.tables.values():
        for column in filter(is_filled, table.columns):
            default = column.info[_DEFAULT]
            connection.execute(text(f"ALTER TABLE {table.name} ALTER {column.name} SET DEFAULT {default}"))
    for name in partitioned_tables():
        connection.execute(text(f"CREATE TABLE {rest_of(name)} PARTITION OF {name} DEFAULT"))
    for index, percent in ROOM.items():
        connection.execute(text(f"ALTER INDEX IF EXISTS {index} SET (fillfactor = {percent})"))
