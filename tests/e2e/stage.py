"""What tests of the whole program share: a server, jobs in files, and what became of a run."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, Any, Final

from tests.fixtures.left_processes import ends
from tests.fixtures.program import Windlass

#: Seconds that a process has to be gone, once it was killed.
_DEADLINE: Final = 10.0
HEAD: Final = "apiVersion: v1\nkind: Job\nmetadata: {alias: %s}\n"


def apply(windlass: Windlass, text: str) -> None:
    """Store the jobs of a text."""
    (windlass.folder / "job.yaml").write_text(text)
    applied = windlass("job", "apply", "job.yaml")
    assert applied.code == 0, applied.stderr


def serve(windlass: Windlass, slots: int = 2, **env: str) -> subprocess.Popen[str]:
    """Start a server with so many slots, and wait until it takes work."""
    server = windlass.start("up", env={"WINDLASS_WORKER_SLOTS": str(slots)} | env)
    assert server.stdout is not None
    assert any(line.startswith("ready") for line in server.stdout)
    return server


def kill(server: subprocess.Popen[str]) -> None:
    """Kill a server as a crash would."""
    server.kill()
    server.communicate()


def accepted(windlass: Windlass, job: str, *more: str) -> str:
    """Start a run of `job` and return its id at once."""
    started = windlass("--json", "run", "start", job, *more)
    assert started.code == 0, started.stderr
    return str(started.json()["id"])


def ended(windlass: Windlass, run: str) -> dict[str, Any]:
    """Wait until a run is final, and return it."""
    windlass("run", "watch", run, "--quiet")
    answer = windlass("--json", "run", "get", run)
    assert answer.code == 0, answer.stderr
    found: dict[str, Any] = answer.json()
    assert found["finishedAt"] is not None, found
    return found


def executed(windlass: Windlass, text: str, *more: str) -> dict[str, Any]:
    """Run a manifest by `exec` and return its run, whatever became of it."""
    (windlass.folder / "job.yaml").write_text(text)
    answer = windlass("--json", "exec", "job.yaml", *more)
    assert answer.code in {0, 1}, answer.stderr
    run: dict[str, Any] = answer.json()
    return run


def states(windlass: Windlass, run: str) -> dict[str, str]:
    """Return the state of each task of a run, by its step, and its cell in brackets."""
    nodes = windlass("--json", "run", "graph", run).json()["nodes"]
    return {
        node["name"] + (f"[{task['key']}]" if task["key"] else ""): task["state"]
        for node in nodes
        for task in node["tasks"]
    }


def rows(windlass: Windlass, run: str) -> dict[str, list[str]]:
    """Return the words of each line that `run get` shows of a step, by the step's name."""
    table, _, _ = windlass("run", "get", run).stdout.partition("STEP ")[2].partition("\n\n")
    lines = table.splitlines()[1:]
    return {words[0]: words[1:] for words in map(str.split, lines)}


def events(windlass: Windlass, run: str, type_: str) -> list[dict[str, Any]]:
    """Return the events of a run that are of a type, oldest first."""
    found: list[dict[str, Any]] = windlass("--json", "event", "list", "--run", run, "--type", type_).json()
    return found


def log(windlass: Windlass, run: str, *more: str) -> list[str]:
    """Return the lines that the steps of a run wrote."""
    return windlass("run", "logs", run, *more).stdout.splitlines()


def line_of(stream: IO[str] | None, beginning: str) -> str:
    """Return the first line of a stream that begins so; its end fails the test."""
    assert stream is not None
    for line in stream:
        if line.startswith(beginning):
            return line
    raise AssertionError(f"no line began with {beginning!r}")


def pids(text: str) -> list[int]:
    """Return the numbers that a step gave in lines such as `pid 42`."""
    return [int(line.removeprefix("pid ")) for line in text.splitlines() if line.startswith("pid ")]


def left(processes: list[int]) -> list[int]:
    """Return which of `processes` do not end."""
    deadline = time.monotonic() + _DEADLINE
    return [pid for pid in processes if not ends(pid, deadline)]


class Socket:
    """HTTP to a server, as any program may speak it: over the Unix socket beside the database."""

    def __init__(self, home: Path, name: str = "windlass.db.sock") -> None:
        """Speak to the server that works in `home`, on the socket of that name."""
        self._path = home / name

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of an answer; a status that says no fails the test."""
        status, content = self.raw(method, path, None if body is None else json.dumps(body).encode())
        assert 200 <= status < 300, content
        return json.loads(content)

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Return status and body of the answer to a request below `/api/v1/`, or at the root with a leading `/`."""
        connection = http.client.HTTPConnection("localhost", timeout=_DEADLINE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_DEADLINE)
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)  # the path itself may be too long for a socket
        try:
            connection.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
            target = path if path.startswith("/") else f"/api/v1/{path}"
            connection.request(method, target, body, headers | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            os.close(folder)
            connection.close()
