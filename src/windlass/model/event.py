"""Every event that Windlass emits, and the facts that the store keeps for them.

The store writes one row, a fact, for all that one change brought about: a task that completes its run is one row that
stands for `task.completed` and `run.completed`. `expand` gives readers the events of a fact.

| event | meaning | data |
|---|---|---|
| `run.created` | the run was accepted | |
| `run.scheduled` | it and its tasks wait for its time | `at` |
| `run.waiting` | it waits for something beside a time, such as the end of another run | `reason`, `waitingFor` |
| `run.queued` | its first tasks may be taken | |
| `run.started` | its first attempt was started | |
| `run.cancel_requested` | somebody asked to stop it | `by`, `again`, `parent`, `replacedBy` |
| `run.progress` | a step reported how far it is | `percent`, `message` |
| `run.retried` | a final run was run again as another one | `run`, `by` |
| `run.sla_missed` | it did not end when its job's `sla` promises; nothing is stopped | `sla`, `due` |
| `run.repaired` | something of it that nobody would have moved was put right | `repairs` |
| `run.completed` `run.failed` `run.cancelled` `run.timeout` | it ended | `reason`, `holders` |
| `task.queued` | its predecessors are final, it may be taken | |
| `task.started` | an attempt was started | `attempt`, `worker` |
| `task.progress` | the attempt reported how far it is | `percent`, `message` |
| `task.retried` | an attempt ended, another one follows at that time | `attempt`, `outcome`, `reason`, `at` |
| `task.waiting` | the attempt gave its slot back and waits | `reason`, `until` |
| `task.lost` | the worker of an attempt is gone | `attempt`, `worker` |
| `task.late` | a worker reported an attempt that was no longer its own; nothing else changed | `attempt`, `outcome` |
| `task.cached` | an earlier result of the same content was taken for it; it completed with that | `from` |
| `task.cache_missed` | there was none that could be taken, and an attempt was started | `cache` |
| `task.kept` | its result is that of an earlier run, which was resumed | `from` |
| `task.completed` `task.failed` `task.skipped` `task.cancelled` `task.timeout` | it ended | `attempt`, `chunks` |
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Events of one fact are numbered below this; a fact's own number is above it.
_FACT_BITS = 20

RUN_EVENTS = frozenset(
    {
        "run.created",
        "run.scheduled",
        "run.waiting",
        "run.queued",
        "run.started",
        "run.cancel_requested",
        "run.progress",
        "run.retried",
        "run.repaired",
        "run.sla_missed",
        "run.completed",
        "run.failed",
        "run.cancelled",
        "run.timeout",
    }
)
TASK_EVENTS = frozenset(
    {
        "task.queued",
        "task.started",
        "task.progress",
        "task.retried",
        "task.waiting",
        "task.lost",
        "task.late",
        "task.cached",
        "task.cache_missed",
        "task.kept",
        "task.completed",
        "task.failed",
        "task.skipped",
        "task.cancelled",
        "task.timeout",
    }
)
EVENT_TYPES = RUN_EVENTS | TASK_EVENTS
RUN_ENDED = frozenset({"run.completed", "run.failed", "run.cancelled", "run.timeout"})


@dataclass(frozen=True, slots=True)
class Fact:
    """A row of the event table."""

    seq: int
    types: str
    run_id: bytes | None
    task: int | None
    at: int
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event as readers see it."""

    seq: int
    type: str
    run_id: bytes | None
    task: int | None
    at: int
    data: Mapping[str, Any]
    #: Where a reader goes on behind it, a text of the store; empty where nobody reads on.
    cursor: str = field(default="", compare=False)


def expand(fact: Fact) -> Iterator[Event]:
    """Yield the events that a fact stands for, in order.

    The fact's data belongs to each of them, but for some keys: `ready` lists ranges `[first, last]` of tasks that were
    queued by it, `kept` lists `[first, last, run]` of those that took over results of a run, `skipped` and `cancelled`
    list `[first, last, reason]` of tasks that ended so by it, and `run` is the data of the run's own events where the
    fact is about a task.
    """
    data = dict(fact.data or {})
    ready = data.pop("ready", ())
    kept = data.pop("kept", ())
    ended = {state: data.pop(state, ()) for state in ("skipped", "cancelled")}
    of_run = data.pop("run", {}) if fact.task is not None else data
    numbers = itertools.count(fact.seq << _FACT_BITS)
    names = [name for name in fact.types.split(",") if name]
    for name in names:
        if name in RUN_ENDED:
            continue  # the end of a run comes after everything that it stands beside
        task = name.startswith("task.")
        yield Event(next(numbers), name, fact.run_id, fact.task if task else None, fact.at, data if task else of_run)
    told = [("kept", "from", kept), *((state, "reason", ranges) for state, ranges in ended.items())]
    for what, key, ranges in told:
        for first, last, value in ranges:
            for number in range(first, last + 1):
                yield Event(next(numbers), f"task.{what}", fact.run_id, number, fact.at, {key: value})
    for first, last in ready:
        for number in range(first, last + 1):
            yield Event(next(numbers), "task.queued", fact.run_id, number, fact.at, {})
    for name in names:
        if name in RUN_ENDED:
            yield Event(next(numbers), name, fact.run_id, None, fact.at, of_run)


def fact_of(seq: int) -> int:
    """Return the number of the fact that an event's `seq` belongs to."""
    return seq >> _FACT_BITS


def first_of_fact(number: int) -> int:
    """Return the `seq` of the first event of a fact."""
    return number << _FACT_BITS


def end_of_fact(number: int) -> int:
    """Return a `seq` behind the events of a fact and before those of the next one."""
    return (number + 1 << _FACT_BITS) - 1
