"""Each example does what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.fixtures.program import Windlass
from tests.repository.tree import ROOT, tracked

EXAMPLES: Final = ROOT / "examples"
_DONE = "completed"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run of an example is like."""

    file: str
    #: The state of every task, by `step` or `step[key]`.
    tasks: dict[str, str]
    #: Lines of the log, without the name of the step; in any order.
    log: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    state: str = "completed"
    outputs: dict[str, object] = field(default_factory=dict)


def _all(state: str, *steps: str) -> dict[str, str]:
    return dict.fromkeys(steps, state)


RUNS: Final = (
    Expected("chain.yaml", _all(_DONE, "first", "second", "third"), ("one", "two", "three")),
    Expected(
        "fan-out-and-join.yaml",
        _all(_DONE, "fetch", "check-spelling", "check-links", "publish"),
        ("no mistake", "no dead link", "published"),
    ),
    Expected(
        "joins.yaml",
        _all(_DONE, "source-a", "any-of-them", "nothing-broke", "sources-down")
        | _all("skipped", "source-c", "everything-came")
        | {"source-b": "failed"},
        ("something came", "skipped is fine", "nothing came from b"),
    ),
    Expected(
        "matrix.yaml",
        _all(_DONE, *(f"build[{python},{system}]" for python in ("3.11", "3.12") for system in ("x", "y")), "release"),
        ("building for Python 3.12 on x", "all are built"),
        arguments=("-p", 'systems=["x", "y"]'),
    ),
    Expected(
        "branch.yaml",
        _all(_DONE, "how-many", "one-by-one", "done") | {"in-bulk": "skipped"},
        ("loading one by one", "loaded"),
    ),
    Expected(
        "branch.yaml",
        _all(_DONE, "how-many", "in-bulk", "done") | {"one-by-one": "skipped"},
        ("loading in bulk", "loaded"),
        arguments=("-p", "rows=5000"),
    ),
    Expected(
        "conditions.yaml",
        _all(_DONE, "build", "upload", "notify") | {"full-test": "skipped"},
        ("uploading", "no warnings"),
        arguments=("-p", "environment=production"),
    ),
    Expected(
        "outputs.yaml",
        _all(_DONE, "count", "by-expression", "by-variable"),
        ("rows: 43 last: b.csv", "42 rows of 2026-01-31"),
    ),
    Expected(
        "retry.yaml",
        _all(_DONE, "ask", "use-the-answer"),
        ("not yet (attempt 1)", "not yet (attempt 2)", "answered", "thank you"),
    ),
    Expected(
        "clean-up.yaml",
        _all(_DONE, "make-room", "drop-scratch") | {"load": "failed", "report": "skipped"},
        ("the file is broken", "the scratch database is gone"),
        state="failed",
    ),
    Expected(
        "allowed-failure.yaml",
        {"spell-check": "failed", "publish": _DONE},
        ("teh is no word", "published with a mistake"),
    ),
    Expected(
        "fail-fast.yaml", {"short": "failed"} | _all("cancelled", "long", "after-short", "after-long"), state="failed"
    ),
    Expected(
        "parameters.yaml",
        _all(_DONE, "show", "by-variable"),
        ('rows eu 2026-02-28 3 0.5 true ["a","b"] 7', "rows, the token is in no variable"),
        arguments=tuple(
            part
            for pair in ("name=rows", "day=2026-02-28", "copies=3", "dry=true", 'tags=["a", "b"]', 'limits={"rows": 7}')
            for part in ("-p", pair)
        ),
    ),
    Expected(
        "secrets.yaml",
        {"log-in": _DONE},
        ("plain: ***", "encoded: ***", "its length: 12"),
        env={"GREETING": "swordfish-42"},
    ),
    Expected("wait.yaml", _all(_DONE, "switch", "settle", "check"), ("switched", "settled")),
    Expected(
        "limits.yaml",
        _all(_DONE, "fetch[1]", "fetch[2]", "fetch[3]", "report"),
        ("page 1 of us", "page 3 of us", "reported"),
        arguments=("-p", "region=us"),
    ),
    Expected("sla.yaml", _all(_DONE, "work")),
    Expected("cache.yaml", _all(_DONE, "extract", "count"), ("working for a while", "42 rows"), outputs={"rows": 42}),
    Expected("timeout.yaml", {"hang": "timeout", "after": _DONE}, ("cleaned up after timeout",), state="failed"),
    Expected("process.yaml", _all(_DONE, "show-limits", "no-shell"), ("64", "10", "blue", "/tmp", "$HOME; * `date`")),  # noqa: S108 - a folder that is there
    Expected(
        "scripted.yaml",
        _all(_DONE, "deploy", "roll-back") | {"smoke-test": "failed"},
        ("deploying", "back to version 6"),
    ),
    Expected("defaults.yaml", _all(_DONE, "plain", "other"), ("en 1", "de 1")),
    Expected("hello.json", {"greet": _DONE}, ("hello there",), arguments=("-p", "who=there")),
    Expected(
        "python-step/invoices.yaml",
        _all(_DONE, "add-up", "check"),
        ("2 prices of Saturday, 31 January",),
        outputs={"fine": True},
    ),
    Expected(
        "orders.yaml",
        _all(_DONE, "extract", "load", "report", "clean-up"),
        ("asking for the orders of us", "loading 42 rows", "rows: 42"),
        arguments=("-p", "region=us"),
    ),
)
_TRIED_ELSEWHERE: Final = {
    "artifacts.yaml",
    "child-runs.yaml",
    "code-atlas/atlas.yaml",
    "event-wait.yaml",
    "two-jobs.yaml",
    "worker-lost.yaml",
}


def log_lines(windlass: Windlass, run: str) -> list[str]:
    """Return the lines of a run's log, without the names of steps."""
    return [line.partition(" | ")[2] for line in windlass("run", "logs", run).stdout.splitlines()]


@pytest.mark.promise("C05")
@pytest.mark.promise("C12")
@pytest.mark.parametrize("expected", RUNS, ids=lambda expected: " ".join((expected.file, *expected.arguments[:2])))
def test_an_example_runs_as_it_says(expected: Expected, windlass: Windlass) -> None:
    answer = windlass("exec", EXAMPLES / expected.file, "--json", *expected.arguments, env=expected.env)
    assert answer.code == (0 if expected.state == _DONE else 1), answer.stdout + answer.stderr
    run = answer.json()
    assert run["state"] == expected.state
    assert run["outputs"].items() >= expected.outputs.items()
    nodes = windlass("run", "graph", run["id"], "--json").json()["nodes"]
    states = {
        node["name"] + (f"[{task['key']}]" if task["key"] else ""): task["state"]
        for node in nodes
        for task in node["tasks"]
    }
    assert states == expected.tasks
    found = log_lines(windlass, run["id"])
    assert [line for line in expected.log if line not in found] == [], found


def test_every_example_is_tried() -> None:
    listed = {expected.file for expected in RUNS} | _TRIED_ELSEWHERE
    assert listed == {
        str(file.relative_to("examples")) for file in tracked(".yaml", ".yml", ".json") if file.parts[0] == "examples"
    }


@pytest.mark.promise("C05")
def test_all_examples_lint_clean(windlass: Windlass) -> None:
    answer = windlass("job", "lint", EXAMPLES)
    told = [line.rpartition(": ")[2] for line in answer.stdout.splitlines()]
    assert (answer.code, told) == (0, ["sealed storage of secret parameters"]), answer.stdout + answer.stderr


@pytest.mark.promise("C05")
def test_all_examples_can_be_stored_at_once_and_again(windlass: Windlass) -> None:
    first = windlass("job", "apply", EXAMPLES, "--json").json()
    assert {"ingest", "digest", "hello", "code-atlas"} <= set(map(_alias, first["created"]))
    again = windlass("job", "apply", EXAMPLES, "--json").json()
    assert (again["created"], again["changed"]) == ([], [])
    assert len(again["unchanged"]) == len(first["created"])


def _alias(entry: object) -> str:
    return entry["alias"] if isinstance(entry, dict) else str(entry)


def test_a_file_with_two_jobs_is_refused_by_exec(windlass: Windlass) -> None:
    answer = windlass("exec", EXAMPLES / "two-jobs.yaml")
    assert answer.code == 2
    assert "two-jobs.yaml holds 2 jobs (ingest, digest)" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), 'missing parameter "name"'),
        (("-p", "name=Rows"), "name"),
        (("-p", "name=rows", "-p", "copies=11"), "copies"),
        (("-p", "name=rows", "-p", "copie=1"), 'did you mean "copies"'),
        (("-p", "name=rows", "-p", "region=mars"), "region"),
        (("-p", "name=rows", "-p", 'limits={"note": "x"}'), "rows"),
    ],
)
@pytest.mark.promise("C05")
def test_what_a_run_may_not_be_given_is_refused(arguments: tuple[str, ...], said: str, windlass: Windlass) -> None:
    answer = windlass("exec", EXAMPLES / "parameters.yaml", *arguments)
    assert answer.code == 2
    assert said in answer.stderr
    assert windlass("run", "list", "--json").json() in ([], {"items": [], "cursor": None})


@pytest.mark.promise("C12")
def test_what_an_example_keeps_can_be_fetched(windlass: Windlass) -> None:
    run = windlass("exec", EXAMPLES / "artifacts.yaml", "--json").json()
    kept = windlass("run", "artifacts", run["id"], "--json").json()
    assert {file["name"] for file in kept} == {"tables/orders.csv", "artifacts.yaml"}
    fetched = windlass("run", "artifacts", run["id"], "tables/orders.csv", "--output", "-")
    assert fetched.stdout == "name,rows\norders,42\n"


@pytest.mark.promise("K08")
def test_an_example_starts_a_run_of_another_job(windlass: Windlass) -> None:
    assert windlass("job", "apply", EXAMPLES / "child-runs.yaml").code == 0
    serving(windlass)
    run = windlass("run", "start", "child-runs", "--json").json()["id"]
    assert windlass("run", "watch", run).code == 0
    (child,) = windlass("run", "get", run, "--json").json()["children"]
    assert windlass("run", "logs", child["id"]).stdout.splitlines()[0].endswith("looking at links")
    assert log_lines(windlass, run) == ["2 mistakes"]


def test_an_example_waits_for_an_event(windlass: Windlass) -> None:
    assert windlass("job", "apply", EXAMPLES / "event-wait.yaml").code == 0
    run = windlass("run", "start", "event-wait", "--json").json()["id"]
    assert windlass("event", "send", "deploy.done", "--source", "ci", "-p", "version=7").code == 0
    serving(windlass)
    assert windlass("run", "watch", run).code == 0
    assert log_lines(windlass, run) == ["version 7 is there"]


@pytest.mark.promise("H07")
def test_an_example_goes_on_after_its_server_was_killed(windlass: Windlass) -> None:
    server = serving(windlass)
    windlass("job", "apply", EXAMPLES / "worker-lost.yaml")
    run = windlass("run", "start", "worker-lost", "--json").json()
    assert any("copy started" in line for line in following(windlass, run["id"]))
    server.kill()
    server.wait()
    serving(windlass)
    watched = windlass("run", "watch", run["id"])
    assert (watched.code, "copy started, attempt 2" in watched.stdout) == (0, True), watched.stdout
    assert "copied in attempt 2" in log_lines(windlass, run["id"])


def serving(windlass: Windlass) -> subprocess.Popen[str]:
    """Return a server that takes work."""
    server = windlass.start("up")
    assert server.stdout is not None
    assert any(line.startswith("ready") for line in server.stdout)
    return server


def following(windlass: Windlass, run: str) -> Iterator[str]:
    """Yield what `run watch` prints, as it does."""
    watching = windlass.start("run", "watch", run)
    assert watching.stdout is not None
    yield from watching.stdout
