"""Workers on a database without any server: commands see that they work, follow what they do, and delete what ended."""

from __future__ import annotations

from pathlib import Path
from subprocess import run as done

import pytest

from tests.faults.fleet.database import Database
from tests.faults.fleet.fleet import Fleet, FleetScene
from tests.fixtures.fleet import MakeFleet
from tests.fixtures.program import PROGRAM, program_environment
from tests.oracle.crash import until
from tests.oracle.scene import step

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(240)]


class Commands:
    """Commands with a home of their own, on the database of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        """Take the fleet's database."""
        self._folder = fleet.folder
        self._env = program_environment(fleet.folder / "apart", fleet.folder) | fleet.ledger.environment()
        self._env["WINDLASS_DATABASE_URL"] = str(fleet.url)

    def __call__(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        """Return what a command prints and what it says beside that; it ends with `code`."""
        command = [PROGRAM, *arguments]
        found = done(command, env=self._env, cwd=self._folder, capture_output=True, text=True, timeout=100, check=False)
        assert found.returncode == code, found.stdout + found.stderr
        return found.stdout, found.stderr


@pytest.fixture
def fleet(make_fleet: MakeFleet, pg: Database) -> Fleet:
    return make_fleet(pg.make(), servers=1, lease="10s", heartbeat="1s")


def test_a_live_run_is_deleted_where_only_workers_are(fleet: Fleet) -> None:
    scene, windlass = FleetScene(fleet), Commands(fleet)
    worker = fleet.add_worker_on_database(worker_slots="2")
    worker.join()
    scene.define(long=step("exec sleep 98765.$TOKEN"), short=step(":"))
    assert "running" in windlass("worker", "list")[0]
    run = windlass("run", "start", "long", "--quiet")[0].strip()
    until(lambda: scene.started() == 1, "the start of the step")
    assert windlass("run", "start", "short", "--wait", "--quiet")[0]
    _, told = windlass("run", "delete", run)
    assert "deleted once it has ended; Ctrl-C stops waiting" in told
    assert "There is no run" in windlass("run", "get", run, code=2)[1]
    assert worker.stop() == 0
    assert not fleet.ledger.living()


def test_nobody_waits_where_nobody_works(fleet: Fleet) -> None:
    scene, windlass = FleetScene(fleet), Commands(fleet)
    worker = fleet.add_worker_on_database(worker_slots="2")
    worker.join()
    scene.define(long=step("exec sleep 98765.$TOKEN"))
    run = windlass("run", "start", "long", "--quiet")[0].strip()
    until(lambda: scene.started() == 1, "the start of the step")
    worker.kill("owner")
    nobody = "is asked to stop, and deleted once it has ended. Nobody works on runs"
    until(lambda: nobody in windlass("run", "delete", run, "--no-wait")[0], "the end of its lease", pace=0.2)
    assert nobody in windlass("run", "delete", run)[0]
    assert "Nobody works on runs" in windlass("run", "watch", run, code=3)[1]
