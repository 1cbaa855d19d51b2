"""O1 and O8: nothing is lost, nothing is held twice, and whatever is not final has a deadline and an owner."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tests.oracle.snapshot import RunPicture, Snapshot
from windlass.engine.dependencies import FAILED as DEPENDENCY_FAILED
from windlass.engine.dependencies import NOT_NEEDED
from windlass.engine.setting_aside import REASON
from windlass.model.concurrency import FAILED, ONE_TOO_MANY, SKIPPED, WAITS
from windlass.model.state import RUN_FINAL

#: How runs end that stopped for these reasons, whatever their tasks say.
_ENDS: Final = {
    REASON: "failed",
    SKIPPED: "cancelled",
    FAILED: "failed",
    DEPENDENCY_FAILED: "failed",
    NOT_NEEDED: "cancelled",
}


def losses(run: RunPicture) -> Iterator[str]:
    """Yield what of a run is missing, double, or says something else than its tasks."""
    for task in range(run.layout.size):
        places = (task in run.live) + (task in run.final)
        if places != 1:
            yield f"O1 {run.name}: task {task} is there {places} times"
    is_final = run.row.state in RUN_FINAL
    if is_final and run.live:
        yield f"O1 {run.name}: it is {run.row.state} with open tasks {sorted(run.live)}"
    if not is_final and not run.live:
        yield f"O1 {run.name}: it is {run.row.state} although all its tasks are final"
    if is_final:
        yield from _end(run)


def _end(run: RunPicture) -> Iterator[str]:
    """Check the end of a run against its tasks, by the words of the manual."""
    tasks = run.final.values()
    counts = dict(Counter(task.state for task in tasks))
    if json.loads(run.row.counts or "{}") != counts:
        yield f"O8 {run.name}: it counts {run.row.counts}, its tasks are {counts}"
    bad = [task for task in tasks if task.state in {"failed", "timeout"}]
    if run.row.allowed_failures != sum(task.allowed for task in bad):
        yield f"O8 {run.name}: it counts {run.row.allowed_failures} allowed failures"
    stopped = any(task.state == "cancelled" and task.reason == "cancelled" for task in tasks)
    if run.row.reason in _ENDS:
        expected = _ENDS[run.row.reason]
    elif run.row.cancels and stopped:
        expected = "cancelled"
    elif run.row.expired:
        expected = "timeout"
    elif any(not task.allowed for task in bad):
        expected = "failed"
    else:
        expected = "completed"
    if run.row.state != expected:
        yield f"O8 {run.name}: it is {run.row.state} and should be {expected}"
    if (run.row.state == "failed") != (run.row.error is not None):
        yield f"O8 {run.name}: it is {run.row.state} with the error {run.row.error}"


def forgotten(run: RunPicture, snapshot: Snapshot) -> Iterator[str]:
    """Yield open tasks that nobody would ever look at again."""
    open_steps = {run.step_of(task) for task in run.live}
    for task, row in run.live.items():
        name = f"{run.name}, task {task}"
        before = run.job.graph.predecessors[run.step_of(task)]
        waits_for = [step for step in before if step in open_steps]
        held = run.row.state == "waiting" and not waits_for
        # What stands behind results that were taken over waits for its run alone, which is no step.
        wanted = int(not before) if held else len(waits_for) or (0 if _held_back(run) else -1)
        if row.state == "pending" and row.outstanding != wanted:
            yield f"O8 {name}: it waits for {row.outstanding} steps, {len(waits_for)} are open"
        if row.state != "pending" and waits_for:
            yield f"O8 {name}: it is {row.state} while steps {waits_for} before it are open"
        if row.state in {"scheduled", "waiting"} and (row.wake_at is None or row.worker_id is not None):
            yield f"O8 {name}: it is {row.state}, held by {row.worker_id}, to be looked at {row.wake_at}"
        if row.state not in {"scheduled", "waiting"} and row.wake_at is not None:
            yield f"O8 {name}: it is {row.state} and still has a time to be looked at"
        before_clean_up = row.state == "pending" and bool(waits_for)
        if row.state not in {"running", "waiting"} and row.stop is not None and not before_clean_up:
            yield f"O8 {name}: it is {row.state} and asked to stop"
        if (row.state == "running") > (row.worker_id is not None):
            yield f"O8 {name}: it runs and nobody holds it"
        worker = None if row.worker_id is None else snapshot.workers.get(row.worker_id)
        if row.worker_id is not None and (worker is None or worker.ended_at is not None):
            yield f"O8 {name}: it is held by worker {row.worker_id}, which is gone"
    if run.live and run.row.state not in {"scheduled", "queued", "running"} and not _held(run, snapshot):
        yield f"O8 {run.name}: it is {run.row.state} and nothing of it can go on"


def _held(run: RunPicture, snapshot: Snapshot) -> bool:
    """Say whether a run waits for another one whose end will be taken note of, or for a place under a limit."""
    if run.row.state == "waiting" and run.row.reason == WAITS:
        return run.row.limit_key is not None
    if run.row.state == "waiting" and run.row.reason == ONE_TOO_MANY:
        return run.row.limit_rank is not None
    awaited = [snapshot.runs.get(run_id) for run_id in snapshot.waits.get(run.row.id, ())]
    return run.row.state == "waiting" and any(one is not None and one.row.awaited for one in awaited)


def _held_back(run: RunPicture) -> bool:
    """Say whether tasks of a run may stay out of the queue although they wait for no step."""
    most = run.job.job.max_parallel_tasks
    active = [
        row
        for row in run.live.values()
        if row.state in {"queued", "running", "scheduled"}
        or (row.state == "waiting" and "child" in json.loads(row.detail or "{}"))
    ]
    return bool(most) and len(active) >= most


def crowded(snapshot: Snapshot) -> Iterator[str]:
    """Yield keys under which more runs go on than their job allows, or somebody waits although there is a place."""
    under: dict[str, list[RunPicture]] = {}
    for run in snapshot.runs.values():
        waits = run.row.state == "waiting" and run.row.reason in {WAITS, ONE_TOO_MANY}
        if run.row.limit_key is not None and (waits or run.row.state in {"queued", "running"}):
            under.setdefault(run.row.limit_key, []).append(run)
    for key, runs in under.items():
        limit = snapshot.limits.get(runs[0].row.job_id, len(runs))
        going = [run for run in runs if run.row.state != "waiting" or run.row.reason == ONE_TOO_MANY]
        if len(going) > limit:
            yield f"O8 key {key}: {len(going)} runs go on, {limit} may"
        if len(going) < limit and len(going) < len(runs):
            yield f"O8 key {key}: {runs[0].name} and others wait although only {len(going)} of {limit} go on"
    for run in snapshot.runs.values():
        most = run.job.job.max_parallel_tasks
        active = sum(row.state in {"queued", "running", "scheduled"} for row in run.live.values())
        if most and active > most:
            yield f"O8 {run.name}: {active} of its tasks go on, {most} may"


def overfull(snapshot: Snapshot) -> Iterator[str]:
    """Yield workers that hold more than they have slots for."""
    held = Counter(row.worker_id for run in snapshot.runs.values() for row in run.live.values())
    for number, worker in snapshot.workers.items():
        if held[number] > worker.slots:
            yield f"O8 worker {worker.name} holds {held[number]} tasks in {worker.slots} slots"
