"""Facts of the event table, and the events that readers see."""

from __future__ import annotations

import re

from windlass.model import event
from windlass.model.event import EVENT_TYPES, Event, Fact, expand, fact_of
from windlass.model.state import RUN_FINAL, TASK_FINAL

RUN = b"r" * 16


def told(types: str, task: int | None = 3, **data: object) -> list[tuple[str, int | None]]:
    return [(one.type, one.task) for one in expand(Fact(7, types, RUN, task, 100, data))]


def test_one_fact_may_stand_for_an_event_of_a_task_and_one_of_its_run() -> None:
    assert told("task.completed,run.completed") == [("task.completed", 3), ("run.completed", None)]
    assert told("run.started,task.started") == [("run.started", None), ("task.started", 3)]


def test_ranges_are_spelled_out_and_the_end_of_the_run_comes_last() -> None:
    data = {"ready": [[8, 9]], "skipped": [[4, 5, "why"]], "cancelled": [[6, 6, "fail_fast"]], "reason": "exit"}
    assert told("task.failed,run.failed", **data) == [
        ("task.failed", 3),
        ("task.skipped", 4),
        ("task.skipped", 5),
        ("task.cancelled", 6),
        ("task.queued", 8),
        ("task.queued", 9),
        ("run.failed", None),
    ]


def test_each_event_carries_its_own_data() -> None:
    first, skipped, queued = expand(
        Fact(7, "task.failed", RUN, 3, 100, {"reason": "exit", "ready": [[8, 8]], "skipped": [[4, 4, "why"]]})
    )
    assert first == Event(first.seq, "task.failed", RUN, 3, 100, {"reason": "exit"})
    assert (skipped.data, queued.data) == ({"reason": "why"}, {})


def test_a_fact_of_consequences_alone_has_no_name_of_its_own() -> None:
    assert told("", task=None, cancelled=[[0, 1, "run_deadline"]]) == [("task.cancelled", 0), ("task.cancelled", 1)]
    assert told(",run.timeout", task=None) == [("run.timeout", None)]


def test_numbers_grow_within_a_fact_and_from_fact_to_fact() -> None:
    first = [one.seq for one in expand(Fact(7, "task.failed,run.failed", RUN, 0, 1, {"skipped": [[1, 20_000, "x"]]}))]
    second = [one.seq for one in expand(Fact(8, "run.created", RUN, None, 1, None))]
    assert first == sorted(set(first))
    assert first[-1] < second[0]
    assert {fact_of(seq) for seq in first} == {7}
    assert [fact_of(seq) for seq in second] == [8]


def test_every_final_state_has_its_event_and_every_event_its_line_in_the_table() -> None:
    assert {f"run.{state}" for state in RUN_FINAL} | {f"task.{state}" for state in TASK_FINAL} <= EVENT_TYPES
    table = [line for line in (event.__doc__ or "").splitlines() if line.startswith("| `")]
    documented = {name for line in table for name in re.findall(r"`((?:run|task)\.\w+)`", line.split("|")[1])}
    assert documented == EVENT_TYPES
