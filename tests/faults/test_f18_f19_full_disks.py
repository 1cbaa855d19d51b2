"""F18 and F19: the disk of the database, or of the files, is full while an owner works; later there is room."""

from __future__ import annotations

import resource

import pytest

from tests.oracle.crash import until
from tests.oracle.load import TALK
from tests.oracle.scene import Scene, step
from windlass.client.client import Client
from windlass.errors import Unavailable

MIB = 1024 * 1024
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def submit(client: Client, scene: Scene, job: str, key: str) -> None:
    """Start a run under a key."""
    run = client.call("POST", ("jobs", job, "run"), body={}, headers={"Idempotency-Key": key})
    scene.accepted.append(bytes.fromhex(run["id"].replace("-", "")))


def refused(client: Client, scene: Scene, job: str) -> str:
    """Start runs until one is refused, for free pages are used up first; return the sentence that says so."""
    said: list[str] = []

    def ask() -> bool:
        try:
            submit(client, scene, job, f"{job}-{len(scene.accepted)}")
        except Unavailable as error:
            said.append(str(error))
        return bool(said)

    until(ask, "the refusal of a run")
    return said[0]


@pytest.mark.fault("F18")
@pytest.mark.promise("H07")
def test_f18_a_database_that_cannot_grow_refuses_loses_nothing_and_goes_on(scene: Scene) -> None:
    full = scene.folder / "full"
    talk = "i=1; while [ $i -le 3000 ]; do echo line $i; i=$((i+1)); done"
    scene.define(
        quick=step(":"),
        talk=step(f'until [ -e "{full}" ]; do sleep 0.05; done; {talk}'),
        slow=[{"name": "a", **step("sleep 1")}, {"name": "b", **step(":")}],
    )
    client = scene.victim.start_doomed(FULL=str(full))
    assert client is not None
    talking = scene.begin(client, "talk")
    scene.begin(client, "slow")
    until(lambda: scene.started() == 2, "the start of the steps")
    full.touch()
    assert "full" in refused(client, scene, "quick")
    assert client.get("runs", talking)["state"] == "running"
    until(lambda: scene.said("end") >= 2, "the end of both steps")
    full.unlink()
    submit(client, scene, "quick", "last")
    scene.settle(client)
    assert set(scene.ends(client).values()) == {("completed", None)}
    assert b"".join(client.read("runs", talking, "logs")) == TALK
    scene.finish()


@pytest.mark.fault("F18")
@pytest.mark.promise("H07")
def test_f18_a_disk_that_takes_no_byte_more_stops_nothing_for_good(scene: Scene) -> None:
    scene.define(quick=step(":"), slow=[{"name": "a", **step("sleep 1")}, {"name": "b", **step(":")}])
    client = scene.victim.start()
    scene.begin(client, "slow")
    until(lambda: scene.started() == 1, "the start of the step")
    owner = scene.victim.pids()["owner"]
    log = scene.victim.database.with_name("windlass.db-wal")
    resource.prlimit(owner, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
    assert refused(client, scene, "quick")
    until(lambda: scene.said("end") == 1, "the end of the step")
    assert client.get("runs", limit=1)["items"]
    resource.prlimit(owner, resource.RLIMIT_FSIZE, UNLIMITED)
    until(lambda: _takes(client, scene), "the next run that is accepted")
    scene.settle(client)
    assert set(scene.ends(client).values()) == {("completed", None)}
    scene.finish()


def _takes(client: Client, scene: Scene) -> bool:
    try:
        submit(client, scene, "quick", "after")
    except Unavailable:
        return False
    return True


@pytest.mark.fault("F19")
def test_f19_artifacts_that_do_not_fit_fail_their_step_alone(scene: Scene) -> None:
    scene.define(
        large={**step("head -c 8000000 /dev/zero > large.txt; echo made"), "artifacts": ["*.txt"]},
        small={**step("echo small > small.txt"), "artifacts": ["*.txt"]},
    )
    client = scene.victim.start()
    scene.begin(client, "small")
    scene.settle(client)
    owner = scene.victim.pids()["owner"]
    resource.prlimit(owner, resource.RLIMIT_FSIZE, (4 * MIB, resource.RLIM_INFINITY))
    large = scene.begin(client, "large")
    scene.begin(client, "small")
    scene.settle(client)
    assert scene.ends(client) == {"large": ("failed", "task_failed"), "small": ("completed", None)}
    (task,) = client.get("runs", large, "steps")["items"]
    assert "artifacts cannot be kept" in task["error"]["message"]
    assert "File too large" in b"".join(client.read("runs", large, "logs")).decode()
    resource.prlimit(owner, resource.RLIMIT_FSIZE, UNLIMITED)
    again = scene.begin(client, "large")
    scene.settle(client)
    assert client.get("runs", again)["state"] == "completed"
    assert list((scene.victim.home / "artifacts").glob("*/.partial-*")) == []
    scene.finish()
