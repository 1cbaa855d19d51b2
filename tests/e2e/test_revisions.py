"""Revisions by the installed program: compared, gone back to, named by tags, run by name."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, log, serve
from tests.fixtures.program import Windlass


def _job(word: str) -> str:
    return HEAD % "etl" + f"steps: [{{name: say, run: echo {word}}}]\n"


@pytest.mark.promise("O04", part=("history", "comparison", "rollback", "tags", "runs"))
def test_revisions_are_named_compared_run_and_gone_back_to(windlass: Windlass) -> None:
    for word in ("one", "two"):
        apply(windlass, _job(word))
    assert windlass("job", "tag", "etl", "stable", "1").stdout == "etl@stable is revision 1.\n"
    compared = windlass("job", "compare", "etl@stable", "etl")
    assert compared.stdout.splitlines()[:2] == ["--- etl@1", "+++ etl@2"]
    assert "-    run: echo one" in compared.stdout.splitlines()
    structured = windlass("--json", "job", "compare", "etl", "--left", "1", "--right", "2").json()
    assert [change["path"] for change in structured["changes"]] == [["steps", "say", "config", "run"]]
    assert windlass("job", "compare", "etl@2", "--exit-code").stderr == "Nothing differs.\n"
    assert windlass("job", "compare", "etl", "--exit-code").code == 1

    serve(windlass)
    old = accepted(windlass, "etl@stable")
    assert (ended(windlass, old)["revision"], log(windlass, old, "--raw")) == (1, ["one"])
    back = windlass("job", "rollback", "etl", "stable", "-m", "two is wrong")
    assert back.stdout == "etl is at revision 3, with the content of revision 1.\n"
    newest = accepted(windlass, "etl")
    assert (ended(windlass, newest)["revision"], log(windlass, newest, "--raw")) == (3, ["one"])
    history = windlass("--json", "job", "history", "etl").json()
    assert [(one["revision"], one["message"], one["tags"]) for one in history] == [
        (3, "two is wrong", []), (2, None, []), (1, None, ["stable"]),
    ]  # fmt: skip
    assert windlass("job", "tag", "etl", "stable").stdout == "etl@stable is revision 3; it was 1.\n"
    assert windlass("job", "tag", "etl", "stable", "--delete").stdout == "etl@stable is gone; it was revision 3.\n"
    gone = windlass("run", "start", "etl@stable")
    assert (gone.code, gone.stderr.count("\n")) == (2, 1)
