"""What attacks on the program share: manifests, lines to wait for, what a store holds."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path
from typing import IO, Any

from tests.fixtures.program import PROGRAM, Answer, Windlass

HEAD = "apiVersion: v1\nkind: Job\nmetadata: {alias: %s}\n"
OK = HEAD % "ok" + "steps: [{name: a, run: 'echo hi'}]\n"


def job(steps: str, alias: str = "job", **fields: str) -> str:
    """Return a manifest: `steps` and further fields as YAML in flow style."""
    more = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return HEAD % alias + more + f"steps: {steps}\n"


def written(windlass: Windlass, content: str | bytes, name: str) -> Path:
    """Write a file into the folder that commands start in."""
    path = windlass.folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def until(stream: IO[str] | None, text: str) -> str:
    """Return what a process prints up to the line that holds `text`; its end fails the test."""
    assert stream is not None
    read = ""
    for line in stream:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came, but: {read[-2000:]}")


def up(windlass: Windlass, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start a server and wait until it takes work."""
    process = windlass.start("up", *arguments, env=env)
    until(process.stdout, "ready")
    return process


def peak(process: subprocess.Popen[str]) -> int:
    """Return the most memory that a process has had so far, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def bounded(windlass: Windlass, *arguments: str, memory: int = 1024**3, cpu: int = 30) -> Answer:
    """Run a command that is killed where it takes more than `memory` bytes of addresses or `cpu` seconds of work."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))

    done = subprocess.run(
        [PROGRAM, *arguments],
        env=windlass.env,
        cwd=windlass.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=limited,
        timeout=55,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def everything(windlass: Windlass) -> dict[str, Any]:
    """Return all jobs, runs and events of a store."""
    return {
        noun: windlass(noun, "list", "--json", "-n", "100000", "--project", "*").json()
        for noun in ("job", "run", "event")
    }


def one_sentence(said: Answer, code: int = 2) -> str:
    """Check that a request was answered with one sentence on standard error and nothing else, and return it."""
    assert said.code == code, said
    assert said.stdout == ""
    assert "Traceback" not in said.stderr
    assert "An unexpected error" not in said.stderr
    lines = said.stderr.splitlines()
    assert len(lines) == 1, said.stderr
    assert lines[0].startswith("windlass: ")
    assert lines[0][-1] in ".?`"
    return lines[0].removeprefix("windlass: ")
