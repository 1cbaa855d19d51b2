"""F41: an owner that runs out of descriptors, or of processes, takes no more work, says so, and loses nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.client.client import Client
from windlass.errors import Unavailable
from windlass.supervisor import cgroup

pytestmark = pytest.mark.fault("F41")
RUNS = 60


@pytest.fixture
def many(make_scene: MakeScene) -> Scene:
    """Give a scene whose owner would like to run more than it will be able to."""
    scene = make_scene(worker_slots="40")
    scene.define(job=step("echo out; sleep 0.1"))
    return scene


@pytest.fixture
def few_processes() -> Iterator[Path]:
    """Give a control group that limits how many processes and threads there may be."""
    folder = Path(cgroup.folders_here().get("pids", "/nowhere")) / f"windlass-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.fail("this test needs a control group that it may divide: run it as root, as `make test` does")
    yield folder
    folder.rmdir()


def opened(pid: int) -> int:
    """Count the descriptors of a process at rest: those of connections that are just closing are left out."""
    counts = [len(list(Path(f"/proc/{pid}/fd").iterdir()))]
    until(lambda: counts.append(len(list(Path(f"/proc/{pid}/fd").iterdir()))) or len(counts) > 50, "a count")  # type: ignore[func-returns-value]
    return min(counts)


def fill_queue(scene: Scene, client: Client) -> None:
    """Let many runs wait, so that all of them are taken at once."""
    client.post("queues", "default", "pause", body={})
    for _ in range(RUNS):
        scene.begin(client, "job")


def trouble(client: Client) -> str:
    """Return what the server says is wrong with its starting of processes; empty where it is fine or does not say."""
    try:
        found = client.get("doctor")["items"]
    except Unavailable:
        return ""
    return "".join(one["message"] for one in found if one["check"] == "supervisor")


def end_well(scene: Scene, client: Client) -> None:
    """Fail unless every run completes, with one attempt each."""
    scene.settle(client)
    assert {(run["state"], run["reason"]) for run in client.pages("runs")} == {("completed", None)}
    assert trouble(client) == ""
    assert scene.started() == RUNS + 1
    scene.finish()


@pytest.mark.parametrize(("who", "spare"), [("owner", 2), ("owner", 8), ("supervisor", -1)])
def test_no_descriptor_is_left(many: Scene, who: str, spare: int) -> None:
    client = many.victim.start()
    many.begin(client, "job")
    many.settle(client)
    pids = many.victim.pids()
    fill_queue(many, client)
    hard = resource.prlimit(pids[who], resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pids[who], resource.RLIMIT_NOFILE, (opened(pids[who]) + spare + 1, hard))
    client.post("queues", "default", "resume")
    until(lambda: "no more are taken" in trouble(client), "a word about it")
    assert "Too many open files" in trouble(client)
    assert many.victim.pids() == pids
    resource.prlimit(pids[who], resource.RLIMIT_NOFILE, (hard, hard))
    end_well(many, client)


def test_who_asks_while_no_descriptor_is_left_is_told_to_come_again(many: Scene) -> None:
    client = many.victim.start()
    many.begin(client, "job")
    many.settle(client)
    owner = many.victim.pids()["owner"]
    hard = resource.prlimit(owner, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(owner, resource.RLIMIT_NOFILE, (opened(owner) + 1, hard))
    with pytest.raises(Unavailable, match="cannot look at who asks \\(Too many open files\\); try again"):
        client.get("runs")
    resource.prlimit(owner, resource.RLIMIT_NOFILE, (hard, hard))
    assert len(list(client.pages("runs"))) == 1
    many.finish()


def test_no_process_is_left(few_processes: Path, many: Scene) -> None:
    client = many.victim.start()
    many.begin(client, "job")
    many.settle(client)
    fill_queue(many, client)
    for pid in many.victim.pids().values():
        (few_processes / "cgroup.procs").write_text(str(pid))
    there = int((few_processes / "pids.current").read_text())
    (few_processes / "pids.max").write_text(str(there + 3))
    client.post("queues", "default", "resume")
    until(lambda: "no more are taken" in trouble(client), "a word about it")
    (few_processes / "pids.max").write_text("max")
    many.settle(client)
    failed = [run["id"] for run in client.pages("runs", state="failed")]
    why = {task["error"]["message"] for run in failed for task in client.get("runs", run, "steps")["items"]}
    assert why <= {"it ended with exit code 2"}, "the shell of a step that has begun cannot start anything either"
    assert many.said("end") == RUNS + 1 - len(failed)
    assert trouble(client) == ""
    many.finish()
