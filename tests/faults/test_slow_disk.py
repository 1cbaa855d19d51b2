"""A disk on which every flush takes long: nothing is lost, no lease runs out, and nobody is told too early."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.scene import step

_SOURCE: Final = Path(__file__).parents[2] / "bench" / "slow_flush.c"
#: Nanoseconds of a flush: most of a lease goes by while one heartbeat is written.
_FLUSH: Final = 600_000_000


@pytest.fixture
def slow_flush(tmp_path: Path) -> Path:
    """Give the library that makes flushes slow."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "this test needs a C compiler: apt install gcc"
    library = tmp_path / "slow_flush.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True)
    return library


@pytest.mark.promise("H07")
@pytest.mark.timeout(180)
def test_leases_outlive_a_slow_disk(make_scene: MakeScene, slow_flush: Path) -> None:
    scene = make_scene(worker_slots="4", heartbeat="0.5s", lease="2s")
    scene.define(job=[{"name": "a", **step("echo out; sleep 0.3")}, {"name": "b", **step(":")}])
    scene.victim._env |= {"LD_PRELOAD": str(slow_flush), "FLUSH_DELAY_NS": str(_FLUSH)}
    client = scene.victim.start()
    with ThreadPoolExecutor(8) as users:
        list(users.map(lambda _: scene.begin(client, "job"), range(12)))
    scene.victim.kill("owner")
    scene.assert_sound()
    client = scene.victim.start()
    with ThreadPoolExecutor(8) as users:
        list(users.map(lambda _: scene.begin(client, "job"), range(12)))
    scene.settle(client, patience=120)
    tasks = [task for run in client.pages("runs") for task in client.pages("runs", run["id"], "steps")]
    assert sum(task["reason"] == "worker_lost" for task in tasks) <= 4, "more than the killed owner had slots"
    scene.finish()
