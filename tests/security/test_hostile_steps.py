"""Steps whose output is made to hurt: all of it comes through or is cut where one sees it, and every step ends."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.left_processes import processes_of
from tests.fixtures.program import PROGRAM, Windlass
from tests.security.stage import bounded, job, peak, until, up, written

MIB = 1024**2
#: What the process of `up` may take, whatever its steps write.
MOST_MEMORY = 256 * MIB
LEFT_OUT = re.compile(r"\[windlass: ([0-9,]+) bytes are left out here\]")
SAID = "[windlass: "

#: Scripts by step, with the state of their task, and what Windlass says of it in the log; None where nothing.
STEPS: dict[str, tuple[str, str, str | None]] = {
    "no-utf-8": (r"printf 'a\377b\355\240\200c\n'", "completed", None),
    "nuls": (r"printf 'a\000\000b\n\000'", "completed", None),
    "escapes": (r"printf '\033[2Jred\033]0;title\007\033[8mhidden\302\2330m\r\nnext\n'", "completed", None),
    "no-end-of-line": ("printf none", "completed", None),
    "carriage-returns": (r"for n in 1 50 100; do printf '%s%%\r' $n; done", "completed", None),
    "closed": ("echo out; exec >&- 2>&-; true", "completed", None),
    "killed": ("echo out; kill -9 $$", "failed", None),
    "stopped": ("(sleep 0.1; kill -CONT $$) & kill -STOP $$; wait; echo out", "completed", None),
    "holds-the-pipe": ("sleep 1000 & echo out", "completed", "ended what the step left running: 1 process"),
    "daemon": (
        "setsid sh -c 'sleep 1000; :' >/dev/null 2>&1 </dev/null & echo out",
        "completed",
        "ended what the step left running: ",
    ),
    "daemon-with-pipe": (
        "setsid sh -c 'while :; do echo late; sleep 0.1; done' & echo out",
        "completed",
        "ended what the step left running: ",
    ),
    "without-environment": (
        "env -i setsid -f sleep 1000; echo out",
        "completed",
        "ended what the step left running: 1",
    ),
    "no-folder": ('rm -rf "$PWD"; echo out', "completed", None),
    "no-scratch": ('rm -rf "$(dirname "$WINDLASS_OUTPUT")"; echo out', "completed", None),
    "outputs-huge": ('head -c 10000000 /dev/zero > "$WINDLASS_OUTPUT"', "failed", None),
    "outputs-bad": (
        'echo no json > "$WINDLASS_OUTPUT"; echo \'{"kept": 1}\' >> "$WINDLASS_OUTPUT"',
        "completed",
        "line 1 of $WINDLASS_OUTPUT is left out: expecting value at character 1",
    ),
    "outputs-no-utf-8": (
        r"""printf '{"a": "\377"}\n' > "$WINDLASS_OUTPUT" """,
        "completed",
        "line 1 of $WINDLASS_OUTPUT is left out: byte 8 is not UTF-8",
    ),
    "outputs-link": (
        'rm -f "$WINDLASS_OUTPUT"; ln -s /etc/passwd "$WINDLASS_OUTPUT"',
        "completed",
        "$WINDLASS_OUTPUT is left out: Too many levels of symbolic links",
    ),
    "outputs-pipe": (
        'rm -f "$WINDLASS_OUTPUT"; mkfifo "$WINDLASS_OUTPUT"',
        "completed",
        "$WINDLASS_OUTPUT is left out: it is not a plain file",
    ),
    "outputs-folder": (
        'rm -f "$WINDLASS_OUTPUT"; mkdir "$WINDLASS_OUTPUT"',
        "completed",
        "$WINDLASS_OUTPUT is left out: it is not a plain file",
    ),
    "output-no-json": (
        "echo '##windlass::output {\"a\":'; echo '##windlass::output {\"kept\": 1}'",
        "completed",
        "an output line is left out: expecting value at character 6",
    ),
    "output-list": ("echo '##windlass::output [1]'", "completed", "an output line is left out: it is no JSON object"),
    "output-number": (
        "echo '##windlass::output {\"a\": 99999999999999999999}'",
        "completed",
        "an output line is left out: it holds an integer beyond 64 bits; write it as text",
    ),
    "output-deep": (
        "printf '##windlass::output {\"a\":'; head -c 20000 /dev/zero | tr '\\0' '['; echo",
        "completed",
        "an output line is left out: it is nested deeper than 64 levels",
    ),
    "output-long": (
        "printf '##windlass::output {\"a\":\"'; head -c 200000 /dev/zero | tr '\\0' x; echo '\"}'",
        "failed",
        None,
    ),
    "output-at-the-end": ("printf '##windlass::output {\"kept\": 1}'", "completed", None),
    "unknown-directive": (
        "echo '##windlass::nope'; echo '##windlass::'; echo '##windlass::branch x'",
        "completed",
        "a directive of an unknown name is left out, known are output and branch",
    ),
}
KEEPS = {"outputs-bad", "output-no-json", "output-at-the-end"}
PLAIN = {"closed", "stopped", "holds-the-pipe", "daemon", "without-environment", "no-folder", "no-scratch"}
#: What a person sees of the output of some, on no terminal.
SHOWN = {
    "no-utf-8": "a\ufffdb\ufffd\ufffd\ufffdc\n",
    "nuls": "ab\n\n",
    "escapes": "redhidden\nnext\n",
    "no-end-of-line": "none\n",
    "killed": "out\n",
    **dict.fromkeys(PLAIN, "out\n"),
}


def side_by_side(steps: dict[str, str]) -> str:
    """Return a manifest of steps that do not wait for each other."""
    listed = [{"name": name, "run": script, "dependsOn": "first"} for name, script in steps.items()]
    return job(json.dumps([{"name": "first", "run": "true"}, *listed]))


def started(windlass: Windlass, manifest: str) -> str:
    """Apply a manifest and start its job; return the id of the run."""
    assert windlass("job", "apply", written(windlass, manifest, "job.yaml")).code == 0
    return windlass("run", "start", "job", "--quiet").stdout.strip()


def chunks(windlass: Windlass, run: str) -> list[dict[str, Any]]:
    """Follow a run to its end and return all output that it had."""
    return [json.loads(line) for line in windlass("run", "logs", run, "--follow", "--json").stdout.splitlines()]


def test_every_hostile_step_ends_and_says_what_was_left_out(windlass: Windlass) -> None:
    server = up(windlass, WINDLASS_WORKER_SLOTS="40")
    run = started(windlass, side_by_side({name: script for name, (script, _, _) in STEPS.items()}))
    said: dict[str, str] = {}
    for chunk in chunks(windlass, run):
        if chunk["stream"] == "system":
            said[chunk["step"]] = said.get(chunk["step"], "") + chunk["data"]
    watched = windlass("run", "watch", run)
    assert watched.code == 1
    assert max(map(len, watched.stdout.splitlines())) < 600
    details = windlass("run", "get", run).stdout
    for name, (_, state, sentence) in STEPS.items():
        assert re.search(rf"^{name} +\S+ {state} ", details, re.MULTILINE), name
        assert said.get(name, "").startswith("" if sentence is None else SAID + sentence), name
        assert (sentence is None) == (name not in said), name
    assert {line.split()[0] for line in details.splitlines() if line.endswith("kept=1") and "STEP" not in line} >= KEEPS
    for name, expected in SHOWN.items():
        lines = windlass("run", "logs", run, "--step", name).stdout.splitlines(keepends=True)
        assert "".join(line for line in lines if not line.startswith(SAID)) == expected, name
    assert peak(server) < MOST_MEMORY
    server.terminate()
    assert server.communicate(timeout=20)[1] == ""
    assert processes_of("nobody's", windlass.home.parent) == []


def test_what_a_terminal_acts_on_never_reaches_it(windlass: Windlass) -> None:
    up(windlass)
    script = STEPS["escapes"][0]
    run = started(windlass, side_by_side({"escapes": script}))
    assert windlass("run", "watch", run).code == 0
    for command in (("run", "logs", run), ("run", "watch", run), ("exec", "job.yaml")):
        shown = on_terminal(windlass, *command)
        assert not re.search(rb"\x1b\[2J|\x1b\]0;|\x1b\[8m|\xc2\x9b", shown), shown
        assert b"\x07" not in shown
    assert b"\x1b[2Jred" in on_terminal(windlass, "run", "logs", run, "--raw")


def on_terminal(windlass: Windlass, *command: str) -> bytes:
    """Return what a command prints on a terminal."""
    ours, theirs = pty.openpty()
    env = {**windlass.env, "TERM": "xterm"}
    with subprocess.Popen(
        [PROGRAM, *command], env=env, cwd=windlass.folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # how a terminal says that nobody writes any more
            pass
        finally:
            os.close(ours)
        assert process.wait(20) == 0, shown
    return shown


def test_a_follower_gets_a_hundred_thousand_lines_in_order(windlass: Windlass) -> None:
    server = up(windlass)
    gate = windlass.folder / "gate"
    count = "n=0; while [ $n -lt 100000 ]; do n=$((n + 1)); echo $n; done"
    script = f"echo begin; until [ -e {gate} ]; do sleep 0.02; done; {count}; echo end >&2"
    run = started(windlass, side_by_side({"lines": script}))
    follower = windlass.start("run", "logs", run, "--follow", "--step", "lines")
    late = windlass.start("run", "logs", run, "--follow", "--raw")
    until(follower.stdout, "begin")
    gate.touch()
    output, errors = follower.communicate(timeout=50)
    raw, _ = late.communicate(timeout=50)
    numbers = "".join(f"{number}\n" for number in range(1, 100_001))
    assert (output.replace("end\n", "", 1), errors) == (numbers, "")
    assert raw.replace("end\n", "", 1) == "begin\n" + numbers
    assert peak(server) < MOST_MEMORY


def left_out(windlass: Windlass, run: str, step: str) -> tuple[int, int]:
    """Return how many bytes of a step's output are stored, and how many it says that it left out."""
    raw = Path(windlass.folder / f"{step}.raw")
    with raw.open("wb") as file:
        subprocess.run(
            [PROGRAM, "run", "logs", run, "--raw", "--step", step],
            env=windlass.env,
            stdout=file,
            timeout=50,
            check=True,
        )
    text = raw.read_bytes()
    said = re.findall(rb"\[windlass: .*?\]\n", text)
    (number,) = LEFT_OUT.findall(b"".join(said).decode())
    return len(text) - sum(map(len, said)), int(number.replace(",", ""))


def flood(windlass: Windlass, scripts: dict[str, str], sizes: dict[str, int]) -> None:
    """Run steps that write much and check that what is stored and what is left out add up."""
    server = up(windlass)
    run = started(windlass, side_by_side(scripts))
    watched = windlass("run", "watch", run, timeout=55)
    assert watched.code == 0, watched
    for step, size in sizes.items():
        kept, missing = left_out(windlass, run, step)
        assert 64 * MIB - 1 <= kept <= 64 * MIB + 1
        assert kept + missing - size in {0, 1}  # a line end before the line of Windlass
    assert peak(server) < MOST_MEMORY


def test_a_hundred_megabytes_in_one_line_are_cut_where_one_sees_it(windlass: Windlass) -> None:
    flood(windlass, {"line": "head -c 100000000 /dev/zero | tr '\\0' x"}, {"line": 100_000_000})


@pytest.mark.slow
def test_a_gigabyte_is_cut_where_one_sees_it(windlass: Windlass) -> None:
    scripts = {
        "zeros": "head -c 1000000000 /dev/zero",
        "lines": "yes abcdefghi | head -c 1000000000",
        "noise": "head -c 200000000 /dev/urandom",
    }
    flood(windlass, scripts, {"zeros": 10**9, "lines": 10**9, "noise": 2 * 10**8})


@pytest.mark.slow
def test_exec_takes_a_gigabyte_in_bounded_memory(windlass: Windlass) -> None:
    written(windlass, side_by_side({"zeros": "head -c 1000000000 /dev/zero | tr '\\0' x"}), "job.yaml")
    done = bounded(windlass, "exec", "job.yaml", memory=1024 * MIB)
    assert (done.code, done.stderr) == (0, "")
    assert LEFT_OUT.findall(done.stdout) == ["932,891,136"]


def test_exec_takes_the_same(windlass: Windlass) -> None:
    slow = {name for name, (_, _, said) in STEPS.items() if said is not None and "left running" in said}
    fast = {name: STEPS[name][0] for name in STEPS if name not in slow | {"no-folder"}}
    done = windlass("exec", written(windlass, side_by_side(fast), "job.yaml"))
    assert (done.code, done.stderr) == (1, "")
    assert "red" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
    failed = [name for name in fast if STEPS[name][1] == "failed"]
    assert re.findall(r"^  (\S+): ", done.stdout, re.MULTILINE) == [*failed, "outputs"]
