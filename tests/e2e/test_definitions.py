"""Jobs from files to the store and back, as a user keeps them: lint, apply, history."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Final

import pytest

from tests.fixtures.program import Windlass
from tests.repository.tree import ROOT

EXAMPLES: Final = sorted((ROOT / "examples").glob("*.yaml"))
_GOOD: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: good}
steps:
  - name: say
    run: echo "WORD"
"""
_BAD: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: bad}
stepz: []
priority: hgh
steps:
  - name: one
    run: echo 1
    nxt: two
  - name: two
    run: echo 2
    dependsOn: [on]
  - name: two
    run: echo 3
"""
_FINDINGS: Final = [
    'bad.yaml:4:1: unknown key "stepz" in the job; did you mean "steps"?',
    (
        "bad.yaml:5:11: priority must be one of critical, high, normal, low, or an integer from 1 to 15, "
        'not "hgh"; did you mean "high"?'
    ),
    'bad.yaml:9:5: unknown key "nxt" in the step; did you mean "next"?',
    'bad.yaml:12:17: dependsOn names an unknown step "on"; did you mean "one"?',
    'bad.yaml:13:11: duplicate step name "two"',
]

_MEANINGLESS: Final = """\
apiVersion: v2
kind: Jop
metadata: {alias: meaning}
triggers:
  - {type: cron, configuration: {cron: "61 2 * * *", timezone: Europe/Berlin}}
  - {type: cron, configuration: {cron: "0 2 * * *", timezone: Europe/Berlyn}}
  - {type: crn, configuration: {cron: "0 2 * * *"}}
steps:
  - {name: one, run: "true", next: two}
  - {name: two, run: "true", next: [three, three]}
  - {name: three, run: "true", next: one, triggerRule: all_don}
  - {name: four, run: "true", dependsOn: [four, none]}
"""
#: Where each finding of it stands, and how it begins.
_MEANINGS: Final = (
    '1:13: apiVersion must be v1, not "v2"',
    '2:7: unknown kind "Jop"; did you mean "Job"?',
    '5:40: "61 2 * * *" is no cron expression',
    '6:63: unknown time zone "Europe/Berlyn"; did you mean "Europe/Berlin"?',
    '7:12: type must be one of cron, http, event, manual, not "crn"',
    "9:5: the steps wait for each other in a cycle: one -> two -> three -> one",
    '10:44: next names "three" twice',
    "11:56: triggerRule must be one of",
    '12:43: dependsOn of "four" names the step itself',
    '12:49: dependsOn names an unknown step "none"; did you mean "one"?',
)


def _write(windlass: Windlass, word: str = "hello") -> Path:
    path = windlass.folder / "good.yaml"
    path.write_text(_GOOD.replace("WORD", word))
    return path


def _aliases(windlass: Windlass) -> list[str]:
    return [job["alias"] for job in windlass("--json", "job", "list").json()]


@pytest.mark.promise("C01")
def test_every_example_lints_clean_and_applies_once(windlass: Windlass) -> None:
    linted = windlass("job", "lint", *EXAMPLES)
    assert linted.code == 0, linted.stdout + linted.stderr
    first = windlass("--json", "job", "apply", *EXAMPLES).json()
    assert len(first["created"]) >= len(EXAMPLES)
    assert first["changed"] == first["unchanged"] == []
    second = windlass("--json", "job", "apply", *EXAMPLES).json()
    assert second["created"] == second["changed"] == []
    assert sorted(second["unchanged"]) == sorted(first["created"])
    assert sorted(name for name in first["created"] if "/" not in name) == sorted(_aliases(windlass))


@pytest.mark.promise("C02")
def test_all_mistakes_are_found_at_once_each_at_its_place(windlass: Windlass) -> None:
    (windlass.folder / "bad.yaml").write_text(_BAD)
    linted = windlass("job", "lint", "bad.yaml")
    assert linted.code == 1
    assert [line for line in linted.stdout.splitlines() if line.startswith("bad.yaml:")] == _FINDINGS
    told = windlass("--json", "job", "lint", "bad.yaml")
    assert told.code == 1
    assert [f"{e['file']}:{e['line']}:{e['column']}: {e['message']}" for e in told.json()["errors"]] == _FINDINGS
    applied = windlass("job", "apply", "bad.yaml")
    assert applied.code != 0
    assert all(finding in applied.stdout + applied.stderr for finding in _FINDINGS)
    assert _aliases(windlass) == []


@pytest.mark.promise("C02")
def test_versions_kinds_triggers_zones_edges_cycles_and_joins_are_checked_together(windlass: Windlass) -> None:
    (windlass.folder / "meaning.yaml").write_text(_MEANINGLESS)
    linted = windlass("job", "lint", "meaning.yaml")
    assert linted.code == 1
    errors = [line for line in linted.stdout.splitlines() if ": warning: " not in line]
    assert len(errors) == len(_MEANINGS)
    for error, expected in zip(errors, _MEANINGS, strict=True):
        assert error.startswith(f"meaning.yaml:{expected}")


@pytest.mark.promise("C03")
def test_apply_stores_all_or_nothing(windlass: Windlass) -> None:
    (windlass.folder / "bad.yaml").write_text(_BAD)
    good = _write(windlass)
    assert windlass("job", "apply", good, "bad.yaml").code != 0
    assert _aliases(windlass) == []
    assert windlass("job", "apply", good).code == 0
    _write(windlass, "other")
    assert windlass("job", "apply", good, "bad.yaml").code != 0
    assert [item["revision"] for item in windlass("--json", "job", "history", "good").json()] == [1]


@pytest.mark.promise("C03")
def test_apply_again_makes_no_revision(windlass: Windlass) -> None:
    good = _write(windlass)
    assert windlass("--json", "job", "apply", good).json()["created"] == ["good"]
    good.write_text("# a comment is no change\n" + good.read_text())
    assert windlass("--json", "job", "apply", good).json()["unchanged"] == ["good"]
    assert [item["revision"] for item in windlass("--json", "job", "history", "good").json()] == [1]


@pytest.mark.promise("C03")
def test_a_job_stays_with_its_source_unless_forced(windlass: Windlass) -> None:
    good = _write(windlass)
    assert windlass("job", "apply", good, "--source", "ours").code == 0
    _write(windlass, "other")
    refused = windlass("job", "apply", good, "--source", "theirs")
    assert refused.code != 0
    assert "ours" in refused.stderr
    assert "--force" in refused.stderr
    assert len(windlass("--json", "job", "history", "good").json()) == 1
    assert windlass("job", "apply", good, "--source", "theirs", "--force").code == 0
    history = windlass("--json", "job", "history", "good").json()
    assert [item["revision"] for item in history] == [2, 1]
    assert [item["provenance"]["source"] for item in history] == ["theirs", "ours"]


@pytest.mark.promise("O04", part=("history", "runs"))
def test_history_tells_who_and_why_and_runs_stay_on_their_revision(windlass: Windlass) -> None:
    good = _write(windlass, "as it was")
    windlass("job", "apply", good, "-m", "a first word", env={"USER": "somebody"})
    before = windlass("--json", "run", "start", "good").json()
    _write(windlass, "as it is")
    windlass("job", "apply", good, "-m", "a better word")
    after = windlass("--json", "run", "start", "good").json()
    pinned = windlass("--json", "run", "start", "good", "--revision", "1").json()
    history = windlass("--json", "job", "history", "good").json()
    assert [(item["revision"], item["message"]) for item in history] == [(2, "a better word"), (1, "a first word")]
    assert {item["author"] for item in history} == {pwd.getpwuid(os.geteuid()).pw_name}
    assert [run["revision"] for run in (before, after, pinned)] == [1, 2, 1]
    server = windlass.start("up")
    assert server.stdout is not None
    assert server.stdout.readline().startswith("ready")
    said = {}
    for run in (before, after, pinned):
        assert windlass("run", "watch", run["id"]).code == 0
        said[run["id"]] = windlass("run", "logs", run["id"], "--step", "say").stdout.strip()
    assert list(said.values()) == ["as it was", "as it is", "as it was"]


@pytest.mark.promise("O05", part="enabled")
def test_a_disabled_job_starts_no_run_until_it_is_enabled_again(windlass: Windlass) -> None:
    windlass("job", "apply", _write(windlass))
    before = windlass("--json", "run", "start", "good").json()
    assert windlass("job", "disable", "good").code == 0
    refused = windlass("run", "start", "good")
    assert (refused.code, refused.stdout) == (2, "")
    assert 'Job "good" is disabled' in refused.stderr
    assert [job["alias"] for job in windlass("--json", "job", "list", "--disabled").json()] == ["good"]
    assert windlass("job", "enable", "good").code == 0
    after = windlass("--json", "run", "start", "good").json()
    assert [run["id"] for run in windlass("--json", "run", "list").json()] == [after["id"], before["id"]]
