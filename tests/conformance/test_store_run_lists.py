"""Lists of runs: what a page holds, and that it costs the same however many runs there are."""

from __future__ import annotations

import pytest

from tests.fixtures.store import embedded_stores
from windlass.ids import SequentialIds
from windlass.store import hot, jobs, revisions
from windlass.store.rows import NewRun
from windlass.store.runs import RunFilter, list_runs
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

IDS = SequentialIds()
STATES = ("completed", "completed", "failed", "queued", "completed", "running")
PROJECTS = ("a", "b", "a")
#: Steps of SQLite's machine between two counts.
_STRIDE = 100


def fill(tx: Transaction, count: int) -> list[tuple[bytes, str, str]]:
    """Insert runs of all states in two projects; return `(id, project, state)` of each, oldest first."""
    job_id = {}
    revision_id = {}
    for project in dict.fromkeys(PROJECTS):
        job_id[project] = IDS.new()
        jobs.insert_job(tx, job_id=job_id[project], project=project, alias="j", labels={}, provenance=None, listed=True)
        revision_id[project] = revisions.insert_revision(
            tx, job_id=job_id[project], number=1, digest="", content="{}", provenance=None, author=None, message=None
        )
    made = [(IDS.new(), PROJECTS[n % 3], STATES[n % 6]) for n in range(count)]
    hot.insert_runs(
        tx,
        [
            NewRun(
                run_id, project, job_id[project], revision_id[project], "queued", 5, "default", "{}", None, None, None,
                None, None, None, None, None, tx.now, tx.now, tx.now + 1, None,
            )
            for run_id, project, _ in made
        ],
    )  # fmt: skip
    for run_id, _, state in made:
        ended = None if state in {"queued", "running"} else tx.now
        tx.cursor.execute("UPDATE runs SET state = ?, finished_at = ? WHERE id = ?", (state, ended, run_id))
    return made


def steps_of(tx: Transaction, filters: RunFilter) -> int:
    """Return about how many steps SQLite's machine takes for a page."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    tx.cursor.connection.set_progress_handler(count, _STRIDE)
    list_runs(tx, filters)
    tx.cursor.connection.set_progress_handler(None, 0)
    return taken * _STRIDE


@pytest.mark.parametrize("project", [None, "a", "b", "c"])
@pytest.mark.parametrize("states", [(), ("failed",), ("running", "completed"), ("scheduled",)])
async def test_pages_hold_what_fits_newest_first(
    store: SqliteStore, project: str | None, states: tuple[str, ...]
) -> None:
    made = await store.run(fill, 60)
    fitting = [
        run_id
        for run_id, of_project, state in reversed(made)
        if project in {None, of_project} and (not states or state in states)
    ]
    found: list[bytes] = []
    before = None
    while True:
        page = await store.read(list_runs, RunFilter(project=project, states=states, before=before, limit=7))
        found += [row.id for row in page]
        if len(page) < 7:
            break
        before = page[-1].id
    assert found == fitting


async def test_more_projects_than_one_statement_takes_are_listed_too(store: SqliteStore) -> None:
    made = await store.run(fill, 6)

    def add_projects(tx: Transaction) -> None:
        for number in range(500):
            jobs.insert_job(
                tx, job_id=IDS.new(), project=f"p{number}", alias="j", labels={}, provenance=None, listed=True
            )

    await store.run(add_projects)
    found = await store.read(list_runs, RunFilter(states=("failed",)))
    assert [row.id for row in found] == [run_id for run_id, _, state in made if state == "failed"]


@embedded_stores
@pytest.mark.parametrize(
    "filters",
    [
        RunFilter(limit=10),
        RunFilter(project="a", limit=10),
        RunFilter(states=("failed", "completed"), limit=10),
        RunFilter(project="b", states=("completed", "running"), limit=10),
    ],
)
async def test_a_page_costs_the_same_however_many_runs_there_are(store: SqliteStore, filters: RunFilter) -> None:
    await store.run(fill, 120)
    few = await store.read(steps_of, filters)

    def more(tx: Transaction) -> None:
        tx.cursor.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) "
            "INSERT INTO runs (id, project, job_id, revision_id, state, priority, queue, parameters, created_at, "
            "deadline, finished_at) SELECT randomblob(8) || substr(id, 9), project, job_id, revision_id, state, "
            "priority, queue, parameters, created_at, deadline, finished_at FROM runs, n"
        )

    await store.run(more)
    assert await store.read(steps_of, filters) <= 2 * few
