"""Large, but within the limits: it is taken, run and told, in memory that does not grow with it."""

from __future__ import annotations

import pytest

from tests.fixtures.program import Windlass
from tests.security.stage import HEAD, OK, bounded, peak, up, written

MIB = 1024**2
MOST_MEMORY = 384 * MIB


@pytest.mark.promise("C05")
def test_five_thousand_jobs_of_a_folder_are_applied_at_once(windlass: Windlass) -> None:
    folder = windlass.folder / "jobs"
    folder.mkdir()
    for number in range(5000):
        (folder / f"{number}.yaml").write_text(OK.replace("ok", f"job-{number}", 1))
    for verdict in ("created", "unchanged"):
        applied = bounded(windlass, "job", "apply", "jobs", "--json")
        assert (applied.code, applied.stderr) == (0, "")
        assert len(applied.json()[verdict]) == 5000
    (folder / "4999.yaml").write_text(OK.replace("ok", "job-4999", 1).replace("steps", "stepz"))
    refused = windlass("job", "apply", "jobs")
    assert refused.code == 2
    assert 'jobs/4999.yaml:4:1: unknown key "stepz" in the job; did you mean "steps"?\n' in refused.stderr
    assert len(windlass("job", "list", "-n", "10000", "--json").json()) == 5000


def test_a_job_of_twenty_thousand_steps_is_checked_and_stored(windlass: Windlass) -> None:
    steps = "".join(f"- {{name: s{number}, run: 'echo {number}'}}\n" for number in range(20_000))
    written(windlass, HEAD % "many" + "steps:\n" + steps, "many.yaml")
    linted = bounded(windlass, "job", "lint", "many.yaml")
    assert (linted.code, linted.stderr) == (0, "1 job checked\n")
    assert bounded(windlass, "job", "apply", "many.yaml").code == 0
    assert bounded(windlass, "job", "apply", "many.yaml").stdout.endswith("Applied: 1 unchanged.\n")
    assert len(windlass("job", "graph", "many", "--json").json()["nodes"]) == 20_000


@pytest.mark.slow
@pytest.mark.promise("C12")
def test_a_fan_out_of_twenty_thousand_tasks_runs_to_its_join(windlass: Windlass) -> None:
    server = up(windlass)
    cells = ", ".join(map(str, range(20_000)))
    steps = f"[{{name: cell, type: fake, matrix: {{n: [{cells}]}}}}, {{name: join, type: fake, dependsOn: cell}}]"
    written(windlass, HEAD % "wide" + f"steps: {steps}\n", "wide.yaml")
    assert windlass("job", "apply", "wide.yaml").code == 0
    run = windlass("run", "start", "wide", "--quiet").stdout.strip()
    watched = windlass("run", "watch", run, "--quiet", timeout=55)
    assert watched.code == 0
    assert windlass("run", "get", run, "--json").json()["counts"] == {"completed": 20_001}
    assert peak(server) < MOST_MEMORY
