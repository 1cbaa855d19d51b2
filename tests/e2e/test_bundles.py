"""Jobs in bulk by the installed program: out, in, converted."""

from __future__ import annotations

import json

import pytest

from tests.e2e.stage import HEAD, apply
from tests.fixtures.program import Windlass

_STEPS = "steps: [{name: a, run: echo}]\n"
_ODD = HEAD % "odd" + "description: '1e3'\nparameters: {a: {default: '0o14'}, b: {default: '-.5'}}\n" + _STEPS


def _digests(windlass: Windlass, project: str) -> dict[str, str]:
    listed = windlass("--json", "job", "list", "--project", project).json()
    return {job["alias"]: job["digest"] for job in listed}


@pytest.mark.promise("O01", part="bulk")
def test_what_is_exported_and_imported_has_the_same_digests(windlass: Windlass) -> None:
    labelled = (HEAD % "two").replace("alias: two", "alias: two, labels: {team: data}") + _STEPS
    apply(windlass, "---\n".join((HEAD % "one" + _STEPS, labelled, _ODD)))
    windlass("job", "disable", "two")
    digests = _digests(windlass, "default")
    bundle, manifests = windlass("job", "export", "--json").stdout, windlass("job", "export").stdout
    for project, text in (("from-bundle", bundle), ("from-manifests", manifests)):
        dry = windlass("--json", "job", "import", "-", "--dry-run", "--project", project, stdin=text)
        assert (sorted(dry.json()["created"]), _digests(windlass, project)) == (["odd", "one", "two"], {})
        done = windlass("--json", "job", "import", "-", "--project", project, stdin=text)
        assert (sorted(done.json()["created"]), done.json()["lost"]) == (["odd", "one", "two"], []), done.stderr
        assert _digests(windlass, project) == digests
        assert windlass("--json", "job", "import", "-", "--project", project, stdin=text).json()["changed"] == []
    disabled = windlass("--json", "job", "list", "--disabled", "--project", "from-bundle").json()
    assert [job["alias"] for job in disabled] == ["two"]
    chosen = windlass("--json", "job", "export", "-l", "team=data").json()
    assert [job["alias"] for job in chosen["jobs"]] == ["two"]


@pytest.mark.promise("O01", part="bulk")
def test_an_import_is_all_or_nothing_and_changes_only_what_it_may(windlass: Windlass) -> None:
    apply(windlass, HEAD % "here" + _STEPS)
    other = HEAD % "here" + "steps: [{name: b, run: echo}]\n"
    both = "---\n".join((HEAD % "new" + _STEPS, other))
    refused = windlass("job", "import", "-", stdin=both)
    assert (refused.code, "is there with other content" in refused.stderr) == (2, True)
    assert list(_digests(windlass, "default")) == ["here"]
    bad = windlass("job", "import", "-", "--overwrite", stdin=both.replace("name: b", "nam: b"))
    assert (bad.code, list(_digests(windlass, "default"))) == (2, ["here"])
    done = windlass("--json", "job", "import", "-", "--overwrite", "-m", "why", stdin=both).json()
    assert (done["created"], done["changed"]) == (["new"], ["here"])
    assert windlass("--json", "job", "history", "here").json()[0]["message"] == "why"
    odd = windlass("job", "import", "-", stdin=json.dumps({"format": "windlass/bundle/v9", "jobs": []}))
    assert (odd.code, "no bundle of the format" in odd.stderr) == (2, True)


@pytest.mark.promise("O01", part="bulk")
def test_an_export_of_opsconductor_is_converted_and_imported(windlass: Windlass) -> None:
    nodes = [
        {"id": "start", "type": "flow.start", "data": {"trigger_type": "scheduled"}},
        {"id": "ping", "type": "action.command", "data": {"command": "ping {{host}}", "target": "localhost"}},
    ]
    edges = [{"source": "start", "target": "ping", "condition": "always"}]
    job = {"name": "Server Check", "parameters": {"host": {"type": "string"}}, "nodes": nodes, "edges": edges}
    (windlass.folder / "export.json").write_text(json.dumps({"format_version": "1.0", "jobs": [job]}))
    shown = windlass("job", "convert", "export.json")
    assert (shown.code, "run: ping ${{ parameters.host }}" in shown.stdout) == (0, True)
    assert "warning: Server Check: it was started by a scheduled trigger: write one" in shown.stderr
    imported = windlass("--json", "job", "import", "export.json").json()
    assert (imported["created"], len(imported["lost"])) == (["server-check"], 1)
    (windlass.folder / "canonical.yaml").write_text(shown.stdout)
    assert windlass("--json", "job", "apply", "canonical.yaml").json()["unchanged"] == ["server-check"]
