"""The check of a whole database: pages, references, schema."""

from __future__ import annotations

import pytest

from tests.fixtures.store import embedded_stores
from windlass.store.check import Check, _notes, check
from windlass.store.migrations import HEAD
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction


def run_sql(tx: Transaction, *statements: str) -> None:
    for statement in statements:
        tx.connection.exec_driver_sql(statement)


async def test_a_new_store_is_sound(store: SqliteStore) -> None:
    found = await check(store)
    assert found == Check(HEAD, (), found.notes)
    assert found.sound


@embedded_stores
async def test_what_is_missing_or_too_much_is_named(store: SqliteStore) -> None:
    await store.run(
        run_sql,
        "DROP INDEX ix_queue_ready",
        "CREATE INDEX ix_mine ON runs (state)",
        "ALTER TABLE jobs ADD COLUMN colour TEXT",
        "DROP TABLE artifacts",
    )
    found = await check(store)
    assert not found.sound
    said = "\n".join(found.problems)
    assert (
        "The schema lacks: index ix_queue_ready of queue on (route_id, rank, id) "
        "where state = 'queued' AND worker_id IS NULL; `windlass doctor --repair` makes it." in said
    )
    assert "The schema lacks: table artifacts; restore a backup." in said
    assert "column" not in said.replace("column artifacts.", "")
    assert found.notes[:2] == (
        "The schema has besides: column jobs.colour TEXT; it is left alone.",
        "The schema has besides: index ix_mine of runs on (state); it is left alone.",
    )
    assert not any("ix_queue_ready" in one for one in found.damage)


@embedded_stores
async def test_a_row_that_points_nowhere_is_named(store: SqliteStore) -> None:
    store.connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    await store.run(
        run_sql,
        "INSERT INTO revisions (job_id, number, digest, content, created_at) VALUES (x'01', 1, 'd', '{}', 0)",
    )
    found = await check(store)
    assert found.problems == ("A row of revisions (rowid 1) points at a row of jobs that is not there.",)


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        ((3, 6, 23), False),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
    ],
)
def test_old_builds_of_sqlite_are_noted(version: tuple[int, int, int], *, warned: bool) -> None:
    assert bool(_notes(version)) is warned
