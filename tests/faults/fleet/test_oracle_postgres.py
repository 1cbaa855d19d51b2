"""The oracle reads a store in PostgreSQL as it reads one in a file: what it looks for is put there by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.faults.fleet.database import Database
from tests.oracle.ledger import Ledger
from tests.oracle.postgres import problems_of
from tests.oracle.world import World
from windlass.store.columns import partitioned_tables, rest_of, say_which_rows
from windlass.store.tables import metadata
from windlass.store.transaction import Transaction


def rows_of(tx: Transaction) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of a store."""
    return {
        table.name: [tuple(row) for row in tx.connection.execute(table.select())] for table in metadata.sorted_tables
    }


async def put(world: World, url: str) -> None:
    """Put all that is in a world into an empty database."""
    found = await world.engine.store.read(rows_of)
    connection = await asyncpg.connect(url)
    dialect = postgresql.dialect()
    say_which_rows()
    try:
        for table in metadata.sorted_tables:
            await connection.execute(str(CreateTable(table).compile(dialect=dialect)))
            if table.name in partitioned_tables():
                await connection.execute(f"CREATE TABLE {rest_of(table.name)} PARTITION OF {table.name} DEFAULT")
            names = [one.name for one in table.columns]
            rows = found[table.name]
            if rows:
                await connection.copy_records_to_table(table.name, records=rows, columns=names)
        for index in (one for table in metadata.sorted_tables for one in table.indexes):
            await connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    finally:
        await connection.close()


class Kept:
    """A history in PostgreSQL, and what it takes to look at it."""

    def __init__(self, pg: Database, folder: Path) -> None:
        """Let one job run twice, in a world that is then put into a database."""
        self.folder = folder
        self.url = pg.make()
        self.name = urlsplit(self.url).path[1:]
        self.ledger = Ledger(folder / "ledger")
        self.world = World(":memory:", folder)
        asyncio.run(self._live())

    async def _live(self) -> None:
        job = await self.world.define(steps={"a": {}, "b": {"dependsOn": "a"}})
        for key in ("one", "two"):
            await self.world.submit(job, idempotency_key=key)
        await (await self.world.worker()).work()
        await put(self.world, self.url)
        await self.world.close()

    def problems(self, home: str = "home") -> list[str]:
        """Return what the oracle finds."""
        (self.folder / home).mkdir(exist_ok=True)
        return problems_of(self.url, [self.folder / home], self.folder, self.world.accepted, self.ledger, at_rest=True)


@pytest.fixture
def kept(pg: Database, tmp_path: Path) -> Kept:
    return Kept(pg, tmp_path)


def test_a_history_that_is_well_is_told_so(kept: Kept) -> None:
    assert kept.problems() == []
    assert not (kept.folder / "copy").exists()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM runs WHERE idempotency_key = 'one'", "was accepted and is gone"),
        ("DELETE FROM tasks WHERE task = 1", "task 1 is there 0 times"),
        ("UPDATE tasks SET state = 'failed'", "and should be failed"),
        ("UPDATE tasks SET attempt = 2", "its attempts are numbered [2]"),
        ("DROP TABLE log_chunks", "the table log_chunks"),
        ("UPDATE runs SET state = 'running', finished_at = NULL", "is running although all its tasks are final"),
    ],
)
def test_what_is_wrong_is_found(kept: Kept, pg: Database, statement: str, sentence: str) -> None:
    pg.execute(statement, database=kept.name)
    assert any(sentence in one for one in kept.problems()), kept.problems()


def test_an_attempt_that_was_at_work_and_is_in_no_history_is_found(kept: Kept) -> None:
    kept.ledger.path.write_text(
        f'{{"task":"{kept.world.accepted[0].hex()}.0","attempt":2,"phase":"start","at":1.0,"pid":1}}\n'
    )
    assert any("attempt 2 was at work and is in no history" in one for one in kept.problems())


def test_what_is_broken_in_an_index_is_found(kept: Kept, pg: Database) -> None:
    primary = "indrelid = 'runs'::regclass AND indisprimary"
    pg.execute(f"UPDATE pg_index SET indisvalid = false WHERE {primary}", database=kept.name)  # noqa: S608 - a constant
    (found,) = kept.problems()
    assert found.startswith("O9 the index")
    assert found.endswith("is not valid")
