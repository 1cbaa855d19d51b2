"""A backup of a working server, and the way back, by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, log, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("H12")
JOB = HEAD % "note" + "steps:\n  - {name: say, run: 'echo hello; echo data > kept.txt', artifacts: ['*.txt']}\n"


@pytest.mark.timeout(240)
def test_a_backup_is_taken_while_runs_are_worked_on_and_those_go_on_elsewhere(
    windlass: Windlass, tmp_path: Path
) -> None:
    steps = "".join(f"  - {{name: s{number}, run: 'sleep 0.1; echo {number}'}}\n" for number in range(4))
    apply(windlass, HEAD % "chain" + "steps:\n" + steps)
    serve(windlass, slots=2)
    api = Socket(windlass.home)
    runs = [api("POST", "jobs/chain/run", {})["id"] for _ in range(16)]
    made = windlass("--json", "db", "backup", "copy")
    assert made.code == 0, made.stderr
    assert made.json()["rows"]["runs"] == 16
    assert made.json()["rows"]["queue"] > 0  # not all had ended
    for run in runs:
        assert ended(windlass, run)["state"] == "completed"
    other = Windlass(tmp_path / "elsewhere", windlass.folder)
    try:
        assert other("db", "restore", "copy").code == 0
        assert other("db", "check").code == 0
        serve(other)
        found = [ended(other, run) for run in runs]
        # What was running when the copy was made is lost with its worker; nothing else is.
        assert {run["state"] for run in found} <= {"completed", "failed"}
        assert sum(run["state"] == "failed" for run in found) <= 2
        assert [run["id"] for run in found] == runs
    finally:
        other.close()


def test_a_server_is_backed_up_and_restored(windlass: Windlass) -> None:
    apply(windlass, JOB)
    server = serve(windlass)
    run = accepted(windlass, "note")
    ended(windlass, run)
    made = windlass("--json", "db", "backup", "copy")
    assert made.code == 0, made.stderr
    note = made.json()
    assert (note["rows"]["runs"], note["files"], note["path"]) == (1, 1, str(windlass.folder / "copy"))
    assert windlass("db", "backup", "copy").code == 2
    ended(windlass, accepted(windlass, "note"))
    refused = windlass("db", "restore", "copy")
    assert (refused.code, refused.stderr.count("in use by process")) == (3, 1)
    assert refused.stderr.endswith(": stop the server first.\n")
    kill(server)
    (windlass.folder / "notes.txt").write_text("no database\n" * 100)
    wrong = windlass("db", "restore", "notes.txt")
    assert wrong.code == 3
    assert f"{windlass.folder / 'notes.txt'} cannot be read as a database" in wrong.stderr
    (windlass.home / "windlass.db").write_bytes(b"broken")
    broken = windlass("run", "list")
    assert (broken.code, broken.stderr.count("restore a backup with `windlass db restore`")) == (3, 1)
    restored = windlass("db", "restore", "copy")
    assert restored.code == 0, restored.stderr
    assert ": 1 run." in restored.stdout
    assert [one["id"] for one in windlass("--json", "run", "list").json()] == [run]
    assert log(windlass, run) == ["say | hello"]
    assert windlass("run", "artifacts", run, "kept.txt").code == 0
    assert (windlass.folder / "kept.txt").read_text() == "data\n"
    assert windlass("db", "check").code == 0
    serve(windlass)
    ended(windlass, accepted(windlass, "note"))
