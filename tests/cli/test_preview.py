"""`job preview`: what a run would do, before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.program import Answer

HIDDEN = "***"
MANIFEST = """
apiVersion: v1
kind: Job
metadata: {alias: greet}
parameters:
  who: {type: string, default: world}
  token: {type: string, secret: true}
steps:
  - name: say
    run: echo "hello ${{ parameters.who }}"
    env: {TOKEN: "secret://env/GREETING_TOKEN"}
    next: [tell, never, many]
  - {name: tell, run: "echo ${{ steps.say.outputs.x }}"}
  - {name: never, when: "${{ parameters.who == 'nobody' }}", run: echo never}
  - {name: many, matrix: {n: [1, 2]}, run: "echo ${{ matrix.n }}"}
"""


@pytest.mark.promise("C05")
def test_preview_shows_what_a_run_would_do_and_starts_nothing(windlass: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "greet.yaml"
    file.write_text(MANIFEST)
    assert windlass("job", "apply", file).code == 0
    hostile = "$(touch marker)"
    found = windlass("job", "preview", "greet", "-p", f"who={hostile}", "-p", "token=hush-hush", "--json").json()
    steps = {step["name"]: step for step in found["steps"]}
    say = steps["say"]["cells"][0]
    assert hostile in say["variables"].values()
    assert hostile not in say["config"]["run"]
    assert found["secrets"] == ["secret://env/GREETING_TOKEN"]
    assert found["parameters"]["token"] == HIDDEN
    assert steps["tell"]["cells"][0]["rendered"] is False
    assert "say" in steps["tell"]["cells"][0]["reason"]
    assert steps["never"]["cells"][0]["runs"] is False
    assert [cell["config"]["run"] for cell in steps["many"]["cells"]] == ["echo 1", "echo 2"]
    assert found["tasks"] == 5
    assert found["lastRun"] is None
    assert windlass("run", "list", "--json").json() == []


@pytest.mark.promise("C05")
def test_preview_tells_what_changed_since_the_last_run(windlass: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "greet.yaml"
    file.write_text(MANIFEST)
    windlass("job", "apply", file)
    assert windlass("run", "start", "greet", "-p", "who=ann").code == 0
    file.write_text(MANIFEST.replace("hello", "good day"))
    windlass("job", "apply", file)
    last = windlass("job", "preview", "greet", "-p", "who=bob", "--json").json()["lastRun"]
    assert last["revision"] == 1
    assert any("good day" in change["line"] for change in last["changes"])
    assert last["parameters"]["who"] == {"before": "ann", "now": "bob"}


def test_preview_refuses_wrong_parameters_like_a_start(windlass: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "greet.yaml"
    file.write_text(MANIFEST)
    windlass("job", "apply", file)
    answer = windlass("job", "preview", "greet", "-p", "whom=x")
    assert answer.code == 2
    assert 'did you mean "who"?' in answer.stderr
