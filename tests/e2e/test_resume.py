"""Runs that are resumed, by the whole program."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, rows, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("W02")
_CHAIN: Final = f"""\
{HEAD % "chain"}steps:
  - name: extract
    run: |
      echo extracted >> "$WINDLASS_PARAM_FOLDER/log"
      echo '##windlass::output {{"rows": 42}}'
  - name: load
    run: |
      echo "loading ${{{{ steps.extract.outputs.rows }}}}" >> "$WINDLASS_PARAM_FOLDER/log"
      test -e "$WINDLASS_PARAM_FOLDER/mended"
  - name: tell
    run: echo told >> "$WINDLASS_PARAM_FOLDER/log"
"""


def effects(windlass: Windlass) -> list[str]:
    """Return what the steps of all runs did, in order."""
    return (windlass.folder / "log").read_text().splitlines()


def failed(windlass: Windlass) -> str:
    """Return a run whose second step failed."""
    apply(windlass, _CHAIN)
    serve(windlass, 1)
    run = accepted(windlass, "chain", "-p", f"folder={windlass.folder}")
    assert ended(windlass, run)["state"] == "failed"
    return run


def test_a_run_goes_on_where_it_failed(windlass: Windlass) -> None:
    run = failed(windlass)
    planned = windlass("--json", "run", "resume", run, "--dry-run").json()
    assert planned["parameters"] == {"folder": str(windlass.folder)}
    shown = windlass("run", "resume", run, "--dry-run").stdout
    assert "It keeps 1 of 3 tasks and does load, tell again." in shown
    assert [line.split()[0] for line in shown.splitlines()[1:4]] == ["extract", "load", "tell"]
    (windlass.folder / "mended").touch()
    resumed = windlass("run", "resume", run, "--wait")
    assert resumed.code == 0, resumed.stdout + resumed.stderr
    assert effects(windlass) == ["extracted", "loading 42", "loading 42", "told"]
    new = windlass("--json", "run", "list").json()[0]["id"]
    assert f"kept from run {run[:13]}" in " ".join(rows(windlass, new)["extract"])
    assert f"kept from run {run[:13]}" in windlass("run", "graph", new).stdout


def test_a_retry_from_a_step_does_only_what_comes_from_there_on(windlass: Windlass, api: Socket) -> None:
    run = failed(windlass)
    again = windlass("--json", "run", "retry", run, "--from", "tell")
    assert again.code == 0, again.stderr
    assert ended(windlass, again.json()["id"])["state"] == "failed"
    assert effects(windlass) == ["extracted", "loading 42", "loading 42"]
    plan = api("POST", f"runs/{run}/resume", {"from": "extract", "dryRun": True})
    assert (plan["kept"], plan["again"]) == (0, 3)
    status, content = api.raw("POST", f"runs/{run}/resume", b'{"from": "lood"}')
    assert status == 404
    assert b'did you mean \\"load\\"' in content
    wrong = windlass("run", "retry", run, "--dry-run")
    assert (wrong.code, wrong.stderr.count("\n")) == (2, 1)


def test_a_note_stays_with_a_run(windlass: Windlass, api: Socket) -> None:
    run = failed(windlass)
    assert windlass("run", "note", run, "the disk was full").code == 0
    assert "the disk was full" in windlass("run", "get", run).stdout
    assert api("PUT", f"runs/{run}/note", {"note": "mended"})["note"] == "mended"
    assert windlass("run", "note", run, "").code == 0
    assert windlass("--json", "run", "get", run).json()["note"] is None
