"""A step type of a package that only one worker has: no other takes its steps, and people are told who lacks it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, executed, line_of
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(120)]
_PACKAGE = """\
from windlass.model.outcome import Completed
from windlass.model.steptype import StepSpec

class Deploy:
    spec = StepSpec(name="deploy", summary="Deploys.", schema={"type": "object", "additionalProperties": False,
                                                               "properties": {"to": {"type": "string"}}})

    async def run(self, context, config):
        return Completed({"to": config["to"]})
"""
_JOB = HEAD % "roll" + "steps:\n- {name: build, run: echo built}\n- {name: roll, type: deploy, config: {to: live}}\n"
Begin = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Install a package with a step type; return the environment of a program that has it."""
    facts = tmp_path / "packages" / "house_steps-1.dist-info"
    facts.mkdir(parents=True)
    (facts.parent / "house_steps.py").write_text(_PACKAGE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: house-steps\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[windlass.steps]\ndeploy = house_steps:Deploy\n")
    return {"PYTHONPATH": str(facts.parent)}


@pytest.fixture(params=["socket", "database"])
def begin(request: pytest.FixtureRequest, windlass: Windlass) -> Begin:
    """Return what starts a program and waits until it takes work: workers go by the socket, or on the database."""
    if request.param == "database":
        server: PostgresServer = request.getfixturevalue("postgres")
        request.node.user_properties.append(("store", "postgres"))
        windlass.env["WINDLASS_DATABASE_URL"] = server.url(in_a_loop(server.made()))

    def start(*command: str, **env: str) -> subprocess.Popen[str]:
        program = windlass.start(*command, env=env)
        line_of(program.stdout, "ready")
        return program

    return start


def test_only_the_worker_that_has_the_type_takes_its_steps(
    windlass: Windlass, begin: Begin, installed: dict[str, str]
) -> None:
    windlass.env |= installed
    assert executed(windlass, _JOB)["state"] == "completed", "who stores the job has the type, and works itself here"
    apply(windlass, _JOB)
    del windlass.env["PYTHONPATH"]
    server = begin("up", "--slots", "2")
    plain = begin("worker", "--slots", "2")
    run = accepted(windlass, "roll")
    until(lambda: windlass("--json", "run", "get", run).json()["counts"].get("completed") == 1, "the first step")
    why = windlass("run", "why", run)
    assert (
        'No worker that lives has the step type "deploy": install the package that brings it for a worker' in why.stdout
    )
    assert "step type deploy, and there is none: install the package" in windlass("run", "get", run).stdout
    has = begin("worker", "--slots", "1", **installed)
    found = ended(windlass, run)
    assert (found["state"], found["counts"]) == ("completed", {"completed": 2}), windlass("run", "why", run).stdout
    attempts = {one["step"]: one for one in windlass("--json", "run", "get", run).json()["tasks"]}
    name = {row["pid"]: row["name"] for row in windlass("--json", "worker", "list").json()}
    assert attempts["roll"]["attempts"][0]["worker"] == name[has.pid]
    types = {pid: windlass("--json", "worker", "get", one).json() for pid, one in name.items()}
    assert {pid: one["addedTypes"] for pid, one in types.items()} == {
        server.pid: [],
        plain.pid: [],
        has.pid: ["deploy"],
    }
    assert all("shell" in one["stepTypes"] for one in types.values())
    assert "added types  deploy" in windlass("worker", "get", name[has.pid]).stdout
    assert "ADDED TYPES" in windlass("worker", "list").stdout
    unknown = windlass("worker", "get", "nobody")
    assert (unknown.code, 'There is no worker "nobody"' in unknown.stderr) == (2, True)


def test_a_worker_whose_package_is_broken_does_not_say_that_it_has_the_type(
    windlass: Windlass, begin: Begin, installed: dict[str, str]
) -> None:
    begin("up", "--slots", "0")
    (Path(installed["PYTHONPATH"]) / "house_steps.py").write_text("import nothing_such\n")
    worker = begin("worker", "--slots", "1", **installed)
    (found,) = (row for row in windlass("--json", "worker", "list").json() if row["pid"] == worker.pid)
    assert (found["addedTypes"], "shell" in found["stepTypes"]) == ([], True)
