"""Runs that are deleted, by the whole program."""

from __future__ import annotations

from typing import Final

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, serve
from tests.fixtures.program import Windlass

_JOBS: Final = f"""\
{HEAD % "good"}steps:
  - {{name: say, run: "echo word; echo file > kept.txt", artifacts: ["*.txt"]}}
---
{HEAD % "slow"}steps:
  - {{name: sleep, run: "exec sleep 1000"}}
"""


def test_runs_are_deleted_with_all_they_left_live_ones_too(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass, 1)
    run = accepted(windlass, "good")
    ended(windlass, run)
    assert (windlass.home / "artifacts" / run).exists()
    slow = accepted(windlass, "slow")
    assert windlass("run", "delete", run, slow).code == 0
    assert not (windlass.home / "artifacts" / run).exists()
    assert windlass("--json", "run", "list").json() == []
    assert api.raw("DELETE", f"runs/{run}")[0] == 404
    third = accepted(windlass, "good", "--in", "1h")
    assert api.raw("DELETE", f"runs/{third}") == (204, b"")
