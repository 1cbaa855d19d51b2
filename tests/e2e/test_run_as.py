"""Steps that run as another user: they reach their own folders and nothing of the server's."""

from __future__ import annotations

import os
from typing import Final

import pytest

from tests.fixtures.program import Windlass
from windlass.engine.workspace import place_of_others

_MANIFEST: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: other}
steps:
  - name: other
    type: shell
    artifacts: [kept/*]
    config:
      run: |
        id -un
        cat "$WINDLASS_CONTEXT" > /dev/null
        stat -c '%U %a' . "$HOME" "$TMPDIR" "$WINDLASS_ARTIFACTS"
        mkdir kept && echo kept > kept/one && echo offered > "$WINDLASS_ARTIFACTS/two"
        touch "$HOME/mine" "$TMPDIR/mine"
        echo '{"user": "'$(id -un)'"}' > "$WINDLASS_OUTPUT"
        mv "$HOME/.." elsewhere && exit 9
        ls "$SERVER" && exit 9
        true
      run_as: nobody
    env: {SERVER: "HOME_OF_SERVER"}
"""


@pytest.mark.promise("C14", part="processes")
def test_a_step_runs_as_another_user_in_folders_of_his(windlass: Windlass) -> None:
    (windlass.folder / "other.yaml").write_text(_MANIFEST.replace("HOME_OF_SERVER", str(windlass.home)))
    applied = windlass("job", "apply", "other.yaml")
    assert applied.code == 0, applied.stderr
    server = windlass.start("up")
    assert server.stdout is not None
    assert any(line.startswith("ready") for line in server.stdout)
    started = windlass("--json", "run", "start", "other", "--wait")
    run = windlass("--json", "run", "get", started.json()["id"]).json()
    if os.geteuid() != 0:
        assert (started.code, run["state"]) == (1, "failed")
        assert "may not be started" in run["error"]["message"]
        return
    logs = windlass("run", "logs", run["id"]).stdout
    assert (started.code, run["state"], run["outputs"]) == (0, "completed", {"user": "nobody"}), logs
    said = [line.split(" | ")[-1] for line in logs.splitlines()]
    assert said[:5] == ["nobody", *["nobody 700"] * 4]
    kept = windlass("--json", "run", "artifacts", run["id"]).json()
    assert {one["name"]: one["size"] for one in kept} == {"kept/one": 5, "two": 8}
    server.terminate()
    server.communicate()
    place = place_of_others(windlass.home / "attempts")
    assert list(place.iterdir()) == []
    place.rmdir()
