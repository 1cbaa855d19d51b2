"""F11: code of a step takes the processor, the lock of the interpreter or the event loop for longer than a lease."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.scene import MakeScene
from windlass import Job, Windlass

pytestmark = pytest.mark.fault("F11")
LEASE = 1.0
#: Seconds, and a busy loop over them that never lets go of the interpreter but when it has to.
LONGER = 3 * LEASE
BURN = f"""\
import time
def burn():
    end = time.monotonic() + {LONGER}
    while time.monotonic() < end:
        pass
    return {{"burnt": True}}
"""


def test_f11_a_step_that_burns_does_not_cost_its_worker_the_lease(make_scene: MakeScene) -> None:
    scene = make_scene(worker_slots="4", lease=f"{LEASE}s", heartbeat="0.2s")
    (scene.folder / "burning.py").write_text(BURN)
    call = {"type": "python", "env": {"PYTHONPATH": str(scene.folder)}, "config": {"function": "burning:burn"}}
    scene.define(burn={**call, "onWorkerLost": "retry"})
    client = scene.victim.start()
    runs = [scene.begin(client, "burn") for _ in range(2)]
    scene.settle(client)
    for run in runs:
        attempts = client.get("runs", run, "executions")["items"]
        assert [one["outcome"] for one in attempts] == ["completed"]
    assert len(client.get("workers")["items"]) == 1
    scene.finish()


class Blocking(Job[Any, int]):
    """Holds the event loop of its application for longer than a lease."""

    isolation = "inline"
    started = 0

    async def execute(self) -> int:  # type: ignore[override]
        """Return how often it was started."""
        Blocking.started += 1
        time.sleep(LONGER)  # noqa: ASYNC251 - that is the fault
        return Blocking.started


async def test_f11_an_application_whose_loop_stands_still_keeps_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("store", "sqlite"))
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WINDLASS_LEASE", f"{LEASE}s")
    monkeypatch.setenv("WINDLASS_HEARTBEAT", "0.2s")
    async with Windlass(f"sqlite:///{tmp_path}/jobs.db", workers=4) as app:
        app.register(Blocking)
        run = await app.submit(Blocking)
        assert await run.wait(30) == 1
        again = await app.submit(Blocking)
        assert await again.wait(30) == 2
