"""The owner is killed in the moment in which a step starts that does nothing but wait: nothing is lost by that."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.oracle.scene import Scene

#: Killed with the start written and not told, or with the end of the attempt not yet on disk.
_MOMENTS: Final = ("exchange_within+claims committed", "exchange_within+reports written")
_STEPS: Final[dict[str, dict[str, Any]]] = {
    "pause": {"type": "wait", "config": {"duration": "100ms"}},
    "calls": {"uses": {"job": "child"}},
}


@pytest.mark.promise("H07")
@pytest.mark.parametrize("moment", _MOMENTS)
@pytest.mark.parametrize("job", sorted(_STEPS))
def test_a_step_that_only_waits_starts_again_where_its_worker_was_killed(scene: Scene, job: str, moment: str) -> None:
    scene.define(child=_STEPS["pause"], **{job: _STEPS[job]})
    client = scene.victim.start_doomed(DOOM=moment)
    assert client is not None
    run_id = scene.begin(client, job, delay=0.2)  # the answer comes before the end
    scene.victim.wait()
    client = scene.victim.start()
    scene.settle(client)
    assert client.get("runs", run_id)["state"] == "completed"
    children = [one["id"] for one in client.get("runs", run_id, "children")["items"]]
    assert len(children) == (job == "calls")
    outcomes = [
        attempt["outcome"]
        for one in (
            run_id,
            *children,
        )  # where the step told of its child before the end came, that of the child is lost
        for attempt in client.get("runs", one, "executions")["items"]
    ]
    assert outcomes.count("lost") == 1
    assert set(outcomes) <= {"lost", "rescheduled", "completed"}
    scene.finish()


@pytest.mark.promise("H07")
def test_one_that_says_fail_is_not_started_again(scene: Scene) -> None:
    scene.define(pause=_STEPS["pause"] | {"onWorkerLost": "fail"})
    client = scene.victim.start_doomed(DOOM=_MOMENTS[0])
    assert client is not None
    run_id = scene.begin(client, "pause", delay=0.2)
    scene.victim.wait()
    client = scene.victim.start()
    scene.settle(client)
    (task,) = client.get("runs", run_id, "steps")["items"]
    assert (task["state"], task["reason"]) == ("failed", "worker_lost")
    scene.finish()
