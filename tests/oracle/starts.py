"""O3 and O4: attempts start once, one after the other, in order, and only as often as the author allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise

from tests.oracle.snapshot import RunPicture, Started
from windlass.model.definition import Step
from windlass.model.ending import WORKER_STOPPED
from windlass.model.retry import QUARANTINE_AFTER
from windlass.model.state import TASK_FINAL


def wrong_starts(run: RunPicture) -> Iterator[str]:
    """Yield attempts of a run that nobody asked for, that overlap, or that are not in the history."""
    told: dict[int, list[int]] = {}
    final_steps_at: dict[int, int] = {}
    for event in run.events:
        if event.task is None:
            continue
        if event.type == "task.started":
            told.setdefault(event.task, []).append(event.data["attempt"])
            yield from _too_early(run, event.task, event.seq, final_steps_at)
        if event.type.removeprefix("task.") in TASK_FINAL | {"kept"}:
            final_steps_at[event.task] = event.seq
    for task in range(run.layout.size):
        name = f"{run.name}, task {task}"
        started = run.attempts.get(task, [])
        numbers = [one.number for one in started]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"O3 {name}: its attempts are numbered {numbers}"
        if told.get(task, []) != numbers:
            yield f"O3 {name}: started were {told.get(task, [])}, recorded are {numbers}"
        yield from _unasked(name, run.job.job.steps[run.step_of(task)], started)
        for earlier, later in pairwise(started):
            if earlier.finished_at is None or later.started_at < earlier.finished_at:
                yield f"O4 {name}: attempts {earlier.number} and {later.number} overlap"


def _too_early(run: RunPicture, task: int, seq: int, final_at: dict[int, int]) -> Iterator[str]:
    for other in run.job.graph.predecessors[run.step_of(task)]:
        open_tasks = [one for one in run.layout.tasks(other) if final_at.get(one, seq) >= seq]
        if open_tasks:
            yield f"O3 {run.name}: task {task} was started while tasks {open_tasks} before it were not final"


def _unasked(name: str, step: Step, started: list[Started]) -> Iterator[str]:
    counted = [one for one in started if one.outcome != "lost"]
    if len(counted) > step.retry.attempts:
        yield f"O3 {name}: {len(counted)} attempts, its policy allows {step.retry.attempts}"
    in_row = 0
    for earlier, _ in pairwise(started):
        # A worker that was asked to end and took its attempts with it says nothing about them.
        in_row = in_row + (not _stopped(earlier)) if earlier.outcome == "lost" else 0
        if earlier.outcome == "lost" and (step.on_worker_lost != "retry" or in_row >= QUARANTINE_AFTER):
            yield f"O3 {name}: attempt {earlier.number} was lost and another one followed"
        if earlier.outcome not in {"lost", "failed", "timeout"}:
            yield f"O3 {name}: attempt {earlier.number} ended {earlier.outcome} and another one followed"


def _stopped(one: Started) -> bool:
    return json.loads(one.error or "{}").get("reason") == WORKER_STOPPED
