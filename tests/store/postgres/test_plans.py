"""Statements that come every second use the small indexes that are made for them, whatever lies around."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from windlass import Windlass, job
from windlass.store import event_waits, relations, timed
from windlass.store.open import open_store
from windlass.store.store import Store
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.timeout(120)
#: So often that a plan is made for all parameters.
_TIMES = 12


@job
async def nothing() -> None:
    """Do nothing."""


def used(tx: Transaction) -> dict[str, int]:
    """Return how often each index was used by what has been committed."""
    tx.cursor.execute("SELECT pg_stat_clear_snapshot()", ())
    rows = tx.cursor.execute("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes", ())
    return dict(rows.fetchall())


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    """Yield a store in which some runs have ended, and whose figures the planner knows."""
    async with Windlass(postgres_url, workers=2) as app:
        for run in await app.submit_many(nothing, [None] * 50):
            await run.wait(timeout=60)
    async with await open_store(postgres_url, version="0") as opened:  # nobody else is there then
        await opened.store.run(lambda tx: tx.cursor.execute("ANALYZE", ()))
        yield opened.store


@pytest.mark.parametrize(
    ("look", "index", "never"),
    [
        (lambda tx: relations.ended_awaited(tx, 10), "ix_runs_awaited", "pk_runs"),
        (lambda tx: timed.next_time(tx, tx.now), "ix_runs_deadline", "pk_runs"),
        (event_waits.open_waits, None, "uq_queue_run_id_task"),
        (event_waits.forget_ended, None, "uq_queue_run_id_task"),
    ],
)
async def test_a_look_uses_its_index_and_no_other_one(
    store: Store, look: Callable[[Transaction], Any], index: str | None, never: str
) -> None:
    def looked(tx: Transaction) -> None:
        for _ in range(_TIMES):
            look(tx)
        tx.cursor.execute("SELECT pg_stat_force_next_flush()", ())  # with the commit

    before = await store.run(used)
    await store.run(looked)
    after = await store.run(used)
    assert after[never] == before[never]
    if index is not None:
        assert after[index] - before[index] >= _TIMES
