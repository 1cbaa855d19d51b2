"""Applications in Python: their jobs go to processes that have their code, and to nobody else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, line_of, serve
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(120)]

SHOP = """import os
from windlass import Windlass, job

app = Windlass()


@job(requires={"labels": {"os": "linux"}, **%r})
def who() -> dict:
    return {"pid": os.getpid()}


app.register(who)
"""
ASK = """import asyncio
import shop
from windlass import Windlass


async def main():
    async with Windlass(name="shop", workers=0) as asking:
        print((await asking.submit(shop.who)).id)


asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "postgres", "postgres-http"])
def way(windlass: Windlass, request: pytest.FixtureRequest) -> str:
    """Name the store of `windlass`, and return how workers come to its tasks."""
    found = str(request.param)
    if found != "sqlite":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        request.node.user_properties.append(("store", "postgres"))
        windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(in_a_loop(postgres.empty()))
    return found


def asked(windlass: Windlass) -> str:
    """Submit a run from a process that does no work, and return its id."""
    done = subprocess.run(
        [sys.executable, "ask.py"], cwd=windlass.folder, env=windlass.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_code_of_an_application_waits_for_a_process_that_has_it(windlass: Windlass, way: str) -> None:
    server = windlass.start("up", env={"WINDLASS_WORKER_SLOTS": "1"})
    address = line_of(server.stdout, "ready").split()[1]
    there = {"WINDLASS_URL": address, "WINDLASS_DATABASE_URL": "memory://"} if way == "postgres-http" else {}
    line_of(windlass.start("worker", env=there).stdout, "ready")
    # Where another process owns the store, who submits says that its code is to be run by the application, not by it.
    (windlass.folder / "shop.py").write_text(SHOP % ({"app": "shop"} if way == "sqlite" else {}))
    (windlass.folder / "ask.py").write_text(ASK)
    run = asked(windlass)
    job = windlass("--json", "job", "get", "who").json()
    assert job["definition"]["requires"] == {"labels": {"os": "linux"}, "app": "shop"}
    waits = windlass("--json", "run", "get", run).json()
    assert (waits["state"], waits["waitingFor"]["worker"]["app"], waits["waitingFor"]["others"]) == (
        "queued",
        "shop",
        2,
    )
    told = 'It waits for a worker with the application "shop": start it with `windlass worker --app MODULE:NAME'
    assert told in windlass("run", "why", run).stdout
    assert "application shop" in windlass("doctor").stdout
    started = windlass("run", "start", "who")
    assert "waits for a worker with the application shop that serves queue default" in started.stderr
    worker = windlass.start("worker", "--app", "shop:app", env=there)
    line_of(worker.stdout, "ready")
    found = ended(windlass, run)
    assert (found["state"], found["outputs"]) == ("completed", {"pid": worker.pid})
    listed = {one["pid"]: one["apps"] for one in windlass("--json", "worker", "list").json()}
    assert (listed[worker.pid], listed[server.pid]) == (["shop"], [])


def test_a_script_submits_what_a_worker_of_its_file_runs(windlass: Windlass, postgres: PostgresServer) -> None:
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(in_a_loop(postgres.empty()))
    script = SHOP % {} + (
        "async def main():\n    async with Windlass(workers=0) as asking:\n"
        "        print((await asking.submit(who)).id)\n\n\n"
        "if __name__ == '__main__':\n    import asyncio\n    asyncio.run(main())\n"
    )
    (windlass.folder / "ask.py").write_text(script)
    run = asked(windlass)
    worker = windlass.start("worker", "--app", "ask:app")
    line_of(worker.stdout, "ready")
    found = ended(windlass, run)
    assert (found["state"], found["outputs"]) == ("completed", {"pid": worker.pid})
    assert worker.pid != os.getpid()


def test_an_application_in_a_manifest_is_a_requirement_like_others(windlass: Windlass) -> None:
    serve(windlass)
    apply(windlass, HEAD % "who" + "requires: {app: shop}\nsteps: [{name: a, run: 'true'}]\n")
    assert "requires:\n  app: shop\n" in windlass("job", "get", "who", "--manifest").stdout
    run = accepted(windlass, "who")
    assert windlass("--json", "run", "get", run).json()["waitingFor"]["worker"]["app"] == "shop"
    (windlass.folder / "job.yaml").write_text(
        HEAD % "wrong" + "requires: {labels: {windlass/app/shop: '1'}}\nsteps: [{name: a, run: 'true'}]\n"
    )
    refused = windlass("job", "lint", "job.yaml")
    assert (refused.code, "write requires.app: shop" in refused.stdout + refused.stderr) == (1, True)
