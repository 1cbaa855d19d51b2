"""What of a run nobody would ever move, and what puts it right: a decision over its rows, not an effect.

Each transaction leaves a run whole. What stands here comes of a defect, or of somebody who wrote to the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from windlass.model.state import RUN_FINAL

#: Who holds an open task: nobody, a worker that lives, or one that is gone.
Holder = Literal["nobody", "alive", "gone"]
#: What is done about a task.
Mend = Literal["drop", "stop", "restore", "wake", "free", "unstop", "release", "lose", "count", "join", "settle"]
#: What is done about a run: it is let into the queue, noted as begun, or ended; of one that waits for other runs it is
#: looked how those ended, or it goes on; one that waits for a place that nobody gives gets in.
RunMend = Literal["queue", "begin", "end", "look", "go_on", "let_in"]
#: What a waiting run waits for: runs that go on, or one that ended without a word; a place, or none that there is.
Wait = Literal["runs", "ended", "nothing", "place", "no_place"]

_WAITS: Final[Mapping[Wait, RunMend]] = {"ended": "look", "nothing": "go_on", "no_place": "let_in"}
#: What each repair tells about what was wrong.
FOUND: Final[Mapping[str, str]] = {
    "drop": "it stood in the queue although it had ended, or its run had",
    "stop": "it ran although its run had ended",
    "restore": "it was neither in the queue nor in the history",
    "wake": "it had a time to be looked at that does not go with its state",
    "free": "a worker held it although it only waits",
    "unstop": "it was asked to stop although it does not run",
    "release": "a worker that is gone had taken it",
    "lose": "a worker that is gone was running it",
    "count": "it waited for another number of steps than are open before it",
    "join": "it waited although all steps before it had ended",
    "settle": "it waited for a run that had ended",
    "look": "the run waited for one that had ended, or is gone",
    "go_on": "the run waited for nothing",
    "let_in": "the run waited for a place under no limit",
    "queue": "the run waited for a time although none of its tasks does",
    "begin": "the run was queued although its first task had been started",
    "end": "the run was not final although all its tasks were",
}


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A row of the queue, as far as it matters here."""

    state: str
    outstanding: int = 0
    wakes: bool = False
    holder: Holder = "nobody"
    asked_to_stop: bool = False
    #: True where an attempt of it was started, now or before.
    begun: bool = False
    #: True where it waits for a run that has ended, and nobody is to tell it.
    child_ended: bool = False
    #: True where it waits for a run that it began.
    of_child: bool = False
    #: True where it runs since a moment ago: its worker says of the run that it runs once it does not end at once.
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPicture:
    """A run with its tasks: those in the queue, and those that ended, with whether they were ever started."""

    state: str
    open: Mapping[int, OpenTask]
    ended: Mapping[int, bool]
    #: The step of each task.
    steps: Sequence[int]
    #: The steps before each step.
    predecessors: Sequence[Collection[int]]
    #: True where steps may be told to stop before they begin: one before them still runs, and clean-up is behind them.
    stopping: bool = False
    #: How many of its tasks go on at the same time; 0 is no limit.
    most: int = 0
    #: What it waits for, where it is waiting and not stopped.
    wait: Wait | None = None

    @property
    def full(self) -> bool:
        """Say whether as many tasks go on as may: others wait although nothing is open before them."""
        active = {"queued", "running", "scheduled"}
        return 0 < self.most <= sum(row.state in active or row.of_child for row in self.open.values())


@dataclass(frozen=True, slots=True)
class Mending:
    """What is to be done for one run: in this order, first the tasks."""

    tasks: tuple[tuple[int, Mend], ...] = ()
    run: RunMend | None = None

    def __bool__(self) -> bool:
        """Say whether anything is to be done."""
        return bool(self.tasks) or self.run is not None


def decide_mending(run: RunPicture) -> Mending:
    """Return what puts a run right; nothing where it is whole."""
    if run.state in RUN_FINAL:
        rows = [(task, _after_the_end(run, task, row), row) for task, row in sorted(run.open.items())]
        return Mending(tuple((task, what) for task, what, row in rows if what != "stop" or not row.asked_to_stop))
    found: list[tuple[int, Mend]] = []
    left: dict[int, OpenTask] = {}
    for task, row in run.open.items():
        if task in run.ended or not 0 <= task < len(run.steps):
            found.append((task, "drop"))
        else:
            left[task] = row
    waits = run.state == "waiting"  # for something outside of it, which decides when its tasks come into the queue
    if not waits:
        lost = [task for task in range(len(run.steps)) if task not in left and task not in run.ended]
        found += [(task, "restore") for task in lost]
    open_steps = {run.steps[task] for task in left}
    for task, row in left.items():
        found += [(task, what) for what in _of_row(row, stopping=run.stopping)]
        if row.state == "pending" and not waits:
            found += [(task, what) for what in _of_pending(run, task, row, open_steps)]
    return Mending(tuple(found), _of_wait(run) if waits else _of_run(run, left))


def wait_of(*, for_place: bool, keyed: bool, waits: bool, ended: bool) -> Wait:
    """Say what a waiting run waits for.

    `for_place` says whether it is a place under a limit, `keyed` whether there is such a limit; else whether it `waits`
    for any run, and whether one of those has `ended` or is gone.
    """
    if for_place:
        return "place" if keyed else "no_place"
    if ended:
        return "ended"
    return "runs" if waits else "nothing"


def _of_wait(run: RunPicture) -> RunMend | None:
    return None if run.wait is None else _WAITS.get(run.wait)


def _after_the_end(run: RunPicture, task: int, row: OpenTask) -> Mend:
    runs = row.state == "running" and row.holder == "alive" and task not in run.ended
    return "stop" if runs else "drop"


def _of_row(row: OpenTask, *, stopping: bool) -> list[Mend]:
    found: list[Mend] = []
    timed = row.state in {"scheduled", "waiting"}
    if row.wakes and not timed:
        found.append("wake")
    if row.asked_to_stop and row.state not in (
        {"running", "waiting", "pending"} if stopping else {"running", "waiting"}
    ):
        found.append("unstop")
    if row.child_ended and row.state == "waiting":
        found.append("settle")
    if row.holder != "nobody" and row.state in {"pending", "scheduled", "waiting"}:
        found.append("free")
    elif row.holder == "gone":
        found.append("lose" if row.state == "running" else "release")
    return found


def _of_pending(run: RunPicture, task: int, row: OpenTask, open_steps: Collection[int]) -> list[Mend]:
    found: list[Mend] = []
    before = sum(step in open_steps for step in run.predecessors[run.steps[task]])
    if row.outstanding != before:
        found.append("count")
    if not before and not run.full:
        found.append("join")
    return found


def _has_begun(row: OpenTask) -> bool:
    return (row.begun or row.state in {"running", "waiting"}) and not (row.fresh and row.holder == "alive")


def _of_run(run: RunPicture, left: Mapping[int, OpenTask]) -> RunMend | None:
    if not left:
        return "end"
    begun = any(_has_begun(row) for row in left.values()) or any(run.ended.values())
    if run.state in {"scheduled", "queued"} and begun:
        return "begin"
    if run.state == "scheduled" and all(row.state != "scheduled" for row in left.values()):
        return "queue"
    return None
