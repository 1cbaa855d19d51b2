"""Templates by the installed program: applied, used by jobs of other files, filled at apply."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, accepted, ended, log, serve
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
    assert windlass("job", "lint", "hello.yaml", "greet.yaml").code == 0
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
