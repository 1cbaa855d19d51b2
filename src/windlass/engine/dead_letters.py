"""Tasks that failed for good: listed until somebody queues them again, which makes a new run linked to the old one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.executing import QUEUE
from windlass.engine.jobs import find_run_job
from windlass.engine.reading import find_run
from windlass.engine.resuming import Resume, resume_within
from windlass.engine.shapes import Places, task_shape
from windlass.engine.step_context import task_id
from windlass.errors import NotFound, UserError, WindlassError
from windlass.ids import id_text, parse_id
from windlass.model.printable import printable
from windlass.store import dead_letters as stored
from windlass.store.dead_letters import DeadFilter
from windlass.store.tasks import TaskRow, tasks_of
from windlass.store.transaction import Transaction

#: Runs that are queued again in one transaction.
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Requeued:
    """What became of a wish: the run that was made of an old one, or why none was."""

    run_id: bytes
    tasks: Sequence[int]
    new: bytes | None
    #: False where the tasks had been queued again before.
    created: bool = False
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "runId": id_text(self.run_id),
            "tasks": [task_id(self.run_id, task) for task in self.tasks],
            "newRunId": None if self.new is None else id_text(self.new),
            "created": self.created,
            "error": self.why,
        }


async def list_dead(
    engine: Engine,
    *,
    project: str | None,
    queue: str | None = None,
    job: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of dead letters, those of the newest runs first, and the cursor of the next page.

    Raises NotFound where there is no such job, UserError where the cursor is none.
    """
    before = None if cursor is None else _task_of(cursor)
    if cursor is not None and before is None:
        raise UserError(f'"{printable(cursor)}" is no cursor of this list: take it from the page before.')
    filters = DeadFilter(project=project, queue=queue, before=before, without=(QUEUE,), limit=limit)
    return await engine.store.read(_list, engine, filters, job)


def _list(
    tx: Transaction, engine: Engine, filters: DeadFilter, job: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    if job is not None:
        filters = replace(filters, job_id=find_run_job(tx, filters.project or "default", job).id)
    rows = stored.dead_letters(tx, filters)
    tasks: dict[bytes, dict[int, TaskRow]] = {}
    shapes = []
    for row in rows:
        if row.run_id not in tasks:
            tasks[row.run_id] = {task.task: task for task in tasks_of(tx, row.run_id)}
        shapes.append(_shape(tx, engine, row, tasks[row.run_id][row.task]))
    more = len(rows) == filters.limit
    return shapes, task_id(rows[-1].run_id, rows[-1].task) if more else None


def _shape(tx: Transaction, engine: Engine, row: Any, task: TaskRow) -> dict[str, Any]:
    job = compiled(tx, engine.jobs, row.revision_id)
    shape = task_shape(row.run_id, task, job, Places(job, row.expansion))
    return {"job": row.job, "project": row.project, "queue": row.queue, **shape}


async def requeue(engine: Engine, references: Sequence[str], *, by: str | None) -> list[Requeued]:
    """Queue dead letters again, each by the id of its task, or all of a run by the run's: a new run for each old one.

    Those that were queued again before give the run that was made then. Raises NotFound, with nothing done, where
    there is no such run or it has no such dead letter. What of the old run ended well is kept, and not run again.
    """
    wanted: dict[bytes, set[int] | None] = {}
    for reference in references:
        run, _, number = reference.partition(".")
        run_id = await find_run(engine, run)
        if not number:
            wanted[run_id] = None
        elif not number.isdecimal() or len(number) > _DIGITS:
            raise NotFound(f'There is no task "{printable(reference)}".')
        else:
            tasks = wanted.setdefault(run_id, set())
            if tasks is not None:
                tasks.add(int(number))
    return await engine.store.run(_requeue_all, engine, wanted, by)


#: Digits of the largest number of a task.
_DIGITS: Final = 9


def _requeue_all(
    tx: Transaction, engine: Engine, wanted: dict[bytes, set[int] | None], by: str | None
) -> list[Requeued]:
    return [_requeue(tx, engine, run_id, tasks, by) for run_id, tasks in wanted.items()]


def _requeue(tx: Transaction, engine: Engine, run_id: bytes, tasks: set[int] | None, by: str | None) -> Requeued:
    dead = stored.dead_of(tx, run_id)
    missing = sorted(tasks - set(dead)) if tasks else []
    if missing or not dead:
        earlier = stored.requeued_as(tx, run_id, missing[0] if missing else None)
        if earlier is not None:
            return Requeued(run_id, missing, earlier)
        parent = stored.waited_for(tx, run_id)
        if parent is not None:
            raise NotFound(
                f"Run {id_text(run_id)} has no dead letter of its own: a step of run {id_text(parent)} waited for it; "
                f"`windlass queue requeue {id_text(parent)}` queues that one again, which starts it anew."
            )
        what = f"Task {task_id(run_id, missing[0])}" if missing else f"Run {id_text(run_id)}"
        verb = "is no dead letter" if missing else "has no dead letter"
        raise NotFound(f"{what} {verb}; `windlass queue dead` lists them.")
    accepted = resume_within(tx, engine, Resume(run_id=run_id, only_failed=True, by=by))
    return Requeued(run_id, dead, accepted.run_id, created=True)


async def requeue_all(
    engine: Engine, *, project: str | None, queue: str | None, job: str | None, by: str | None
) -> list[Requeued]:
    """Queue all dead letters again, or those of a queue or a job; what cannot be is told with the reason, and stays.

    Raises NotFound where there is no such job.
    """
    found: dict[bytes, list[int]] = defaultdict(list)
    cursor: str | None = None
    while True:
        page, cursor = await list_dead(engine, project=project, queue=queue, job=job, cursor=cursor, limit=200)
        for run_id, task in _places_of(page):
            found[run_id].append(task)
        if cursor is None:
            break
    wanted = list(found)
    done: list[Requeued] = []
    for start in range(0, len(wanted), _BATCH):
        done += await engine.store.run(_requeue_some, engine, wanted[start : start + _BATCH], by)
    return done


def _requeue_some(tx: Transaction, engine: Engine, run_ids: Sequence[bytes], by: str | None) -> list[Requeued]:
    done = []
    for run_id in run_ids:
        try:
            done.append(_requeue(tx, engine, run_id, None, by))
        except WindlassError as error:  # raised before anything of this run was written
            done.append(Requeued(run_id, stored.dead_of(tx, run_id), None, why=str(error)))
    return done


def _places_of(page: Sequence[dict[str, Any]]) -> Iterator[tuple[bytes, int]]:
    for letter in page:
        place = _task_of(letter["id"])
        if place is not None:
            yield place


def _task_of(text: str) -> tuple[bytes, int] | None:
    """Return run and number of a task by its id; None where it is none."""
    run, _, number = text.partition(".")
    run_id = parse_id(run)
    return None if run_id is None or not number.isdecimal() or len(number) > _DIGITS else (run_id, int(number))
