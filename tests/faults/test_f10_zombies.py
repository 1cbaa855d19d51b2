"""F10: an owner, or a part of it, stands still for longer than a lease and then goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.fixtures.scene import MakeScene
from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.errors import Unavailable

pytestmark = pytest.mark.fault("F10")
#: Seconds without a sign of life after which a worker counts as gone, and longer than that.
LEASE = 1.0
LONGER = 3 * LEASE


def stand_still(scene: Scene, *names: str) -> None:
    """Stop processes of the owner for longer than a lease."""
    pids = scene.victim.pids()
    for name in names:
        os.kill(pids[name], signal.SIGSTOP)
    end = time.monotonic() + LONGER
    until(lambda: time.monotonic() > end, "the time that it stands still")
    for name in names:
        os.kill(pids[name], signal.SIGCONT)


@pytest.mark.parametrize("names", [("owner",), ("supervisor",), ("guard",), ("owner", "guard", "supervisor")])
def test_f10_who_stood_still_goes_on_and_nothing_runs_twice(make_scene: MakeScene, names: tuple[str, ...]) -> None:
    scene = make_scene(worker_slots="4", lease=f"{LEASE}s", heartbeat="0.2s")
    scene.define(
        short=step("sleep 0.3", onWorkerLost="retry"),
        long=step("sleep 4", onWorkerLost="retry"),
        chain=[{"name": name, **step("sleep 0.2")} for name in ("a", "b")],
    )
    client = scene.victim.start()
    for job in ("short", "long", "chain"):
        scene.begin(client, job)
    until(lambda: scene.started() == 3, "the start of the steps")
    stand_still(scene, *names)
    scene.settle(client)
    assert set(scene.ends(client).values()) == {("completed", None)}
    assert scene.started() == 4
    scene.finish()


def test_f10_whoever_asks_an_owner_that_stands_still_is_not_kept_waiting_for_ever(scene: Scene) -> None:
    scene.define(short=step(":"))
    client = scene.victim.start()
    scene.begin(client, "short")
    scene.settle(client)
    owner = scene.victim.pids()["owner"]
    os.kill(owner, signal.SIGSTOP)
    impatient = Client(UnixTransport(scene.victim.socket, patience=0.5))
    with pytest.raises(Unavailable, match="takes too long"):
        impatient.call("POST", ("jobs", "short", "run"), body={}, headers={"Idempotency-Key": "one"})
    os.kill(owner, signal.SIGCONT)
    first = client.call("POST", ("jobs", "short", "run"), body={}, headers={"Idempotency-Key": "one"})
    scene.settle(client)
    newest, _ = client.get("runs")["items"]
    assert newest["id"] == first["id"]
    scene.finish()
