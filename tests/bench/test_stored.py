"""A history that is written in bulk is one that the engine could have written."""

from __future__ import annotations

from bench.stored import fill, patterns
from tests.e2e.stage import accepted, apply, ended, serve
from tests.fixtures.program import Windlass
from windlass.clock import from_text
from windlass.ids import parse_id

_JOB = """\
apiVersion: v1
kind: Job
metadata: {alias: %s}
steps: [{name: only, run: "%s"}]
"""


def test_rows_written_in_bulk_are_sound_and_found(windlass: Windlass) -> None:
    apply(windlass, _JOB % ("good", "true"))
    apply(windlass, _JOB % ("bad", "exit 3"))
    server = serve(windlass)
    runs = [ended(windlass, accepted(windlass, alias)) for alias in ("good", "bad")]
    assert [run["state"] for run in runs] == ["completed", "failed"]
    server.terminate()
    server.communicate()
    path = windlass.home / "windlass.db"
    last = from_text(runs[0]["createdAt"]) // 1000 - 1000
    known = patterns(path, [parse_id(run["id"]) or b"" for run in runs])
    fill(path, known, 300, first=last - 3_600_000, last=last)
    assert windlass("db", "check").code == 0
    listed = windlass("--json", "run", "list", "--limit", "400").json()
    assert len(listed) == len({one["id"] for one in listed}) == 302
    times = [one["createdAt"] for one in listed]
    assert times == sorted(times, reverse=True)
    failed = windlass("--json", "run", "list", "--state", "failed", "--limit", "400").json()
    assert len(failed) == 151
    old = windlass("--json", "run", "get", failed[-1]["id"]).json()
    assert (old["job"], old["error"]) == ("bad", runs[1]["error"])
    assert windlass("--json", "job", "get", "bad", "--statistics").json()["counts"] == {"failed": 151}
