"""F33: runs are cancelled in each state, by many at once, while owners die: they end, and nothing starts again."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.client.client import Client
from windlass.errors import Conflict, Unavailable

pytestmark = [pytest.mark.fault("F33"), pytest.mark.promise("H11")]
_LONG: Final = 'exec sleep "98765.$TOKEN"'
#: Jobs by the state that their runs stay in, with what starts them so.
JOBS: Final[dict[str, Any]] = {
    "running": step(_LONG, onWorkerLost="retry"),
    "deaf": step(f"trap '' TERM INT; while :; do {_LONG.removeprefix('exec ')}; done", onWorkerLost="retry"),
    "later": step(":"),
    "queued": {"queue": "closed", "steps": [{"name": "a", **step(":")}]},
    "waiting": {"steps": [{"name": "w", "type": "wait", "config": {"duration": "1h"}}, {"name": "a", **step(":")}]},
    "retrying": step("exit 75", retry={"attempts": 3, "delay": 3600, "on": ["exit:75"]}),
    "limited": {"concurrency": {"limit": 1}, "steps": [{"name": "a", **step(_LONG)}]},
    "parent": {"steps": [{"name": "child", "uses": {"job": "running"}}, {"name": "a", **step(":")}]},
}
#: Steps that have begun once everything is in its state.
_BEGUN: Final = 5


@pytest.fixture
def scene(make_scene: MakeScene) -> Scene:
    scene = make_scene(worker_slots="8", cleanup_grace="5s")
    scene.define(**JOBS)
    return scene


def bring_about(scene: Scene, client: Client) -> dict[str, str]:
    """Bring a run of each job into its state; return them by their job."""
    client.post("queues", "closed", "pause", body={})
    runs = {job: scene.begin(client, job, **({"delay": 3600} if job == "later" else {})) for job in JOBS}
    runs["held back"] = scene.begin(client, "limited")
    until(lambda: scene.started() >= _BEGUN and scene.said("start") >= _BEGUN, "the start of what starts")
    wanted = {"later": "scheduled", "queued": "queued", "held back": "waiting", "retrying": "running"}
    for job, state in wanted.items():
        until(lambda job=job, state=state: client.get("runs", runs[job])["state"] == state, f"{job} is {state}")  # type: ignore[misc]
    return runs


def ask(client: Client, run: str) -> str:
    """Ask for a cancel; return what the answer was."""
    try:
        client.post("runs", run, "cancel")
    except Conflict:
        return "ended"
    except (Unavailable, OSError):
        return "nothing"
    return "taken"


def check_ends(client: Client, runs: dict[str, str]) -> None:
    for job, run in runs.items():
        found = client.get("runs", run)
        assert found["state"] == "cancelled", (job, found["state"], found["reason"])
    children = client.get("runs", runs["parent"], "children")["items"]
    assert [child["state"] for child in children] == ["cancelled"]


def test_many_cancel_every_run_in_every_state_at_once(scene: Scene) -> None:
    client = scene.victim.start()
    runs = bring_about(scene, client)
    begun = scene.started()
    with ThreadPoolExecutor(8) as users:
        answers = list(users.map(lambda run: ask(client, run), list(runs.values()) * 6))
    assert set(answers) <= {"taken", "ended"}
    scene.settle(client)
    check_ends(client, runs)
    assert scene.started() == begun, "something started after the cancel"
    for run in runs.values():
        told = [event["type"] for event in client.get("runs", run, "events")["items"]]
        assert told.count("run.cancelled") == 1
    scene.finish()


@pytest.mark.promise("K02")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [1, *(pytest.param(number, marks=pytest.mark.slow) for number in range(2, 6))])
def test_owners_die_while_everything_is_cancelled(scene: Scene, number: int) -> None:
    seed = int(os.environ.get("TESTS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
    print(f"TESTS_FAULT_SEED={seed} ({number})")  # noqa: T201 - shown where the test fails
    dice = random.Random(seed)  # noqa: S311 - a game that can be played again
    client = scene.victim.start()
    runs = bring_about(scene, client)
    left = list(runs.values())
    dice.shuffle(left)
    taken: dict[str, str] = {}
    while left:
        for run in left[: dice.randrange(1, 4)]:
            taken[run] = ask(client, run)
        left = [run for run in left if taken.get(run, "nothing") == "nothing"]
        scene.victim.kill(*dice.choice([("owner",), ("owner", "guard"), ("owner", "guard", "supervisor")]))
        scene.assert_sound()
        client = scene.victim.start()
    scene.settle(client)
    for run in runs.values():
        found = client.get("runs", run)
        # What a killed owner ran may have ended as lost before anybody asked; what was taken for a cancel is one.
        if taken[run] == "taken":
            assert found["state"] == "cancelled", found
        else:
            assert found["reason"] in {"worker_lost", "quarantined", "task_failed"}, found
    scene.finish()
