"""The log of a server: as text or JSON, each record with what it is about, in a file that is rotated."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any, Final

from tests.e2e.stage import HEAD, accepted, apply, ended, serve
from tests.fixtures.program import Windlass

_JOB: Final = f"{HEAD % 'job'}steps: [{{name: say, run: echo hello}}]"


def run_to_the_end(windlass: Windlass, *, trace: str = "", **env: str) -> tuple[str, str]:
    """Let a server do one run and end; return the run's id, and what the server wrote to standard error."""
    apply(windlass, _JOB)
    server = serve(windlass, WINDLASS_DEBUG="1", **env)
    windlass.env["TRACEPARENT"] = trace
    run = accepted(windlass, "job")
    ended(windlass, run)
    server.send_signal(signal.SIGTERM)
    _, told = server.communicate(timeout=30)
    assert server.returncode == 0
    return run, told


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_records_in_json_say_what_they_are_about(windlass: Windlass) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    run, told = run_to_the_end(windlass, trace=f"00-{trace}-b7ad6b7169203331-01", WINDLASS_LOG_FORMAT="json")
    (begun,) = [one for one in records(told) if one["message"] == "An attempt begins"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", begun.pop("time"))
    assert re.fullmatch(r".+-\d+", begun.pop("worker"))
    assert begun == {
        "level": "DEBUG",
        "logger": "windlass.engine.pipeline",
        "message": "An attempt begins",
        "run": run,
        "task": f"{run}.0",
        "attempt": 1,
        "job": "job",
        "step": "say",
        "correlationId": trace,
    }


def test_records_in_text_say_it_behind_the_message(windlass: Windlass) -> None:
    run, told = run_to_the_end(windlass)
    (line,) = [one for one in told.splitlines() if "An attempt ended" in one]
    assert line.partition("windlass.engine.pipeline ")[2].startswith(
        f"An attempt ended: Completed run={run} task={run}.0 attempt=1 job=job step=say worker="
    )


def test_the_log_file_of_a_server_is_private_and_rotated(windlass: Windlass, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "server.log"
    run, told = run_to_the_end(
        windlass,
        WINDLASS_LOG_FILE=str(file),
        WINDLASS_LOG_FORMAT="json",
        WINDLASS_LOG_FILE_SIZE="512",
        WINDLASS_LOG_FILES="3",
    )
    assert told == ""
    kept = sorted(file.parent.iterdir())
    assert len(kept) in {2, 3, 4}
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o600}
    assert all(one.stat().st_size <= 1024 for one in kept)
    found = [record for one in kept for record in records(one.read_text())]
    assert any(record.get("run") == run for record in found)


def test_a_log_file_that_cannot_be_written_is_told_at_once(windlass: Windlass) -> None:
    answer = windlass("up", env={"WINDLASS_LOG_FILE": str(windlass.folder)})
    assert answer.code == 2
    assert answer.stderr == f"windlass: WINDLASS_LOG_FILE: {windlass.folder} cannot be written: Is a directory.\n"
