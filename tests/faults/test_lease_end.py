"""A worker that cannot reach the store stops what may start elsewhere before its lease ends, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, serve
from tests.fixtures.program import Windlass
from tests.oracle.crash import until

pytestmark = [pytest.mark.promise("H07"), pytest.mark.fault("F21"), pytest.mark.timeout(120)]
STEPS = """steps:
  - name: again
    onWorkerLost: retry
    run: |
      trap 'echo stopped >> {ledger}; exit 1' TERM
      echo again >> {ledger}
      [ "$WINDLASS_ATTEMPT" = 2 ] || while :; do sleep 0.05; done
  - name: once
    dependsOn: []
    run: |
      echo once >> {ledger}
      until [ -e {go} ]; do sleep 0.05; done
  - name: last
    dependsOn: [again, once]
    run: echo last >> {ledger}
"""


def test_what_may_start_elsewhere_is_stopped_while_the_store_is_out_of_reach(
    windlass: Windlass, tmp_path: Path
) -> None:
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    ledger.touch()
    apply(windlass, HEAD % "two" + STEPS.format(ledger=ledger, go=go))
    serve(windlass, WINDLASS_HEARTBEAT="1s", WINDLASS_LEASE="4s")
    run = accepted(windlass, "two")
    until(lambda: len(ledger.read_text().split()) == 2, "both steps")
    with closing(sqlite3.connect(windlass.home / "windlass.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another program holds the database: no heartbeat gets through
        until(lambda: "stopped" in ledger.read_text(), "the end of the step that may start again")
        assert sorted(ledger.read_text().split()) == ["again", "once", "stopped"]
        other.execute("ROLLBACK")
    until(lambda: ledger.read_text().split().count("again") == 2, "its second attempt")
    go.touch()
    assert ended(windlass, run)["state"] == "completed"
    assert ledger.read_text().split()[-1] == "last"
    attempts = Socket(windlass.home)("GET", f"runs/{run}/executions")["items"]
    assert sorted((one["step"], one["number"], one["outcome"]) for one in attempts) == [
        ("again", 1, "lost"),
        ("again", 2, "completed"),
        ("last", 1, "completed"),
        ("once", 1, "completed"),
    ]
