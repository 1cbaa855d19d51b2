"""F27: the kernel kills a step because memory ran out: that is told, and everything else goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.supervisor import cgroup

pytestmark = pytest.mark.fault("F27")
_EATER: Final = f"""{sys.executable} -c 'print(len(b"x" * (1 << 30)))'"""


@pytest.fixture
def small(small_memory: Path, make_scene: MakeScene) -> Scene:
    """Give a scene whose jobs eat more than there is."""
    assert small_memory
    scene = make_scene(worker_slots="4")
    scene.define(
        eats=step(f"exec {_EATER}"),
        again=step(f"[ $WINDLASS_ATTEMPT = 2 ] || {{ {_EATER}; exit $?; }}", retry={"attempts": 2, "delay": 0}),
        modest=step("sleep 0.3"),
    )
    return scene


@contextmanager
def confined(folder: Path) -> Iterator[None]:
    """Have whatever is started meanwhile live in a control group; the tests themselves leave it afterwards."""
    home = Path(cgroup.folders_here().get("memory") or cgroup.folders_here()[""])
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()))


def test_a_step_that_eats_all_memory_fails_alone_and_says_why(small_memory: Path, small: Scene) -> None:
    with confined(small_memory):
        client = small.victim.start()
    pids = small.victim.pids()
    runs = {job: small.begin(client, job) for job in ("eats", "modest", "again", "modest")}
    small.settle(client)
    assert small.victim.pids() == pids, "the kernel took the wrong one"
    assert small.ends(client) == {
        "eats": ("failed", "task_failed"),
        "modest": ("completed", None),
        "again": ("completed", None),
    }
    (task,) = client.get("runs", runs["eats"], "steps")["items"]
    assert (task["reason"], task["exitCode"]) == ("oom", 137)
    assert task["error"]["message"] == "it was killed because memory ran out"
    small.finish()


def test_steps_go_before_those_who_look_after_them(small: Scene) -> None:
    client = small.victim.start()
    small.define(waits=step(f'cat /proc/$$/oom_score_adj > {small.folder}/adjusted; exec sleep "98765.$TOKEN"'))
    run = small.begin(client, "waits")
    until(lambda: (small.folder / "adjusted").exists() and (small.folder / "adjusted").read_text() != "", "the start")
    of_step = int((small.folder / "adjusted").read_text())
    others = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in small.victim.pids().values()]
    assert of_step > max(others)
    client.post("runs", run, "cancel")
    small.settle(client)
    small.finish()
