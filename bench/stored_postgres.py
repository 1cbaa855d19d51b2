"""A store on PostgreSQL with a long history, written by COPY: runs that were worked off, again at other times."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice

import asyncpg

from bench.stored import BATCH, TABLES, Pattern, new_id
from windlass.store.columns import partitioned_tables
from windlass.store.postgres.partitions import WEEK, partition_of


async def patterns(url: str, run_ids: Sequence[bytes]) -> list[Pattern]:
    """Read what the engine wrote of runs that have ended."""
    connection = await asyncpg.connect(url)
    try:
        found = []
        for run_id in run_ids:
            rows = {
                table: [
                    dict(row)
                    for row in await connection.fetch(f"SELECT {what} FROM {table} WHERE {key} = $1", run_id)  # noqa: S608 - constants
                ]
                for table, what, key in TABLES
            }
            found.append(Pattern(run_id, rows["runs"][0]["created_at"], rows))
        return found
    finally:
        await connection.close()


async def fill(url: str, known: Sequence[Pattern], count: int, *, first: int, last: int) -> None:
    """Write `count` runs that were accepted between two times, in milliseconds, patterns in turn."""
    dice = random.Random(first)  # noqa: S311 - a history that can be written again
    connection = await asyncpg.connect(url)
    try:
        await _make_partitions(connection, first, last)
        times = iter(range(count))
        while batch := list(islice(times, BATCH)):
            made = [
                (known[number % len(known)], millis, new_id(millis, number, dice))
                for number in batch
                for millis in (first + (last - first) * number // count,)
            ]
            async with connection.transaction():
                for table in known[0].rows:
                    names = next((list(one.rows[table][0]) for one in known if one.rows[table]), None)
                    if names is not None:
                        rows = [row for one, millis, run_id in made for row in one.again(table, run_id, millis * 1000)]
                        await connection.copy_records_to_table(table, records=rows, columns=names)
        await connection.execute("VACUUM (ANALYZE)")  # as it would have been meanwhile
    finally:
        await connection.close()


async def _make_partitions(connection: asyncpg.Connection, first: int, last: int) -> None:
    """Make the partitions for a time, in milliseconds, as they would have been made before it came."""
    for table in sorted(partitioned_tables()):
        for millis in (*range(first, last, WEEK), last):
            one = partition_of(table, millis)
            if not await connection.fetchval("SELECT to_regclass($1)", one.name):
                await connection.execute(f"CREATE TABLE {one.name} PARTITION OF {table} {one.values}")


async def megabytes(url: str) -> float:
    """Return the size of the database."""
    connection = await asyncpg.connect(url)
    try:
        size: int = await connection.fetchval("SELECT pg_database_size(current_database())")
        return size / 1e6
    finally:
        await connection.close()
