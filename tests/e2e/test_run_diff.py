"""Two runs compared by the installed program."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, serve
from tests.fixtures.program import Windlass

_JOB = (
    HEAD % "etl"
    + """\
parameters: {rows: {type: integer}, token: {type: string, secret: true, default: hush}}
steps:
  - name: load
    run: |
      echo "loading WORD"
      echo "##windlass::output {\\"rows\\": $ROWS}"
      [ "$ROWS" -lt 5 ]
    env: {ROWS: "${{ parameters.rows }}", TOKEN: "${{ parameters.token }}"}
  - {name: after, run: echo done}
"""
)


@pytest.mark.promise("W04")
def test_runs_are_compared_in_all_that_they_did(windlass: Windlass) -> None:
    serve(windlass)
    apply(windlass, _JOB.replace("WORD", "one"))
    first = accepted(windlass, "etl", "-p", "rows=1", "-p", "token=abc")
    again = accepted(windlass, "etl", "-p", "rows=1", "-p", "token=xyz")
    apply(windlass, _JOB.replace("WORD", "two"))
    other = accepted(windlass, "etl", "-p", "rows=7", "-p", "token=abc")
    for run in (first, again, other):
        ended(windlass, run)
    same = windlass("run", "diff", first, again, "--logs", "--exit-code")
    assert (same.code, "Nothing but times differs." in same.stdout) == (0, True), same.stdout
    found = windlass("--json", "run", "diff", first, other, "--logs", "--exit-code")
    diff = found.json()
    assert (found.code, diff["differs"]) == (1, True)
    assert diff["state"] == {"left": "completed", "right": "failed"}
    assert diff["parameters"] == {"rows": {"left": 1, "right": 7}}
    assert [change["path"] for change in diff["definition"]] == [["steps", "load", "config", "run"]]
    load, after = diff["tasks"]
    assert load["facts"]["exitCode"] == {"left": 0, "right": 1}
    assert load["outputs"] == {"rows": {"left": 1, "right": 7}}
    assert {"-loading one", "+loading two"} < set(load["logs"]["lines"])
    assert after["facts"]["state"] == {"left": "completed", "right": "skipped"}
    shown = windlass("run", "diff", first, other, "--logs").stdout
    assert "step load: output rows: 1 -> 7\n" in shown
    assert "abc" not in shown
    missing = windlass("run", "diff", first, "0" * 32)
    assert (missing.code, missing.stderr.count("\n")) == (2, 1)
