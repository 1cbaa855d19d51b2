"""Searching the history of runs: what is found, and that a search reads ranges of indexes, never the history."""

from __future__ import annotations

from typing import Final

import pytest

from tests.fixtures.store import embedded_stores
from windlass.clock import SECOND
from windlass.ids import first_of
from windlass.store import hot, jobs, revisions
from windlass.store.labels import keep_run_labels
from windlass.store.rows import NewRun
from windlass.store.runs import RunFilter, list_runs, page_of
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

#: When the first run was accepted; one more each minute.
START: Final = 1_700_000_000 * SECOND
MINUTE: Final = 60 * SECOND
JOBS: Final = (first_of(1), first_of(2))
#: The runs that are not completed, by number; all others are.
STATES: Final = {3: "failed", 5: "running", 7: "cancelled", 11: "queued"}
LABELS: Final = {13: {"team": "data"}, 15: {"team": "data", "kind": "one"}, 17: {"team": "ops", "kind": "one"}}
PARENTS: Final = {19: 1, 21: 1, 23: 2}
SEARCHES: Final = {
    "since": (RunFilter(since=START + 90 * MINUTE, until=START + 100 * MINUTE), range(90, 100)),
    "until": (RunFilter(until=START + 4 * MINUTE), range(4)),
    "project until": (RunFilter(project="p", until=START + 4 * MINUTE), range(4)),
    "project since": (RunFilter(project="p", states=("failed",), since=START + 3 * MINUTE), [3]),
    "job until": (RunFilter(job_id=JOBS[1], until=START + 4 * MINUTE), [1, 3]),
    "job failed": (RunFilter(job_id=JOBS[1], states=("failed",)), [3]),
    "job failed or cancelled": (RunFilter(project="p", job_id=JOBS[1], states=("failed", "cancelled")), [3, 7]),
    "job timeout": (RunFilter(job_id=JOBS[1], states=("timeout",)), []),
    "job running": (RunFilter(job_id=JOBS[1], states=("running", "queued")), [5, 11]),
    "other job running": (RunFilter(job_id=JOBS[0], states=("running",)), []),
    "label": (RunFilter(labels={"team": "data"}), [13, 15]),
    "labels": (RunFilter(labels={"team": "data", "kind": "one"}), [15]),
    "label of project": (RunFilter(project="p", labels={"kind": "one"}, states=("completed",)), [15, 17]),
    "label that nothing has": (RunFilter(labels={"te": "data"}), []),
    "label until": (RunFilter(labels={"team": "data"}, until=START + 14 * MINUTE), [13]),
    "parent": (RunFilter(parent_id=first_of(1)), [19, 21]),
    "parent in project": (RunFilter(project="p", parent_id=first_of(2), states=("completed",)), [23]),
}  # fmt: skip


def id_of(number: int) -> bytes:
    return first_of((START + number * MINUTE) // 1000)


def fill(tx: Transaction, count: int) -> None:
    """Insert runs of two jobs, taking turns."""
    revision_ids = []
    for number, job_id in enumerate(JOBS):
        jobs.insert_job(tx, job_id=job_id, project="p", alias=f"j{number}", labels={}, provenance=None, listed=True)
        revision_ids.append(
            revisions.insert_revision(
                tx, job_id=job_id, number=1, digest="", content="{}", provenance=None, author=None, message=None
            )
        )
    made = [
        NewRun(
            id_of(n), "p", JOBS[n % 2], revision_ids[n % 2], "queued", 5, "default", "{}", None, None, None,
            first_of(PARENTS[n]) if n in PARENTS else None, None, None, None, None, START + n * MINUTE, START, START,
            None,
        )
        for n in range(count)
    ]  # fmt: skip
    hot.insert_runs(tx, made)
    tx.cursor.execute("UPDATE runs SET state = 'completed', finished_at = 1")
    for n, state in STATES.items():
        ended = None if state in {"queued", "running"} else 1
        tx.cursor.execute("UPDATE runs SET state = ?, finished_at = ? WHERE id = ?", (state, ended, id_of(n)))
    keep_run_labels(tx, [(name, value, id_of(n)) for n, found in LABELS.items() for name, value in found.items()])


def plan(tx: Transaction, filters: RunFilter) -> list[str]:
    """Return how SQLite goes about a page."""
    compiled = page_of(tx, filters).compile(tx.connection, compile_kwargs={"render_postcompile": True})
    values = tuple(compiled.params[name] for name in compiled.positiontup or ())
    return [row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)]


def steps_of(tx: Transaction, filters: RunFilter) -> int:
    """Return about how many steps SQLite's machine takes for a page."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    tx.cursor.connection.set_progress_handler(count, 100)
    list_runs(tx, filters)
    tx.cursor.connection.set_progress_handler(None, 0)
    return taken


@pytest.mark.parametrize("name", SEARCHES)
async def test_a_search_finds_what_fits_newest_first(store: SqliteStore, name: str) -> None:
    await store.run(fill, 120)
    filters, expected = SEARCHES[name]
    found = await store.read(list_runs, filters)
    assert [row.id for row in found] == [id_of(n) for n in reversed(expected)]


@embedded_stores
async def test_a_search_reads_ranges_and_no_table(store: SqliteStore) -> None:
    await store.run(fill, 120)
    for name, (filters, _) in SEARCHES.items():
        steps = await store.read(plan, filters)
        assert not [step for step in steps if step.startswith(("SCAN runs", "SCAN run_labels"))], f"{name}: {steps}"


@embedded_stores
async def test_a_search_costs_the_same_however_long_the_history_is(store: SqliteStore) -> None:
    await store.run(fill, 120)
    few = {name: await store.read(steps_of, filters) for name, (filters, _) in SEARCHES.items()}
    await store.run(_make_longer)
    many = {name: await store.read(steps_of, filters) for name, (filters, _) in SEARCHES.items()}
    assert {name: count for name, count in many.items() if count > 2 * few[name] + 5} == {}


def _make_longer(tx: Transaction) -> None:
    tx.cursor.executemany(
        "INSERT INTO runs (id, project, job_id, revision_id, state, priority, queue, parameters, created_at, deadline, "
        "finished_at) VALUES (?, 'p', ?, 1, 'completed', 5, 'default', '{}', ?, 1, 1)",
        [(id_of(n), JOBS[n % 2], START + n * MINUTE) for n in range(120, 10_000)],
    )
