"""A backup of a working server, and the way back, by the real program."""

from __future__ import annotations

import pytest

from tests.e2e.stage import HEAD, accepted, apply, ended, kill, log, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("H12")
JOB = HEAD % "note" + "steps:\n  - {name: say, run: 'echo hello; echo data > kept.txt', artifacts: ['*.txt']}\n"


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
    kill(server)
    (windlass.home / "windlass.db").write_bytes(b"broken")
    broken = windlass("run", "list")
    assert (broken.code, broken.stderr.count("restore a backup with `windlass db restore`")) == (3, 1)
    restored = windlass("db", "restore", "copy")
    assert restored.code == 0, restored.stderr
    assert "1 runs" in restored.stdout
    assert [one["id"] for one in windlass("--json", "run", "list").json()] == [run]
    assert log(windlass, run) == ["say | hello"]
    assert windlass("run", "artifacts", run, "kept.txt").code == 0
    assert (windlass.folder / "kept.txt").read_text() == "data\n"
    assert windlass("db", "check").code == 0
    serve(windlass)
    ended(windlass, accepted(windlass, "note"))
