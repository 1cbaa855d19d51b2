"""O5: what the events tell is a path of the state machine that ends where the rows say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.oracle.snapshot import RunPicture
from windlass.model.event import Event
from windlass.model.state import RUN_FINAL, RUN_MOVES, TASK_FINAL, TASK_MOVES

#: The state that an event of a task leads to; those left out change none.
_TASK_STATES: Final = {
    "task.queued": "queued",
    "task.started": "running",
    "task.retried": "scheduled",
    "task.waiting": "waiting",
    **{f"task.{state}": state for state in TASK_FINAL},
}
_RUN_STATES: Final = {
    "run.scheduled": "scheduled",
    "run.waiting": "waiting",
    "run.queued": "queued",
    "run.started": "running",
    **{f"run.{state}": state for state in RUN_FINAL},
}
#: Events that may follow the end of a run: they change nothing.
_AFTER_THE_END: Final = {"task.late", "run.retried", "run.sla_missed"}


def illegal_moves(run: RunPicture, *, in_turn: bool) -> Iterator[str]:
    """Yield what is wrong with the history of a run and of its tasks.

    With `in_turn` all events of the run are in the order of time. Else those of each task are, and those of the run
    itself: what two workers tell of two tasks may be written at the same time.
    """
    yield from _of_run(run)
    yield from _order_of_all(run, in_turn=in_turn)
    for task in range(run.layout.size):
        told = [event.type for event in run.events if event.task == task]
        cached = task in run.final and run.final[task].reason == "cached"
        if cached is not ("task.cached" in told):
            yield f"O5 {run.name}, task {task}: its reason and its events disagree about the step cache: {told}"
        if task in run.final and run.final[task].kept_from is not None and not cached:
            if told != ["task.kept"]:
                yield f"O5 {run.name}, task {task}: it was kept, and its events are {told}"
            continue
        yield from _of_task(run, task, [event for event in run.events if event.task == task])


def _of_run(run: RunPicture) -> Iterator[str]:
    told = [event for event in run.events if event.type.startswith("run.")]
    if not told or told[0].type != "run.created":
        yield f"O5 {run.name}: its history does not begin with run.created"
    state: str | None = None
    for event in told:
        following = _RUN_STATES.get(event.type)
        if following is None:
            continue
        allowed = {"scheduled", "queued", "waiting", "cancelled"} if state is None else RUN_MOVES[state]
        if following not in allowed:
            yield f"O5 {run.name}: {event.type} although it was {state}"
        state = following
    if state != run.row.state:
        yield f"O5 {run.name}: its events end in {state}, its row says {run.row.state}"


def _order_of_all(run: RunPicture, *, in_turn: bool) -> Iterator[str]:
    """Check what ties the events of a run and those of its tasks together."""
    running = ended = False
    for event in run.events:
        if ended and event.type not in _AFTER_THE_END:
            yield f"O5 {run.name}: {event.type} of task {event.task} after its end"
        running = running or event.type == "run.started"
        ended = ended or event.type.removeprefix("run.") in RUN_FINAL
        if event.type == "task.started" and not running:
            yield f"O5 {run.name}: task {event.task} was started before the run was"
    times: dict[int | None, int] = {}
    for event in run.events:
        whose = None if in_turn else event.task
        if event.at < times.get(whose, 0):
            yield f"O5 {run.name}: the events {'of the run' if whose is None else f'of task {whose}'} go back in time"
        times[whose] = event.at


def _of_task(run: RunPicture, task: int, told: list[Event]) -> Iterator[str]:
    name = f"{run.name}, task {task}"
    waits = bool(run.job.graph.predecessors[run.step_of(task)])
    scheduled = not waits and any(event.type == "run.scheduled" for event in run.events)
    held_back = not told and run.state_of(task) == "pending"  # whether it may be is the business of O8
    state = "scheduled" if scheduled and not held_back else "pending"
    for event in told:
        following = _TASK_STATES.get(event.type)
        if following is None:
            continue
        if following not in TASK_MOVES[state]:
            yield f"O5 {name}: {event.type} although it was {state}"
        state = following
    if state != run.state_of(task):
        yield f"O5 {name}: its events end in {state}, its row says {run.state_of(task)}"
    last = [event.type for event in told if event.type in _TASK_STATES]
    if run.state_of(task) in TASK_FINAL and last.count(last[-1]) != 1:
        yield f"O5 {name}: {last[-1]} was told twice"
