"""F21: another program holds the write lock of the database for longer than anybody waits for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.oracle.crash import until
from tests.oracle.scene import Scene, step
from windlass.errors import Unavailable


@pytest.mark.slow
@pytest.mark.fault("F21")
@pytest.mark.promise("H07")
def test_f21_a_lock_that_somebody_else_holds_is_waited_for_and_nothing_is_lost(scene: Scene) -> None:
    scene.define(quick=step(":"), slow=[{"name": "a", **step("sleep 1")}, {"name": "b", **step(":")}])
    client = scene.victim.start()
    scene.begin(client, "slow")
    until(lambda: scene.started() == 1, "the start of the step")
    with closing(sqlite3.connect(scene.victim.database, isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            client.call("POST", ("jobs", "quick", "run"), body={}, headers={"Idempotency-Key": "key"})
        assert client.get("runs", limit=1)["items"][0]["state"] == "running"
        until(lambda: scene.said("end") == 1, "the end of the step")
        other.execute("ROLLBACK")
    run = client.call("POST", ("jobs", "quick", "run"), body={}, headers={"Idempotency-Key": "key"})
    scene.accepted.append(bytes.fromhex(run["id"].replace("-", "")))
    scene.settle(client)
    assert scene.ends(client) == {"slow": ("completed", None), "quick": ("completed", None)}
    assert scene.started() == 3
    scene.finish()
