"""The writer of a store goes on whatever a unit of work does to it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.store import embedded_stores
from windlass.errors import Unavailable

if TYPE_CHECKING:
    from windlass.store.sqlite import SqliteStore
    from windlass.store.transaction import Transaction


def _end_the_transaction(tx: Transaction) -> None:
    tx.cursor.execute("ROLLBACK")
    raise sqlite3.OperationalError("the disk went away")


def _one(tx: Transaction) -> int:
    return int(tx.cursor.execute("SELECT 1").fetchone()[0])


async def test_a_unit_that_loses_the_transaction_is_refused_and_the_next_one_runs(store: SqliteStore) -> None:
    with pytest.raises(Unavailable):
        await store.run(_end_the_transaction)
    assert await store.run(_one) == 1


@embedded_stores
async def test_an_error_of_the_commit_itself_answers_the_caller(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> set[str]:
        raise RuntimeError("not even the end could be written")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_commit", broken)
        with pytest.raises(RuntimeError):
            await store.run(_one)
    assert await store.run(_one) == 1
