"""Searching the history on PostgreSQL reads a few runs, however many there are, and whatever the planner believes."""

from __future__ import annotations

import pytest

from tests.conformance.test_store_run_searches import SEARCHES, fill, id_of
from windlass.store.postgres.store import PostgresStore
from windlass.store.runs import list_runs
from windlass.store.transaction import Transaction

COUNT = 4000
#: Runs that a search may read: those of some hours around its times, far fewer than there are.
MOST = 300


def read_by(tx: Transaction, name: str) -> int:
    """Return how many rows of runs a search reads."""
    filters, expected = SEARCHES[name]
    said = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'runs'"
    (before,) = tx.cursor.execute(said).fetchone() or (0,)
    found = [row.id for row in list_runs(tx, filters)]
    assert found == [id_of(number) for number in sorted(expected, reverse=True)]
    (after,) = tx.cursor.execute(said).fetchone()
    return int(after - before)


@pytest.mark.parametrize("known", ["all", "the first", "nothing"])
async def test_a_search_reads_a_few_runs(postgres_store: PostgresStore, known: str) -> None:
    store = postgres_store
    if known == "the first":
        await store.run(fill, 40)
        await store.run(lambda tx: tx.cursor.execute("ANALYZE runs, run_labels"))
        await store.run(lambda tx: tx.cursor.execute("TRUNCATE runs, run_labels, queue, events, revisions, jobs"))
    await store.run(fill, COUNT)
    if known == "all":
        await store.run(lambda tx: tx.cursor.execute("ANALYZE runs, run_labels"))
    read = {name: await store.read(read_by, name) for name in SEARCHES}
    assert {name: rows for name, rows in read.items() if rows > MOST} == {}
