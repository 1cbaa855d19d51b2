"""Places under limits that became free, given to those that wait: in the unit of work that freed them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from windlass.clock import micros
from windlass.engine.book import Book, open_book, to_json
from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.rating import forget_starts
from windlass.engine.readable import readable
from windlass.engine.setting_aside import set_aside
from windlass.ids import id_text
from windlass.model.concurrency import ONE_TOO_MANY, WAITS, as_ranges, free_places
from windlass.store import hot, project_limits, run_limits
from windlass.store.lines import LimitedRun
from windlass.store.rows import NewFact
from windlass.store.transaction import Transaction, apart

#: Most runs that are let in by one unit of work, so that others get their turn.
BATCH = 200
#: Most runs that are named as those who have the places.
_SHOWN = 10


def admit(tx: Transaction, engine: Engine, key: str) -> int:
    """Let in those that stand first in the line for `key`, as many as there are places; return how many."""
    run_limits.lock_key(tx, key)
    first = run_limits.LINE.first(tx, key, 1)
    if not first:
        return 0
    limit = limit_now(tx, engine, first[0].job_id, first[0].revision_id)
    places = free_places(limit, run_limits.holding(tx, key), BATCH)
    entering = run_limits.LINE.first(tx, key, places) if places else []
    for run in entering:
        failure = apart(tx, partial(_let_in, tx, engine, run))
        if failure is not None:
            set_aside(tx, run.id, failure)
    if len(entering) == BATCH:
        tx.hints.add("places")
    return len(entering)


def admit_of_project(tx: Transaction, engine: Engine, project: str) -> int:
    """Let in those that stand first in the line of a project, as many as may go on; return how many."""
    limit = engine.settings.max_runs
    if limit is not None:
        lock_project(tx, project)
    if not project_limits.LINE.first(tx, project, 1):
        return 0
    places = BATCH if limit is None else free_places(limit, project_limits.going_on(tx, project, limit), BATCH)
    entering = project_limits.LINE.first(tx, project, places) if places else []
    for run in entering:
        failure = apart(tx, partial(_queue_now, tx, engine, run, ONE_TOO_MANY))
        if failure is not None:
            set_aside(tx, run.id, failure)
    if len(entering) == BATCH:
        tx.hints.add("places")
    return len(entering)


def lock_project(tx: Transaction, project: str) -> None:
    """Let nobody else count the runs of a project and add to them until this unit of work ends."""
    run_limits.lock_key(tx, f"runs:{project}")


def may_go_on(tx: Transaction, engine: Engine, project: str, *, own: int = 0) -> bool:
    """Say whether one more run of a project may go on; `own` is 1 where it seems to do so already.

    A place that is free while others wait belongs to the first of those.
    """
    limit = engine.settings.max_runs
    if limit is None:
        return True
    lock_project(tx, project)
    return project_limits.going_on(tx, project, limit + own) - own < limit and not project_limits.LINE.first(
        tx, project, 1
    )


def told_of_project(engine: Engine) -> str:
    """Return what a run waits for of which no more may go on, as JSON text."""
    return to_json({"limit": ONE_TOO_MANY, "allowed": engine.settings.max_runs})


def let_in(tx: Transaction, engine: Engine, run_id: bytes, revision_id: int) -> None:
    """Let a run in that waits for a place although nothing limits it."""
    _let_in(tx, engine, LimitedRun(run_id, b"", revision_id, "waiting", 0))


def _let_in(tx: Transaction, engine: Engine, run: LimitedRun) -> None:
    """Let a run in that has a place under its key, or have it wait for one among the runs of its project."""
    entrant = project_limits.entrant(tx, run.id)
    if entrant is not None and not entrant.is_free and not may_go_on(tx, engine, entrant.project):
        project_limits.line_up(tx, run.id, engine.rank(tx.now, entrant.priority), told_of_project(engine))
        return
    _queue_now(tx, engine, run, WAITS)


def _queue_now(tx: Transaction, engine: Engine, run: LimitedRun, reason: str) -> None:
    book = open_book(tx, engine, run.id, run.revision_id)
    allowed = engine.settings.run_deadline if book.job.job.timeout is None else book.job.job.timeout
    if not run_limits.let_in(tx, run.id, deadline=tx.now + micros(allowed), reason=reason):
        return
    ready = open_roots(book)
    for first, last in ready:
        hot.queue_range(tx, run.id, first, last)
    tx.hints.add("wake")
    hot.insert_facts(tx, [NewFact("run.queued", run.id, None, tx.now, to_json({"ready": ready}))])


def open_roots(book: Book) -> list[list[int]]:
    """Let go of the first tasks of a run that waited, and return the ranges of those that may begin now."""
    for step in book.job.graph.roots:
        run_limits.open_range(book.tx, book.run_id, *book.span(step))
    return as_ranges(run_limits.held_back(book.tx, book.run_id, book.job.job.max_parallel_tasks or None))


def admit_all(tx: Transaction, engine: Engine) -> int:
    """Look at every key that somebody waits for; return how many runs were let in.

    Whatever ends a run lets the next one in by itself. This is for limits that were changed, and for runs that were set
    aside because nothing could be read of them.
    """
    forget_starts(tx, engine)
    entered = sum(admit(tx, engine, key) for key in run_limits.keys_waited_for(tx))
    return entered + sum(admit_of_project(tx, engine, project) for project in project_limits.projects_waited_in(tx))


def limit_now(tx: Transaction, engine: Engine, job_id: bytes, revision_id: int) -> int | None:
    """Return how many runs of a job go on at the same time by its newest revision; None where it says nothing.

    So a limit that was changed holds for those that wait already. `revision_id` is asked where the newest one cannot be
    read.
    """
    newest = run_limits.newest_revision(tx, job_id)
    for revision in (newest, revision_id):
        if revision is None:
            continue
        found = readable(f"Revision {revision}", compiled, tx, engine.jobs, revision)
        if found is not None:
            return None if found.job.concurrency is None else int(found.job.concurrency["limit"])
    return 1


def queue_held_back(tx: Transaction, run_id: bytes, most: int | None) -> list[list[int]]:
    """Queue the tasks of a run that wait for no step, at most `most`; return their ranges."""
    ranges = as_ranges(run_limits.held_back(tx, run_id, most))
    for first, last in ranges:
        hot.queue_range(tx, run_id, first, last)
    return ranges


def place_in_project(tx: Transaction, project: str, run_id: bytes, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run waits for of whose project no more may go on; see `place_in_line`."""
    holders = project_limits.who_goes_on(tx, project, _SHOWN)
    return {
        **told,
        "holders": [id_text(one) for one in holders],
        "ahead": project_limits.LINE.ahead(tx, project, run_id),
    }


def place_in_line(tx: Transaction, key: str, run_id: bytes, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run waits for, as it was told when it began to, with who has the places now."""
    holders = run_limits.holders(tx, key, _SHOWN)
    return {**told, "holders": [id_text(one) for one in holders], "ahead": run_limits.LINE.ahead(tx, key, run_id)}
