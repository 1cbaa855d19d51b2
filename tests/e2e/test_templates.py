"""Templates by the installed program: applied, used by jobs of other files, filled at apply."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, ended, log, serve
from tests.fixtures.program import Windlass

_TEMPLATE = """\
apiVersion: v1
kind: JobTemplate
metadata: {name: greet}
parameters: {who: {type: string}}
spec:
  steps:
    - {name: say, run: 'echo "hello ${{ parameters.who }}"'}
"""
_JOB = HEAD % "hello" + "from: {template: greet, with: {who: 'you; exit 3'}}\n"


@pytest.mark.promise("O01", part="templates")
def test_jobs_are_made_from_a_template_that_is_stored_or_beside_them(windlass: Windlass) -> None:
    (windlass.folder / "greet.yaml").write_text(_TEMPLATE)
    (windlass.folder / "hello.yaml").write_text(_JOB)
    alone = windlass("job", "apply", "hello.yaml")
    assert (alone.code, 'there is no template "greet"; apply it first' in alone.stderr) == (2, True), alone.stderr
    linted = windlass("job", "lint", "hello.yaml", "greet.yaml")
    assert (linted.code, linted.stderr) == (0, "1 job, 1 job template checked\n")
    assert windlass("--json", "job", "apply", "greet.yaml").json()["created"] == ["JobTemplate/greet"]
    assert windlass("--json", "job", "apply", "hello.yaml").json()["created"] == ["hello"]
    serve(windlass)
    run = accepted(windlass, "hello")
    assert ended(windlass, run)["state"] == "completed"
    assert log(windlass, run, "--raw") == ["hello you; exit 3"]
    other = windlass("run", "start", "hello", "-p", "who=me")
    assert (other.code, "who must be" in other.stderr) == (2, True), other.stderr
    (windlass.folder / "greet.yaml").write_text(_TEMPLATE.replace("hello", "good day"))
    assert windlass("--json", "job", "apply", "greet.yaml").json()["changed"] == ["JobTemplate/greet"]
    assert windlass("--json", "job", "get", "hello").json()["revision"] == 1
    assert windlass("--json", "job", "apply", "hello.yaml").json()["changed"] == ["hello"]


@pytest.mark.promise("O01", part="templates")
def test_stored_templates_are_listed_shown_and_deleted(windlass: Windlass, api: Socket) -> None:
    (windlass.folder / "greet.yaml").write_text(_TEMPLATE)
    (windlass.folder / "hello.yaml").write_text(_JOB)
    assert windlass("template", "list").stderr.startswith("There are no templates")
    assert windlass("job", "apply", "greet.yaml", "hello.yaml").code == 0
    assert windlass("template", "list").stdout.splitlines()[1].split()[:3] == ["greet", "who", "1"]
    shown = windlass("template", "get", "greet").stdout
    assert "who:" in shown
    assert 'echo "hello ${{ parameters.who }}"' in shown
    serve(windlass)
    (found,) = api("GET", "templates")["items"]
    assert (found["name"], found["parameters"]) == ("greet", {"who": {"type": "string"}})
    assert api("GET", "templates/greet") == found == windlass("--json", "template", "get", "greet").json()
    near = windlass("template", "get", "great")
    assert (near.code, near.stderr.count("\n"), 'did you mean "greet"?' in near.stderr) == (2, 1, True)
    assert windlass("template", "delete", "greet").stdout == "Deleted greet.\n"
    assert api.raw("GET", "templates/greet")[0] == 404
    assert ended(windlass, accepted(windlass, "hello"))["state"] == "completed"
