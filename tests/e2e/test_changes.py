"""Definitions as they change: defaults, several jobs a file, every field compared, runs that stay with theirs."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, events, line_of, log, serve, states
from tests.fixtures.program import Windlass

#: Each field of a job that a user may change, with another value than that of `_BASE`.
_CHANGES: Final[dict[str, Any]] = {
    "metadata.title": "Other",
    "metadata.labels": {"team": "ops"},
    "metadata.annotations": {"owner": "other"},
    "metadata.category": "other",
    "description": "other",
    "parameters.region.default": "us",
    "parameters.region.enum": ["eu", "us", "ap"],
    "triggers.0.configuration.cron": "0 3 * * *",
    "triggers.0.configuration.timezone": "Europe/Paris",
    "callbacks.0.on": ["failed", "timeout"],
    "callbacks.0.configuration.url": "https://chat.example/other",
    "queue": "other",
    "requires": {"labels": {"os": "other"}},
    "priority": "low",
    "timeout": "3h",
    "concurrency.limit": 2,
    "concurrency.strategy": "skip",
    "rateLimits.0.limit": 7,
    "sla.duration": "91m",
    "failFast": True,
    "maxParallelTasks": 5,
    "retention.runs.days": 31,
    "defaults.env.TZ": "CET",
    "defaults.logQuota": "32MiB",
    "defaults.retry.attempts": 4,
    "defaults.timeout": "31m",
    "steps.0.run": "echo other",
    "steps.0.env.ROWS": "43",
    "steps.0.artifacts": ["other/*"],
    "steps.0.matrix.n": [1, 2, 3],
    "steps.0.next": ["third"],
    "steps.1.when": "${{ parameters.region == 'us' }}",
    "steps.1.retry.delay": "6s",
    "steps.1.retry.on": ["exit:75"],
    "steps.1.timeout": "11m",
    "steps.1.triggerRule": "all_done",
    "steps.1.allowFailure": True,
    "steps.1.onWorkerLost": "retry",
    "steps.1.cache.ttl": "25h",
    "steps.3.name": "renamed",
    "steps.3.dependsOn": ["second"],
    "steps.2.config.command": ["echo", "other"],
    "steps.2.config.limits.cpu_seconds": 11,
}
_MINIMAL: Final = (
    HEAD % "minimal"
    + """\
steps:
  - {name: first, run: exit 1}
  - {name: second, run: "true"}
"""
)


def _base(alias: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {
            "alias": alias,
            "title": "Nightly",
            "labels": {"team": "data"},
            "annotations": {"owner": "us"},
            "category": "reporting",
        },
        "description": "as it was",
        "parameters": {"region": {"type": "string", "enum": ["eu", "us"], "default": "eu"}},
        "triggers": [{"type": "cron", "configuration": {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}}],
        "callbacks": [
            {"type": "notification", "on": ["failed"], "configuration": {"url": "https://chat.example/hook"}}
        ],
        "queue": "default",
        "requires": {"labels": {"os": "linux"}},
        "priority": "high",
        "timeout": "2h",
        "concurrency": {"limit": 1, "strategy": "queue"},
        "rateLimits": [{"resource": "api", "limit": 100, "window": "1m"}],
        "sla": {"duration": "90m"},
        "failFast": False,
        "maxParallelTasks": 4,
        "retention": {"runs": {"days": 30}},
        "defaults": {"retry": {"attempts": 3}, "timeout": "30m", "env": {"TZ": "UTC"}, "logQuota": "64MiB"},
        "steps": [
            {
                "name": "first",
                "run": "echo first",
                "env": {"ROWS": "42"},
                "artifacts": ["out/*"],
                "matrix": {"n": [1, 2]},
                "next": ["second", "third"],
            },
            {
                "name": "second",
                "run": "echo second",
                "when": "${{ parameters.region == 'eu' }}",
                "retry": {"attempts": 2, "delay": "5s", "on": ["exit"]},
                "timeout": "10m",
                "triggerRule": "all_success",
                "allowFailure": False,
                "onWorkerLost": "fail",
                "cache": {"ttl": "24h"},
            },
            {
                "name": "third",
                "type": "process",
                "config": {"command": ["echo", "third"], "limits": {"cpu_seconds": 10}},
            },
            {"name": "fourth", "run": "echo fourth", "dependsOn": ["second", "third"]},
        ],
    }


def _changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the same document with another value in one place, which must be there already."""
    place: Any = document
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in way:
        place = place[key]
    assert place[last] != value, path
    place[last] = value
    return document


@pytest.mark.promise("C05")
@pytest.mark.parametrize("served", [False, True], ids=["alone", "served"])
def test_diff_sees_a_change_of_any_one_field(windlass: Windlass, served: bool) -> None:
    if served:
        serve(windlass)
    folder = windlass.folder / "jobs"
    folder.mkdir()
    jobs = {f"job-{number}": change for number, change in enumerate(_CHANGES.items())}
    for alias in jobs:
        (folder / f"{alias}.json").write_text(json.dumps(_base(alias)))
    applied = windlass("--json", "job", "apply", folder)
    assert sorted(applied.json()["created"]) == sorted(jobs), applied.stderr
    same = windlass("job", "diff", folder, "--exit-code")
    assert (same.code, same.stdout) == (0, "")
    for alias, (path, value) in jobs.items():
        (folder / f"{alias}.json").write_text(json.dumps(_changed(_base(alias), path, value)))
    differs = windlass("--json", "job", "diff", folder, "--exit-code")
    assert differs.code == 1
    found = {one["alias"]: one["changes"] for one in differs.json()["modified"]}
    assert sorted(path for alias, (path, _) in jobs.items() if alias not in found) == []
    assert all(found[alias] for alias in jobs)
    whole = windlass("--json", "job", "apply", folder).json()
    assert sorted(whole["changed"]) == sorted(jobs)
    assert windlass("job", "diff", folder, "--exit-code").code == 0


@pytest.mark.promise("C05")
def test_files_folders_globs_and_standard_input_are_the_same_to_every_command(windlass: Windlass) -> None:
    deep = windlass.folder / "jobs" / "deep"
    deep.mkdir(parents=True)
    (deep / "one.yml").write_text(HEAD % "one" + "steps: [{name: a, run: echo}]\n")
    (deep.parent / "two.json").write_text(json.dumps(_base("two")))
    piped = HEAD % "piped" + "steps: [{name: a, run: echo}]\n"
    for command in ("lint", "diff", "apply"):
        for argument, stdin in (("jobs", ""), ("jobs/deep/one.yml", ""), ("jobs/**/*.yml", ""), ("-", piped)):
            said = windlass("job", command, argument, stdin=stdin)
            assert (said.code, "Traceback" in said.stderr) == (0, False), (command, argument, said.stderr)
    assert [job["alias"] for job in windlass("--json", "job", "list").json()] == ["one", "piped", "two"]
    shown = windlass("job", "get", "two", "--manifest").stdout
    assert windlass("--json", "job", "apply", "-", stdin=shown).json()["unchanged"] == ["two"]
    assert windlass("job", "lint", "-", stdin=piped.replace("steps", "stepz")).code == 1
    assert windlass("--json", "job", "schema").json()["$schema"].startswith("https://json-schema.org/")


@pytest.mark.promise("C01")
def test_what_a_manifest_leaves_out_has_its_default(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _MINIMAL)
    serve(windlass)
    run = ended(windlass, accepted(windlass, "minimal"))
    assert (run["priority"], run["queue"], run["parameters"], run["labels"]) == (5, "default", {}, {})
    assert states(windlass, run["id"]) == {"first": "failed", "second": "skipped"}
    tasks = api("GET", f"runs/{run['id']}/steps")["items"]
    assert [(task["type"], task["attempt"], task["maxAttempts"]) for task in tasks] == [
        ("shell", 1, 1), ("shell", 0, 1),
    ]  # fmt: skip


@pytest.mark.promise("C01")
def test_a_file_may_hold_several_jobs_and_what_lints_clean_applies(windlass: Windlass) -> None:
    text = "---\n".join(HEAD % f"job-{number}" + "steps: [{name: a, run: echo}]\n" for number in range(3))
    (windlass.folder / "jobs.yaml").write_text(text)
    linted = windlass("job", "lint", "jobs.yaml")
    assert (linted.code, linted.stderr) == (0, "3 jobs checked\n")
    created = windlass("--json", "job", "apply", "jobs.yaml").json()["created"]
    assert created == ["job-0", "job-1", "job-2"]
    (windlass.folder / "twice.yaml").write_text(text + "---\n" + HEAD % "job-1" + "steps: [{name: b, run: echo}]\n")
    twice = windlass("job", "lint", "twice.yaml")
    assert (twice.code, "job-1" in twice.stdout) == (1, True), twice.stdout


@pytest.mark.promise("C03")
@pytest.mark.promise("O04", part="runs")
def test_a_running_run_keeps_its_revision_when_the_job_changes_or_goes(windlass: Windlass) -> None:
    go = windlass.folder / "go"
    text = (
        HEAD % "changing"
        + f"""\
steps:
  - {{name: hold, run: 'echo ready; until [ -e {go} ]; do sleep 0.05; done'}}
  - {{name: say, run: echo WORD}}
"""
    )
    apply(windlass, text.replace("WORD", "old"))
    serve(windlass)
    run = accepted(windlass, "changing")
    following = windlass.start("run", "logs", "--follow", run, "--step", "hold")
    line_of(following.stdout, "ready")
    apply(windlass, text.replace("WORD", "new").replace("say", "tell"))
    newer = accepted(windlass, "changing")
    assert windlass("job", "delete", "changing").code == 0
    go.touch()
    for one, revision, step, word in ((run, 1, "say", "old"), (newer, 2, "tell", "new")):
        found = ended(windlass, one)
        assert (found["state"], found["revision"]) == ("completed", revision)
        assert log(windlass, one, "--step", step) == [word]
    assert len(events(windlass, run, "task.completed")) == 2


@pytest.mark.promise("C04", part=("prune", "protected labels"))
def test_prune_takes_what_its_source_no_longer_has_and_nothing_protected(windlass: Windlass) -> None:
    steps = "steps: [{name: a, run: echo}]\n"
    kept = (HEAD % "kept").replace("alias: kept", "alias: kept, labels: {windlass/protected: 'true'}")
    apply(windlass, HEAD % "by-hand" + steps)
    (windlass.folder / "all.yaml").write_text("---\n".join((HEAD % "a" + steps, HEAD % "b" + steps, kept + steps)))
    (windlass.folder / "less.yaml").write_text(HEAD % "a" + steps)
    windlass("job", "apply", "all.yaml", "--source", "ops")
    pruned = windlass("--json", "job", "apply", "less.yaml", "--source", "ops", "--prune").json()
    assert (pruned["unchanged"], pruned["pruned"]) == (["a"], ["b"])
    assert "kept" in pruned["warnings"][0]
    assert [job["alias"] for job in windlass("--json", "job", "list").json()] == ["a", "by-hand", "kept"]
    assert windlass("run", "start", "b").code == 2
