"""How a run is shown while it moves: the picture on a terminal, the lines elsewhere, the output of steps."""

from __future__ import annotations

import base64
import os
import pty
import re
import select
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.program import PROGRAM, Windlass
from windlass.cli.text import local_time, width_of
from windlass.cli.watch.loglines import LogLines
from windlass.cli.watch.picture import Picture, rows_of
from windlass.cli.watch.plain import Teller

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def task(number: int, step: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"r.{number}",
        "step": step,
        "key": "",
        "state": state,
        "reason": None,
        "attempt": 0 if state in {"pending", "queued", "skipped"} else 1,
        "maxAttempts": 1,
        "allowFailure": False,
        "error": None,
        "startedAt": None if state in {"pending", "queued", "skipped"} else "2026-01-01T00:00:50Z",
        "finishedAt": "2026-01-01T00:00:55Z" if state in {"completed", "failed"} else None,
        "dueAt": None,
    } | more


def run(**more: Any) -> dict[str, Any]:
    return {
        "id": "01a2",
        "job": "etl",
        "revision": 3,
        "state": "running",
        "createdAt": "2026-01-01T00:00:49Z",
        "startedAt": "2026-01-01T00:00:50Z",
        "finishedAt": None,
        "cancelRequestedAt": None,
    } | more


def lines(picture: Picture, *, width: int = 100, height: int = 24) -> list[str]:
    return ["".join(text for text, _ in row) for row in rows_of(picture, now=NOW, width=width, height=height)]


def diamond(*tasks: dict[str, Any], **more: Any) -> Picture:
    order = ["extract", "eu", "us", "clean"]
    successors = {"extract": ["eu", "us"], "eu": ["clean"], "us": ["clean"]}
    return Picture(run(**more), {"order": order, "successors": successors}, tasks)


def test_a_picture_shows_what_every_step_is_doing() -> None:
    picture = diamond(
        task(0, "extract", "completed"),
        task(1, "eu", "running", attempt=2, maxAttempts=3),
        task(2, "us", "failed", error={"message": "it ended with exit code 3"}, allowFailure=True),
        task(3, "clean", "pending"),
    )
    picture.last_lines["r.1"] = "row 17"
    picture.progress["r.1"] = {"percent": 45.2, "message": "loading"}
    assert lines(picture) == [
        "etl:3 ━━━━━━━━━━━━──────────── 2/4 running 10s  01a2",
        "✓   extract  5.0s",
        "├─╮",
        f"{lines(picture)[3][0]} │ eu  10s  attempt 2/3  45%  loading  │ row 17",
        "│ ✗ us  5.0s  it ended with exit code 3 (allowed)",
        "├─╯",
        "·   clean",
    ]


def test_a_picture_tells_of_retries_waits_and_cancelling() -> None:
    picture = diamond(
        task(0, "extract", "scheduled", attempt=1, maxAttempts=3, dueAt="2026-01-01T00:01:04Z"),
        task(1, "eu", "waiting", reason="until 12:00"),
        task(2, "us", "skipped", reason="when: false is false"),
        task(3, "clean", "cancelled", reason="cancelled"),
        cancelRequestedAt="2026-01-01T00:00:59Z",
    )
    shown = lines(picture)
    assert "cancelling" in shown[0]
    assert shown[1].endswith("extract  attempt 2 in 4.0s")
    assert shown[3].endswith("eu  until 12:00")
    assert shown[4].endswith("us  when: false is false")


def test_a_number_that_is_beyond_the_most_is_told_alone_for_lost_attempts_do_not_count() -> None:
    picture = diamond(
        task(0, "extract", "completed", attempt=2),
        task(1, "eu", "running", attempt=4, maxAttempts=3),
        task(2, "us", "queued"),
        task(3, "clean", "pending"),
    )
    shown = lines(picture)
    assert shown[1].endswith("extract  5.0s  attempt 2")
    assert shown[3].endswith("eu  10s  attempt 4")


def test_a_fanned_out_step_is_one_row_of_counts() -> None:
    cells = [task(1, "eu", "completed", key="a"), task(2, "eu", "running", key="b"), task(3, "eu", "failed", key="c")]
    picture = diamond(task(0, "extract", "completed"), *cells, task(4, "us", "queued"), task(5, "clean", "pending"))
    assert lines(picture)[3].endswith("eu  1 running, 1 completed, 1 failed  [b]")


def test_a_picture_tells_what_was_kept_from_what_was_cached() -> None:
    shown = lines(
        diamond(
            task(0, "extract", "completed", keptFrom="r", reason="kept"),
            task(1, "eu", "completed", keptFrom="r", reason="cached"),
        )
    )
    assert shown[1].endswith("extract  kept")
    assert shown[3].endswith("eu  cached")


@pytest.mark.parametrize(("width", "height"), [(20, 24), (40, 10), (80, 6), (200, 50)])
def test_a_picture_fits_its_terminal(width: int, height: int) -> None:
    names = [f"shard-{number:03}" for number in range(100)]
    states = ["completed"] * 90 + ["running"] * 4 + ["failed"] + ["queued"] * 5
    tasks = [task(number, name, state) for number, (name, state) in enumerate(zip(names, states, strict=True))]
    picture = Picture(run(), {"order": names, "successors": {}}, tasks)
    shown = lines(picture, width=width, height=height)
    assert len(shown) < height
    assert max(map(width_of, shown)) <= width
    if width >= 80:
        hidden = len(names) - sum("shard-" in line for line in shown)
        assert f"and {hidden} more steps: " in shown[-1]
        assert any("shard-090" in line for line in shown)


TASKS = ["load", "save[a]"]


@given(
    st.lists(
        st.tuples(st.sampled_from(TASKS), st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]))), max_size=8
    ),
    st.integers(1, 7),
)
def test_lines_of_several_steps_never_mix_wherever_chunks_end(said: list[tuple[str, str]], size: int) -> None:
    streams = {name: b"".join(f"{text}\n".encode() for task_, text in said if task_ == name) for name in TASKS}
    pieces = {name: [data[at : at + size] for at in range(0, len(data), size)] for name, data in streams.items()}
    written: list[str] = []
    log = LogLines(write=written.append)
    for number in range(max(map(len, pieces.values()))):
        for name in TASKS:
            if number < len(pieces[name]):
                step, _, key = name.partition("[")
                log.take(chunk(step, key.removesuffix("]"), pieces[name][number]))
    log.close()
    for name in TASKS:
        mine = [line.partition(" | ")[2] for line in written if line.startswith(f"{name} | ")]
        whole: list[str] = []
        step, _, key = name.partition("[")
        again = LogLines(write=whole.append)
        again.take(chunk(step, key.removesuffix("]"), streams[name]))
        again.close()
        assert mine == [line.partition(" | ")[2] for line in whole]


def chunk(step: str, key: str, data: bytes) -> dict[str, Any]:
    try:
        shown: dict[str, Any] = {"data": data.decode()}
    except UnicodeDecodeError:
        shown = {"data": None, "base64": base64.b64encode(data).decode()}
    place = {"taskId": f"r.{step}.{key}", "step": step, "key": key, "attempt": 1, "stream": "stdout"}
    return place | {"at": "2026-01-01T00:00:00Z"} | shown


def test_output_is_shown_as_a_terminal_leaves_it() -> None:
    written: list[str] = []
    log = LogLines(write=written.append, named=False)
    log.take(chunk("a", "", b"10%\r50%\r100%\r\n\x1b[1mbold\x1b[0m\x07\nbad \xff byte\nno end"))
    log.close()
    assert written == ["100%\n", "bold\n", "bad \ufffd byte\n", "no end\n"]


def test_a_further_attempt_is_marked_where_that_is_wanted() -> None:
    written: list[str] = []
    log = LogLines(write=written.append, marks=True)
    first, other = chunk("a", "", b"one\nno end"), chunk("b", "", b"beside\n")
    log.take(first)
    log.take(other)
    log.take(first | {"attempt": 2, "data": "two\n"})
    log.take(first | {"attempt": 2, "data": "more\n", "stream": "stderr"})
    log.take(other | {"attempt": 3, "data": "late\n"})
    log.close()
    assert "".join(written).splitlines() == [
        "a | one", "b | beside", "a | no end", "a | --- attempt 2 ---", "a | two", "a | more", "b | --- attempt 3 ---",
        "b | late",
    ]  # fmt: skip


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    written: list[str] = []
    log = LogLines(write=written.append, named=False)
    for _ in range(100):
        log.take(chunk("a", "", b"x" * 10_000))
    log.close()
    assert sum(len(line) - 1 for line in written) == 1_000_000
    assert len(written) > 100


def event(type_: str, at: str = "2026-01-01T00:00:00Z", **data: Any) -> dict[str, Any]:
    return {"type": type_, "at": at, "taskId": "r.0" if type_.startswith("task") else None, "data": data}


def test_events_become_lines() -> None:
    teller = Teller({"r.0": "load"}, "run r of etl")
    told = [
        teller.line(one)
        for one in (
            event("run.created"),
            event("run.scheduled") | {"data": {"at": "2026-01-01T02:00:00Z"}},
            event("run.started"),
            event("task.queued"),
            event("task.started", attempt=1),
            event("task.progress", percent=41.0, message="half"),
            event("task.progress", percent=42.0),
            event("task.retried", at="2026-01-01T00:00:02Z", attempt=1, outcome="failed", reason="exit", exitCode=75),
            event("task.started", at="2026-01-01T00:00:03Z", attempt=2),
            event("task.completed", at="2026-01-01T00:00:10Z", exitCode=0),
            event("task.skipped", reason="when: \x1b[31mno"),
            event("task.lost", worker="w1"),
            event("run.sla_missed", sla="duration", due="2026-01-01T00:00:00Z"),
        )
    ]
    assert [line and line.partition(" ")[2] for line in told] == [
        None,
        "run r of etl waits for its time, 2026-01-01T02:00:00Z",
        "run r of etl started",
        None,
        "load started",
        "load 41% half",
        None,
        "load attempt 1 failed: exit code 75",
        "load started, attempt 2",
        "load completed after 7.0s",
        "load skipped: when: no",
        "load lost its worker w1",
        f"run r of etl is late: by the sla of its job it should have ended by {local_time('2026-01-01T00:00:00Z')}",
    ]


TWO = (
    "apiVersion: v1\nkind: Job\nmetadata: {alias: two}\nsteps:\n"
    "  - {name: first, run: 'echo working; while [ ! -e go ]; do sleep 0.05; done; echo over'}\n"
    "  - {name: second, run: 'true'}\n"
)
AWAITS_ON = "'while [ ! -e on ]; do sleep 0.05; done'"
#: What moves the cursor of a terminal, empties lines and hides the cursor.
MOVES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\r(?!\n)")


def on_terminal(
    windlass: Windlass, *arguments: str, manifest: str = TWO, **env: str
) -> tuple[subprocess.Popen[bytes], int]:
    """Start `exec` of a job that waits for the file `go`; return it and the other end of its terminal."""
    (windlass.folder / "two.yaml").write_text(manifest)
    terminal, theirs = pty.openpty()
    environment = {name: value for name, value in windlass.env.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [PROGRAM, "exec", "two.yaml", *arguments],
        env=environment | {"TERM": "xterm", "COLUMNS": "90", "LINES": "20"} | env,
        cwd=windlass.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    return process, terminal


def seen_to_the_end(windlass: Windlass, *arguments: str, **env: str) -> bytes:
    process, terminal = on_terminal(windlass, *arguments, **env)
    seen = read_until(terminal, b"working")
    (windlass.folder / "go").touch()
    seen += read_until(terminal, b"of two completed")
    seen += read_until(terminal, None)
    os.close(terminal)
    assert process.wait(timeout=40) == 0
    return seen


def test_a_terminal_gets_a_picture_that_moves(windlass: Windlass) -> None:
    seen = seen_to_the_end(windlass)
    assert b"\x1b[?25l" in seen  # the cursor is hidden while the picture moves
    assert b"\x1b[?25h" in seen
    assert "✓".encode() in seen
    assert b"| working" not in seen


def test_output_stands_above_the_picture_where_it_is_asked_for(windlass: Windlass) -> None:
    process, terminal = on_terminal(windlass, "--logs", manifest=TWO.replace("'true'", AWAITS_ON), NO_COLOR="1")
    seen = read_until(terminal, b"working")
    (windlass.folder / "go").touch()
    seen += read_until(terminal, b"first | over\r\n")
    seen += read_until(terminal, b" 1/2 running")  # a picture with nothing new above it, which replaces the one before
    (windlass.folder / "on").touch()
    seen += read_until(terminal, None)
    os.close(terminal)
    assert process.wait(timeout=40) == 0
    assert b"first | working\r\n" in seen
    after = MOVES.sub(b"", seen.rpartition(b"first | over\r\n")[2]).decode()
    pictures = [line for line in after.splitlines() if line.startswith("two:1 ")]
    assert pictures[-1].startswith("two:1 " + "━" * 24 + " 2/2 completed")
    assert "first | " not in after


def test_a_terminal_that_can_do_nothing_gets_lines(windlass: Windlass) -> None:
    seen = seen_to_the_end(windlass, TERM="dumb")
    assert b"first | working\r\n" in seen
    assert b"\x1b" not in seen


def read_until(terminal: int, text: bytes | None) -> bytes:
    """Read until `text` came, or to the end where it is None."""
    seen = b""
    end = time.monotonic() + 40
    while text is None or text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, seen
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            assert text is None, seen
            return seen
        seen += data
    return seen


@pytest.mark.promise("H05")
@pytest.mark.parametrize(("more", "marks"), [((), 1), (("--raw",), 0), (("--json",), 0), (("--attempt", "2"), 0)])
def test_a_terminal_is_told_where_the_next_attempt_begins(
    windlass: Windlass, more: tuple[str, ...], marks: int
) -> None:
    manifest = (
        "apiVersion: v1\nkind: Job\nmetadata: {alias: two}\nsteps:\n"
        "  - {name: flaky, retry: {attempts: 2, delay: 0.01}, run: 'echo try; exit 1'}\n"
    )
    (windlass.folder / "two.yaml").write_text(manifest)
    run = windlass("--json", "exec", "two.yaml").json()["id"]
    terminal, theirs = pty.openpty()
    arguments = [PROGRAM, *(("--json",) if more == ("--json",) else ()), "run", "logs", run]
    arguments += [one for one in more if one != "--json"]
    environment = windlass.env | {"TERM": "xterm", "COLUMNS": "90"}
    process = subprocess.Popen(
        arguments, env=environment, cwd=windlass.folder, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = read_until(terminal, None)
    os.close(terminal)
    assert process.wait(timeout=40) == 0
    assert seen.count(b"--- attempt 2 ---") == marks
    assert b"--- attempt" not in windlass("run", "logs", run).stdout.encode()
