"""What puts a run right follows from its rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from windlass.model.mending import FOUND, Mending, OpenTask, RunPicture, decide_mending, wait_of

#: a -> b -> c, a task each.
CHAIN = [(), (0,), (1,)]
RUNNING = OpenTask("running", holder="alive", begun=True)


def picture(state: str, live: Mapping[int, OpenTask], *ended: int) -> RunPicture:
    return RunPicture(
        state=state, open=live, ended=dict.fromkeys(ended, True), steps=range(len(CHAIN)), predecessors=CHAIN
    )


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (picture("running", {1: RUNNING, 2: OpenTask("pending", 1)}, 0), Mending()),
        (picture("completed", {}, 0, 1, 2), Mending()),
        (picture("completed", {1: OpenTask("queued")}, 0, 2), Mending(((1, "drop"),))),
        (picture("completed", {1: RUNNING}, 0, 2), Mending(((1, "stop"),))),
        (picture("running", {1: OpenTask("queued"), 2: OpenTask("pending", 2)}, 0), Mending(((2, "count"),))),
        (picture("running", {2: OpenTask("pending", 1)}, 0, 1), Mending(((2, "count"), (2, "join")))),
        (picture("running", {2: OpenTask("pending")}, 0, 1), Mending(((2, "join"),))),
        (picture("running", {2: OpenTask("queued", holder="gone")}, 0, 1), Mending(((2, "release"),))),
        (picture("running", {2: OpenTask("running", holder="gone")}, 0, 1), Mending(((2, "lose"),))),
        (picture("running", {2: OpenTask("scheduled", holder="alive")}, 0, 1), Mending(((2, "free"),))),
        (picture("running", {2: OpenTask("queued", wakes=True, asked_to_stop=True)}, 0, 1),
         Mending(((2, "wake"), (2, "unstop")))),
        (picture("running", {2: OpenTask("queued")}, 0), Mending(((1, "restore"),))),
        (picture("running", {2: OpenTask("queued")}, 0, 1, 2), Mending(((2, "drop"),), "end")),
        (picture("running", {}, 0, 1, 2), Mending((), "end")),
        (picture("queued", {1: OpenTask("queued"), 2: OpenTask("pending", 1)}, 0), Mending((), "begin")),
        (picture("scheduled", {0: OpenTask("queued"), 1: OpenTask("pending", 1), 2: OpenTask("pending", 1)}),
         Mending((), "queue")),
        (picture("scheduled", {0: OpenTask("scheduled", wakes=True), 1: OpenTask("pending", 1),
                               2: OpenTask("pending", 1)}), Mending()),
    ],
)  # fmt: skip
def test_what_is_done_about_a_run(run: RunPicture, expected: Mending) -> None:
    assert decide_mending(run) == expected
    assert all(what in FOUND for _, what in expected.tasks)
    assert bool(expected) == (expected != Mending())


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"for_place": True, "keyed": True}, None),
        ({"for_place": True}, "let_in"),
        ({"waits": True}, None),
        ({"waits": True, "ended": True}, "look"),
        ({}, "go_on"),
    ],
)
def test_what_is_done_about_a_run_that_waits(facts: dict[str, bool], expected: str | None) -> None:
    nothing = {"for_place": False, "keyed": False, "waits": False, "ended": False}
    run = replace(picture("waiting", {0: OpenTask("pending", 1)}), wait=wait_of(**nothing | facts))
    assert decide_mending(run) == Mending((), expected)  # type: ignore[arg-type]


def test_a_task_that_waits_for_a_run_which_has_ended_is_told() -> None:
    waiting = OpenTask("waiting", wakes=True, begun=True, child_ended=True)
    assert decide_mending(picture("running", {2: waiting}, 0, 1)) == Mending(((2, "settle"),))


def test_a_run_that_waits_for_something_outside_is_left_as_it_is() -> None:
    assert not decide_mending(picture("waiting", {}))
    assert not decide_mending(picture("waiting", {0: OpenTask("pending", 1), 1: OpenTask("pending", 1)}))
