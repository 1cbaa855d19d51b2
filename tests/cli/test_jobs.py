"""`windlass job ...`: files found, checked, applied, compared, shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

ETL = """\
apiVersion: v1
kind: Job
metadata: {alias: ALIAS, title: Nightly, labels: {team: data}}
parameters: {region: {type: string, enum: [eu, us], default: eu, description: where}}
steps:
  - {name: extract, run: echo one}
  - {name: load, dependsOn: extract, run: echo two, triggerRule: all_done}
"""


def manifest(alias: str, name: str = "job.yaml", **replaced: str) -> str:
    text = ETL.replace("ALIAS", alias)
    for old, new in replaced.items():
        text = text.replace(old, new)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return name


def test_apply_says_that_a_project_is_new(cli: Cli) -> None:
    file = manifest("apply-new")
    planned = cli("job", "apply", file, "--project", "typo", "--dry-run")
    assert planned.stdout == "created    apply-new\nProject typo would be new.\nWould be: 1 created.\n"
    first = cli("job", "apply", file, "--project", "typo")
    assert first.stdout == "created    apply-new\nProject typo is new.\nApplied: 1 created.\n"
    assert cli("job", "apply", file, "--project", "typo").stdout == "unchanged  apply-new\nApplied: 1 unchanged.\n"
    assert cli("job", "apply", file, "--project", "typo2", "--json").json()["newProject"] == "typo2"


@pytest.mark.parametrize("project", ["", "Bad Proj", "../x", "*x"])
def test_a_project_that_cannot_be_is_refused_by_every_command(cli: Cli, project: str) -> None:
    for command in (["job", "list"], ["run", "list"], ["queue", "list"], ["job", "apply", manifest("apply-bad")]):
        said = cli(*command, "--project", project)
        assert (said.code, said.stdout) == (2, "")
        assert said.stderr.startswith(f'windlass: --project: "{project}" is no name of a project: small letters')


def test_all_projects_are_no_place_to_apply_to(cli: Cli) -> None:
    said = cli("job", "apply", manifest("apply-all"), "--project", "*")
    assert said.code == 2
    assert said.stderr == (
        "windlass: This is done in one project: * is none, and names all of them only where things are listed.\n"
    )
    assert cli("job", "list", "--project", "*").code == 0


@pytest.mark.promise("C05")
def test_apply_tells_what_it_did_and_does_nothing_twice(cli: Cli) -> None:
    file = manifest("apply-1")
    first = cli("job", "apply", file)
    assert (first.code, first.stdout) == (0, "created    apply-1\nApplied: 1 created.\n")
    again = cli("job", "apply", file, "--json")
    assert again.json() == {"created": [], "changed": [], "unchanged": ["apply-1"], "pruned": [], "warnings": []}
    manifest("apply-1", **{"echo one": "echo three"})
    assert cli("job", "apply", file, "--dry-run").stdout == "changed    apply-1\nWould be: 1 changed.\n"
    assert cli("job", "apply", file, "-m", "because", "--json").json()["changed"] == ["apply-1"]
    history = cli("job", "history", "apply-1", "--json").json()
    assert [(one["revision"], one["message"]) for one in history] == [(2, "because"), (1, None)]
    assert "because" in cli("job", "history", "apply-1").stdout


@pytest.mark.promise("C05")
def test_folders_globs_and_standard_input(cli: Cli) -> None:
    manifest("tree-a", "tree/a.yaml")
    manifest("tree-b", "tree/deep/er/b.yml")
    Path("tree/c.json").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Job",
                "metadata": {"alias": "tree-c"},
                "steps": [{"name": "x", "run": "true"}],
            }
        )
    )
    Path("tree/values.yaml").write_text("replicas: 3\n")
    Path("tree/readme.txt").write_text("apiVersion: v1\nkind: Job\n")
    manifest("tree-hidden", "tree/.git/d.yaml")
    whole = cli("job", "apply", "tree", "tree/a.yaml", "--json")
    assert whole.json()["created"] == ["tree-a", "tree-c", "tree-b"]
    assert whole.stderr == "left out: tree/values.yaml: it has no apiVersion and kind.\n"
    assert cli("job", "apply", "tree", "--quiet").stderr == ""
    matched = cli("job", "apply", "tree/*.yaml", "--json")
    assert matched.code == 2  # what a glob names is taken as it is
    assert matched.stderr.startswith("tree/values.yaml:1:1: ")
    assert cli("job", "apply", "tree/**/b.yml", "--json").json()["unchanged"] == ["tree-b"]
    piped = cli("job", "apply", "-", "--json", stdin=ETL.replace("ALIAS", "piped").encode())
    assert piped.json()["created"] == ["piped"]


@pytest.mark.promise("C02")
def test_what_seems_to_be_meant_as_a_manifest_is_warned_of(cli: Cli) -> None:
    Path("doubtful").mkdir()
    manifest("sound", "doubtful/a.yaml")
    Path("doubtful/case.yaml").write_text("apiVersion: v1\nKind: Job\n")
    Path("doubtful/half.yaml").write_text("kind: Job\n")
    Path("doubtful/gone.yaml").symlink_to("nowhere")
    said = cli("job", "lint", "doubtful")
    assert said.code == 0
    assert said.stderr.splitlines() == [
        "warning: left out: doubtful/case.yaml: it has no kind; Kind is written otherwise.",
        "warning: left out: doubtful/gone.yaml: it is a link that leads nowhere.",
        "warning: left out: doubtful/half.yaml: it has no apiVersion.",
        "1 job checked",
    ]


def test_a_quiet_list_names_each_thing_for_scripts(cli: Cli) -> None:
    for alias in ("first", "second"):
        cli("job", "apply", manifest(alias, f"{alias}.yaml"))
    names = cli("job", "list", "--quiet").stdout.splitlines()
    assert {"first", "second"} <= set(names)
    assert not any(" " in name for name in names)
    run = cli("run", "start", "first", "--quiet").stdout
    assert cli("run", "list", "--quiet", "--job", "first").stdout == run


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("nothing.yaml", "windlass: nothing.yaml: No such file or directory.\n"),
        ("none*.yaml", "windlass: No file matches none*.yaml.\n"),
        ("empty", "windlass: There is no manifest in empty.\n"),
        ("others", "windlass: There is no manifest in others (others/x.yaml: it has no apiVersion and kind).\n"),
    ],
)
def test_what_names_no_manifest_is_refused(cli: Cli, argument: str, message: str) -> None:
    Path("empty").mkdir()
    Path("others").mkdir()
    Path("others/x.yaml").write_text("a: 1\n")
    for command in ("apply", "lint", "diff"):
        said = cli("job", command, argument, "--quiet")
        assert (said.code, said.stderr) == (2, message)


@pytest.mark.promise("C05")
def test_lint_reports_every_error_with_its_place_on_one_line(cli: Cli) -> None:
    Path("bad.yaml").write_text(ETL.replace("ALIAS", "bad").replace("dependsOn", "dependson") + "  - {name: extract}\n")
    said = cli("job", "lint", "bad.yaml")
    assert said.code == 1
    lines = said.stdout.splitlines()
    assert len(lines) > 1
    assert all(line.startswith("bad.yaml:") for line in lines)
    assert any('did you mean "dependsOn"?' in line for line in lines)
    result = cli("job", "lint", "bad.yaml", "--json")
    assert result.code == 1
    assert {(one["file"], one["level"]) for one in result.json()["errors"]} == {("bad.yaml", "error")}
    good = cli("job", "lint", manifest("good"))
    assert (good.code, good.stdout, good.stderr) == (0, "", "1 job checked\n")


def test_apply_of_a_bad_file_changes_nothing_and_names_the_places(cli: Cli) -> None:
    manifest("held-good", "a.yaml")
    Path("b.yaml").write_text(ETL.replace("ALIAS", "held-bad").replace("kind: Job", "kind: Jb"))
    said = cli("job", "apply", "a.yaml", "b.yaml")
    assert said.code == 2
    assert said.stderr.startswith("b.yaml:2:")
    assert cli("job", "get", "held-good").code == 2
    apart = cli("job", "apply", "a.yaml", "b.yaml", "--per-document", "--json")
    assert apart.code == 1
    assert apart.json()["created"] == ["held-good"]
    assert apart.json()["held"]


@pytest.mark.promise("C05")
def test_diff_sees_every_field(cli: Cli) -> None:
    cli("job", "apply", manifest("diff-1"))
    same = cli("job", "diff", "job.yaml", "--exit-code")
    assert (same.code, same.stdout, same.stderr) == (0, "", "Nothing differs.\n")
    manifest("diff-1", **{"echo two": "echo changed", "all_done": "none_failed"})
    manifest("diff-2", "new.yaml")
    differs = cli("job", "diff", "job.yaml", "new.yaml")
    assert differs.code == 0
    assert differs.stdout.startswith("+ diff-2\n~ diff-1\n")
    assert "echo changed" in differs.stdout
    assert "none_failed" in differs.stdout
    assert cli("job", "diff", "job.yaml", "--exit-code").code == 1
    result = cli("job", "diff", "job.yaml", "--json").json()
    assert result["added"] == result["removed"] == []
    assert [one["alias"] for one in result["modified"]] == ["diff-1"]


def test_get_shows_a_job_and_its_manifest_can_be_applied(cli: Cli) -> None:
    cli("job", "apply", manifest("get-1"))
    shown = cli("job", "get", "get-1").stdout
    for text in ("get-1", "Nightly", "team=data", "region", "eu, us", "extract", "all_done"):
        assert text in shown
    job = cli("job", "get", "get-1", "--json").json()
    assert (job["alias"], job["revision"], job["author"]) == ("get-1", 1, "tester")
    assert cli("job", "get", job["id"], "--format", "yaml").stdout.startswith("id: ")
    again = cli("job", "get", "get-1", "--manifest").stdout
    assert cli("job", "apply", "-", "--json", stdin=again.encode()).json()["unchanged"] == ["get-1"]


def test_an_unknown_job_is_one_sentence_with_the_nearest_name(cli: Cli) -> None:
    cli("job", "apply", manifest("nightly-report"))
    said = cli("job", "get", "nightly-reprot")
    assert said.code == 2
    assert said.stderr.count("\n") == 1
    assert 'did you mean "nightly-report"?' in said.stderr


def test_lists_filter_and_page(cli: Cli) -> None:
    for number in range(7):
        manifest(f"page-{number}", f"p{number}.yaml", **{"team: data": "team: paging"})
    applied = cli("job", "apply", "*.yaml")
    assert applied.code == 0, applied
    label = ("--label", "team=paging")
    names = [job["alias"] for job in cli("job", "list", *label, "--json").json()]
    assert names == [f"page-{number}" for number in range(7)]
    assert len(cli("job", "list", *label, "-n", "3", "--json").json()) == 3
    table = cli("job", "list", *label).stdout.splitlines()
    assert table[0].split() == ["JOB", "REV", "STEPS", "CHANGED", "LABELS", "TITLE"]
    assert len(table) == 8
    assert cli("job", "list", "--label", "team=nobody", "--json").json() == []
    assert cli("job", "list", "--label", "team=nobody").stderr == "No job fits.\n"
    assert cli("job", "list", *label, "--project", "*", "-n", "1", "--json").json()[0]["project"] == "default"
    assert cli("job", "list", "--project", "other", "--json").json() == []


def test_delete_and_bring_back(cli: Cli) -> None:
    cli("job", "apply", manifest("gone"))
    assert cli("job", "delete", "gone").stdout == "Deleted gone.\n"
    assert cli("job", "delete", "gone").code == 2
    assert cli("job", "apply", "job.yaml", "--json").json()["created"] == ["gone"]
    assert cli("job", "delete", "gone", "--json").json()[0]["alias"] == "gone"


def test_graphs_in_every_format(cli: Cli) -> None:
    cli("job", "apply", manifest("graph-1"))
    assert cli("job", "graph", "graph-1").stdout == "● extract  shell\n● load  shell  all_done\n"
    graph: dict[str, Any] = cli("job", "graph", "graph-1", "--json").json()
    assert (graph["order"], graph["layers"]) == (["extract", "load"], [["extract"], ["load"]])
    assert cli("job", "graph", "graph-1", "--format", "mermaid").stdout.startswith("flowchart TD\n")
    assert cli("job", "graph", "graph-1", "--format", "dot").stdout.startswith('digraph "graph-1" {\n')


def test_the_schema_is_printed_without_a_store(cli: Cli) -> None:
    schema = cli("job", "schema").json()
    assert schema["title"] == "Windlass job"
    assert "| " in cli("job", "schema", "--markdown").stdout


def test_provenance_needs_a_source(cli: Cli) -> None:
    said = cli("job", "apply", manifest("from-repo"), "--commit", "abc")
    assert (said.code, said.stderr) == (2, "windlass: --commit needs --source. See `windlass job apply --help`.\n")
    cli("job", "apply", "job.yaml", "--source", "ops", "--commit", "abc")
    assert cli("job", "get", "from-repo", "--json").json()["provenance"]["commit"] == "abc"
    assert cli("job", "apply", "job.yaml", "--source", "other").code == 2
    assert cli("job", "apply", "job.yaml", "--source", "other", "--force").code == 0


def test_prune_needs_a_source(cli: Cli) -> None:
    manifest("prune-1", "one.yaml")
    said = cli("job", "apply", "one.yaml", "--prune")
    assert said.code == 2
    assert "--prune needs --source" in said.stderr
    assert cli("job", "get", "prune-1").code == 2
    assert cli("job", "apply", "one.yaml", "--prune", "--source", "ops", "--dry-run").code == 0
