"""F37 and F38: jobs change, go and come back, or are huge, while runs of theirs and of others are under way."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.client.client import Client
from windlass.errors import InvalidDocument, LimitExceeded, NotFound, UserError

#: Steps side by side, and one behind the other; as many as the design speaks of only where there is time.
SIZES: Final = [(2_000, 1_000), pytest.param((10_000, 5_000), marks=pytest.mark.slow)]
#: Runs of another job that go on beside a huge one.
BESIDE: Final = 10


def gate(scene: Scene, name: str) -> str:
    """Return a script that waits until a file is there."""
    return f"until [ -e {scene.folder}/{name} ]; do sleep 0.02; done"


def steps_of(client: Client, run: str) -> dict[str, str]:
    """Return the states of the tasks of a run by their step."""
    return {task["step"]: task["state"] for task in client.pages("runs", run, "steps")}


@pytest.mark.fault("F37")
@pytest.mark.promise("C03")
@pytest.mark.parametrize("dies", [False, True], ids=["the owner lives", "the owner dies"])
def test_runs_keep_what_they_were_started_with(scene: Scene, dies: bool) -> None:
    old = [{"name": "a", **step(gate(scene, "go"), onWorkerLost="retry")}, {"name": "b", **step("echo old")}]
    scene.define(changed=old, deleted=old, disabled=old, returns=old)
    client = scene.victim.start()
    runs = {job: scene.begin(client, job) for job in ("changed", "deleted", "disabled", "returns")}
    until(lambda: scene.started() == len(runs), "the start of all first steps")
    scene.define(changed=[{"name": "other", **step("echo new")}])
    client.delete("jobs", "deleted")
    client.delete("jobs", "returns")
    scene.define(returns=[{"name": "other", **step("echo new")}])
    client.post("jobs", "disabled", "disable")
    if dies:
        scene.victim.kill("owner")
        scene.assert_sound()
        client = scene.victim.start()
    with pytest.raises(NotFound):
        client.post("jobs", "deleted", "run", body={})
    with pytest.raises(UserError):
        client.post("jobs", "disabled", "run", body={})
    newer = scene.begin(client, "changed"), scene.begin(client, "returns")
    (scene.folder / "go").touch()
    scene.settle(client)
    for run in runs.values():
        assert steps_of(client, run) == {"a": "completed", "b": "completed"}
        assert b"".join(client.read("runs", run, "logs", format="text")) == b"old\n"
    for run in newer:
        assert steps_of(client, run) == {"other": "completed"}
    scene.finish()


def wide(count: int) -> list[dict[str, Any]]:
    """Return a step, many that wait for it, and one that waits for all of these."""
    many = [{"name": f"n{number}", "type": "fake", "dependsOn": "first"} for number in range(count - 2)]
    ends = {"name": "last", "type": "fake", "dependsOn": [one["name"] for one in many]}
    return [{"name": "first", "type": "fake"}, *many, ends]


def deep(count: int, **first: Any) -> list[dict[str, Any]]:
    """Return steps of which each waits for the one before."""
    chain = [{"name": f"n{number}", "type": "fake", "dependsOn": f"n{number - 1}"} for number in range(1, count)]
    return [{"name": "n0", "type": "fake", **first}, *chain]


@pytest.mark.fault("F38")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", SIZES, ids=["large", "huge"])
def test_others_go_on_beside_a_huge_graph(make_scene: MakeScene, size: tuple[int, int]) -> None:
    nodes, length = size
    scene = make_scene(worker_slots="8")
    fails = {"config": {"outcome": "failed"}}
    scene.define(wide=wide(nodes), deep=deep(length), breaks=deep(length, **fails), small=step(":"))
    client = scene.victim.start()
    huge = {job: scene.begin(client, job, priority="critical") for job in ("wide", "deep", "breaks")}
    beside = [scene.begin(client, "small") for _ in range(BESIDE)]
    until(lambda: all(client.get("runs", run)["finishedAt"] for run in beside), "the end of the small ones", pace=0.1)
    assert client.get("runs", huge["deep"])["finishedAt"] is None, "the small ones came after it"
    scene.settle(client, patience=600)
    ends = {job: client.get("runs", run) for job, run in huge.items()}
    assert ends["wide"]["counts"] == {"completed": nodes}
    assert ends["deep"]["counts"] == {"completed": length}
    assert ends["breaks"]["counts"] == {"failed": 1, "skipped": length - 1}
    scene.finish()


@pytest.mark.fault("F38")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", SIZES, ids=["large", "huge"])
def test_a_huge_graph_is_cancelled_and_outlives_its_owner(make_scene: MakeScene, size: tuple[int, int]) -> None:
    nodes, length = size
    scene = make_scene(worker_slots="2")
    slow = {"triggerRule": "always", "config": {"duration": 0.05}}
    scene.define(wide=[one | slow for one in wide(nodes)], deep=[one | slow for one in deep(length)])
    client = scene.victim.start()
    runs = [scene.begin(client, job) for job in ("wide", "deep")]
    until(lambda: client.get("runs", runs[0])["counts"].get("completed", 0) > 20, "some work", pace=0.05)
    client.post("queues", "default", "pause", body={})
    scene.victim.kill("owner")
    scene.assert_sound()
    client = scene.victim.start()
    for run in runs * 2:  # the second time what would clean up is stopped too
        client.post("runs", run, "cancel")
    scene.settle(client, patience=300)
    assert {client.get("runs", run)["state"] for run in runs} == {"cancelled"}
    scene.finish()


@pytest.mark.fault("F38")
@pytest.mark.promise("C02")
def test_what_is_too_much_is_refused_with_its_number(scene: Scene) -> None:
    client = scene.victim.start()

    def refusal(steps: list[dict[str, Any]]) -> str:
        job = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": "job"}, "steps": steps}
        with pytest.raises((InvalidDocument, LimitExceeded)) as refused:
            client.post("jobdefs", "apply", body={"definitions": [job]})
        return str(refused.value)

    circle = deep(1_000)
    circle[0]["dependsOn"] = "n999"
    assert "n0" in refusal(circle)
    assert "n0" in refusal([{"name": "n0", "run": ":", "dependsOn": "n0"}])
    many = refusal(wide(20_001))
    assert "20,001" in many
    assert "20,000" in many
    bomb = {"name": "a", "run": ":", "matrix": {f"x{axis}": list(range(100)) for axis in range(5)}}
    assert "10,000,000,000" in refusal([bomb])
    tangle = [
        {"name": f"n{number}", "run": ":", "dependsOn": [f"n{one}" for one in range(number)]} for number in range(700)
    ]
    assert "200,000" in refusal(tangle)
    assert list(client.pages("jobs")) == []
    scene.finish()
