"""Migrations add, and take nothing away that the version before uses, because both work side by side for a while."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations

import windlass.store.migrations
from tests.fixtures.postgres import PostgresServer
from windlass.store.migrations import FLOOR, VERSIONS
from windlass.store.migrations.late import late_index
from windlass.store.place import store_place
from windlass.store.postgres.store import PostgresStore
from windlass.store.schema_facts import schema_facts
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction
from windlass.store.upgrade import upgrade

if TYPE_CHECKING:
    from sqlalchemy import Connection

pytestmark = pytest.mark.promise("H07")
#: From here on two versions work side by side.
FIRST = "0020"
HISTORY = tuple(pairwise(VERSIONS))[VERSIONS.index(FIRST) :]
Facts = dict[str, frozenset[str]]


def broken_rules(before: frozenset[str], after: frozenset[str], *, contracts: bool, late: bool) -> list[str]:
    """Return what a migration does that the version before it could not live with, or for which all have to wait.

    `contracts` says that no older program is there any more, `late` that indexes are made beside the work.
    """
    tables = {fact.removeprefix("table ") for fact in before if re.fullmatch(r"table \w+", fact)}

    def is_old(fact: str) -> bool:
        found = re.search(r"\bof (\w+)", fact) or re.match(r"column (\w+)\.", fact)
        return found is not None and found[1] in tables

    gone = [] if contracts else [fact for fact in sorted(before - after) if not fact.startswith(("index ", "check "))]
    found = [f"takes away: {fact}" for fact in gone]
    for fact in filter(is_old, sorted(after - before)):
        if fact.startswith("column ") and " NOT NULL" in fact and " DEFAULT " not in fact:
            found.append(f"older programs write no value: {fact}")
        elif fact.startswith(("unique ", "check ", "foreign ", "primary ")):
            found.append(f"may refuse rows, and looks at all there are: {fact}")
        elif fact.startswith("index ") and late:
            found.append(f"keeps everybody waiting, leave it to late_index: {fact}")
    return found


def upgraded(connection: Connection, version: str) -> frozenset[str]:
    """Bring a schema to a version; return its facts."""
    config = Config()
    config.set_main_option("script_location", str(Path(windlass.store.migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, version)
    return schema_facts(connection)


@pytest.fixture(scope="module")
def on_sqlite() -> Facts:
    """Return the facts of each version from the first one on, on SQLite."""

    async def work() -> Facts:
        store = SqliteStore(":memory:")
        try:
            store.connection.exec_driver_sql("BEGIN IMMEDIATE")
            return {version: upgraded(store.connection, version) for version in VERSIONS if version >= FIRST}
        finally:
            store.connection.exec_driver_sql("ROLLBACK")
            await store.close()

    return asyncio.run(work())


@pytest.fixture
async def on_postgres(postgres: PostgresServer) -> Facts:
    """Return the same on PostgreSQL."""
    name = await postgres.empty()
    place = store_place(postgres.url(name)).server
    assert place is not None
    store = PostgresStore(place)
    try:
        return {
            version: await store.run(lambda tx, version=version: upgraded(tx.connection, version))  # type: ignore[misc]
            for version in VERSIONS
            if version >= FIRST
        }
    finally:
        await store.close()
        await postgres.drop(name)


@pytest.mark.parametrize(("before", "after"), HISTORY)
def test_no_migration_breaks_the_version_before_it(on_sqlite: Facts, before: str, after: str) -> None:
    assert broken_rules(on_sqlite[before], on_sqlite[after], contracts=after <= FLOOR, late=False) == []


async def test_no_migration_on_postgresql_does_either_or_lets_everybody_wait(on_postgres: Facts) -> None:
    for before, after in HISTORY:
        found = broken_rules(on_postgres[before], on_postgres[after], contracts=after <= FLOOR, late=True)
        assert found == [], f"from {before} to {after}"


BEFORE = frozenset(
    {
        "table runs",
        "primary key of runs on (id)",
        "column runs.id BLOB NOT NULL",
        "column runs.note TEXT",
        "index ix_runs_note of runs on (note)",
        "unique key uq_runs_note of runs on (note)",
    }
)


@pytest.mark.parametrize(
    ("taken", "added", "said"),
    [
        (set(), {"column runs.more TEXT", "column runs.count INTEGER NOT NULL DEFAULT 0"}, []),
        (set(), {"table more", "column more.id BLOB NOT NULL", "unique key uq_more_id of more on (id)"}, []),
        (set(), {"index ix_more_id of more on (id)", "table more"}, []),
        ({"index ix_runs_note of runs on (note)"}, set(), []),
        ({"column runs.note TEXT"}, set(), ["takes away: column runs.note TEXT"]),
        ({"column runs.note TEXT"}, {"column runs.remark TEXT"}, ["takes away: column runs.note TEXT"]),
        (
            {"column runs.note TEXT"},
            {"column runs.note TEXT NOT NULL"},
            ["takes away: column runs.note TEXT", "older programs write no value: column runs.note TEXT NOT NULL"],
        ),
        ({"table runs"}, set(), ["takes away: table runs"]),
        (
            {"unique key uq_runs_note of runs on (note)"},
            set(),
            ["takes away: unique key uq_runs_note of runs on (note)"],
        ),
        (set(), {"column runs.more TEXT NOT NULL"}, ["older programs write no value: column runs.more TEXT NOT NULL"]),
        (
            set(),
            {"check ck_runs_more of runs: id > 0"},
            ["may refuse rows, and looks at all there are: check ck_runs_more of runs: id > 0"],
        ),
        (
            set(),
            {"index ix_runs_more of runs on (more)"},
            ["keeps everybody waiting, leave it to late_index: index ix_runs_more of runs on (more)"],
        ),
    ],
)
def test_what_breaks_the_version_before_is_seen(taken: set[str], added: set[str], said: list[str]) -> None:
    assert broken_rules(BEFORE, (BEFORE - taken) | added, contracts=False, late=True) == said


def test_what_nobody_uses_any_more_may_go() -> None:
    assert broken_rules(BEFORE, BEFORE - {"column runs.note TEXT"}, contracts=True, late=True) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_late_index_is_made_at_once_only_where_nobody_waits_for_it(
    kind: str, make_migrating: Callable[[str], SqliteStore | PostgresStore]
) -> None:
    def migrate(tx: Transaction) -> bool:
        with Operations.context(MigrationContext.configure(tx.connection)):
            late_index("ix_runs_note", "runs", ["note"], where="note IS NOT NULL")
        return any(
            fact.startswith("index ix_runs_note of runs on (note) where") for fact in schema_facts(tx.connection)
        )

    assert await make_migrating(kind).run(migrate) == (kind == "sqlite")


@pytest.fixture
def make_migrating(postgres_store: PostgresStore) -> Callable[[str], SqliteStore | PostgresStore]:
    """Return a function that gives a store of a kind with a whole schema."""

    def make(kind: str) -> SqliteStore | PostgresStore:
        if kind == "postgres":
            return postgres_store
        store = SqliteStore(":memory:")
        upgrade(store)
        return store

    return make
