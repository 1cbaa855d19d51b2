"""Dead letters by the command line and over HTTP: listed, queued again, gone from the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, serve
from tests.fixtures.program import Windlass

pytestmark = pytest.mark.promise("H05", part="dead letters")


def flaky(mended: Path) -> str:
    """Return jobs: one that fails until a file is there, and one that always does, in a queue of its own."""
    return f"""\
{HEAD % "flaky"}steps:
  - {{name: ask, run: "test -e {mended}", retry: {{attempts: 2, delay: 0}}}}
---
{HEAD % "broken"}queue: side
steps:
  - {{name: ask, run: exit 3}}
"""


def test_a_task_that_failed_for_good_is_listed_and_queued_again(windlass: Windlass, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    apply(windlass, flaky(mended))
    server = serve(windlass)
    runs = [accepted(windlass, "flaky"), accepted(windlass, "broken")]
    for run in runs:
        ended(windlass, run)
    kill(server)
    serve(windlass)
    letters = windlass("--json", "queue", "dead").json()
    assert [(one["runId"], one["job"], one["step"], one["attempt"]) for one in letters] == [
        (runs[1], "broken", "ask", 1),
        (runs[0], "flaky", "ask", 2),
    ]
    assert [one["job"] for one in windlass("--json", "queue", "dead", "--queue", "side").json()] == ["broken"]
    assert [one["job"] for one in windlass("--json", "queue", "dead", "--job", "flaky").json()] == ["flaky"]
    table = windlass("queue", "dead").stdout
    assert f"{runs[0]}.0" in table
    assert "it ended with exit code 1" in table
    mended.touch()
    told = windlass("queue", "requeue", f"{runs[0]}.0")
    assert (told.code, told.stdout.split()[:2]) == (0, ["queued", runs[0]])
    new = told.stdout.split()[-1]
    assert ended(windlass, new)["state"] == "completed"
    assert windlass("--json", "run", "get", new).json()["trigger"]["run"] == runs[0]
    again = windlass("queue", "requeue", runs[0])
    assert again.stdout.split()[4:] == [new, "(queued", "before)"]
    (other,) = windlass("--json", "queue", "requeue", "--all").json()
    assert (other["runId"], other["created"]) == (runs[1], True)
    ended(windlass, other["newRunId"])
    assert [one["runId"] for one in windlass("--json", "queue", "dead").json()] == [other["newRunId"]]


def test_steps_that_completed_are_kept_and_not_run_again(windlass: Windlass, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    fails = f"test -e {tmp_path}/mended"
    apply(windlass, f"{HEAD % 'two'}steps:\n  - {{name: a, run: 'echo a >> {ran}'}}\n  - {{name: b, run: {fails}}}\n")
    serve(windlass)
    run = accepted(windlass, "two")
    ended(windlass, run)
    (tmp_path / "mended").touch()
    (done,) = windlass("--json", "queue", "requeue", run).json()
    assert ended(windlass, done["newRunId"])["state"] == "completed"
    assert ran.read_text() == "a\n"


def test_wrong_wishes_are_refused_in_one_sentence(windlass: Windlass, api: Socket) -> None:
    serve(windlass)
    assert windlass("queue", "requeue").code == 2
    assert windlass("queue", "requeue", "--all", "01234567").code == 2
    assert windlass("queue", "requeue", "--job", "x", "01234567").code == 2
    assert windlass("queue", "requeue", "01234567").code == 2
    assert windlass("queue", "dead").stderr == "There are no dead letters.\n"
    assert windlass("queue", "requeue", "--all").stdout == "There are no dead letters.\n"
    assert api("GET", "dead-letters") == {"items": [], "next": None}
    assert api("POST", "dead-letters/requeue", {"all": True}) == {"items": []}
    assert api.raw("POST", "dead-letters/requeue", b'{"items": [1]}')[0] == 422
    assert api.raw("GET", "dead-letters?cursor=x")[0] == 422


def test_a_failed_run_and_the_step_that_waited_for_it_are_one_letter(windlass: Windlass, tmp_path: Path) -> None:
    ran = tmp_path / "leaf.log"
    apply(
        windlass,
        f"{HEAD % 'leaf'}steps:\n  - {{name: x, run: 'echo ran >> {ran}; exit 1'}}\n"
        f"---\n{HEAD % 'top'}steps:\n  - {{name: c, uses: {{job: leaf}}}}\n",
    )
    serve(windlass)
    run = accepted(windlass, "top")
    ended(windlass, run)
    (child,) = windlass("--json", "run", "get", run).json()["children"]
    (letter,) = windlass("--json", "queue", "dead").json()
    assert (letter["runId"], letter["step"]) == (run, "c")
    assert child["id"] in letter["error"]["message"]
    refused = windlass("queue", "requeue", child["id"])
    assert (refused.code, refused.stderr.count("\n")) == (2, 1)
    (done,) = windlass("--json", "queue", "requeue", "--all").json()
    assert (done["runId"], done["created"]) == (run, True)
    ended(windlass, done["newRunId"])
    assert ran.read_text() == "ran\nran\n"
