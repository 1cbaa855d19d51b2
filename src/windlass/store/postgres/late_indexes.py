"""Indexes that are made while everybody works: those of an upgrade, and those that somebody dropped.

PostgreSQL makes them without keeping anybody waiting, and leaves one behind that nobody reads where that was cut off;
such a one is dropped and made anew. What somebody makes at this moment, by hand or with a version that waits for no
other, looks the same, and is left to them: each would wait for the other.
"""

from __future__ import annotations

from typing import Any, Final

from asyncpg import PostgresError
from sqlalchemy import Index
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from windlass.store.columns import partitioned_tables, say_which_rows
from windlass.store.postgres.partitions import LOCK, ask
from windlass.store.tables import metadata

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_THERE: Final = (
    "SELECT i.relname, CASE WHEN x.indisvalid THEN 'whole' WHEN EXISTS (SELECT 1 FROM pg_stat_progress_create_index p "
    "WHERE p.index_relid = i.oid) THEN 'begun' ELSE 'broken' END "
    "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = to_regclass($1)"
)
_PARTS: Final = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass($1) ORDER BY 1"


async def make_indexes(connection: Any) -> list[str]:
    """Make what is missing or unfinished of the indexes that the schema has; return a sentence for each.

    `connection` is one without a transaction. An index that cannot be made, because rows are in its way, is told of by
    `db check`; it keeps back no other one.
    """
    say_which_rows()
    done = []
    for table in metadata.sorted_tables:
        there = dict(await ask(connection, _THERE, table.name))
        done += [
            f"left the index {index.name} to whoever makes it now"
            for index in table.indexes
            if there.get(str(index.name)) == "begun"
        ]
        wanted = [index for index in table.indexes if there.get(str(index.name)) not in {"whole", "begun"}]
        done += [await _make(connection, index, unfinished=index.name in there) for index in wanted]
    return done


async def _make(connection: Any, index: Index, *, unfinished: bool) -> str:
    table = "" if index.table is None else index.table.name
    text = str(CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT))
    try:
        if table not in partitioned_tables():
            await _anew(connection, text, str(index.name), unfinished=unfinished)
        else:
            for (part,) in await ask(connection, _PARTS, table):
                name = f"{part}_{str(index.name).removeprefix('ix_')}"
                of_part = text.replace(f" {index.name} ON {table} ", f" {name} ON {part} ")
                found = dict(await ask(connection, _THERE, part)).get(name)
                if found == "begun":
                    return f"left the index {name} to whoever makes it now"
                await _anew(connection, of_part, name, unfinished=found == "broken")
            async with connection.transaction():  # it takes those of the parts, and looks at no row
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK}; {text}")
    except PostgresError as error:
        if connection.is_closed():
            raise
        return f"could not make the index {index.name}: {error}"
    return f"made the index {index.name}"


async def _anew(connection: Any, text: str, name: str, *, unfinished: bool) -> None:
    if unfinished:
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    await connection.execute(text.replace("INDEX ", "INDEX CONCURRENTLY ", 1))
