"""`windlass up` in a process of its own, as a user starts it, with a client of its socket; and what it weighs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.children import NotMeasured, new_folder
from bench.ending import bound, ended_after
from bench.settings import PATIENCE
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.store.lockfile import find_owner

PROGRAM: Final = str(Path(sys.executable).with_name("windlass"))


@contextmanager
def new_home() -> Iterator[dict[str, str]]:
    """Give an environment with a home of its own, on a disk, and none of the developer's settings; remove it then."""
    with new_folder("bench") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")}
        yield env | {"WINDLASS_HOME": f"{folder}/home", "HOME": folder}


def start(env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a server; return once it takes work. Raises NotMeasured where it does not come so far."""
    server = subprocess.Popen(bound([PROGRAM, "up"]), env=env, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    for line in server.stdout or ():
        if line.startswith("ready"):
            return server
    server.wait(PATIENCE)
    raise NotMeasured(f"windlass up ended with {server.returncode} before it was ready")


@contextmanager
def up(env: Mapping[str, str]) -> Iterator[int]:
    """Run a server until the block ends; give its process."""
    with start(env) as server, ended_after(server):
        yield server.pid
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)


def client_of(env: Mapping[str, str]) -> Client:
    """Return a client of the server that works in the home of `env`."""
    owner = find_owner(Path(env["WINDLASS_HOME"]) / "windlass.db")
    if owner is None or owner.socket is None:
        raise NotMeasured("nobody serves the store")
    return Client(UnixTransport(owner.socket, patience=PATIENCE))


def apply(client: Client, *jobs: tuple[str, list[dict[str, Any]]]) -> None:
    """Store jobs, each by its alias and its steps."""
    definitions = [
        {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, "steps": steps} for alias, steps in jobs
    ]
    client.post("jobdefs", "apply", body={"definitions": definitions})


def proportional_set(pid: int) -> int:
    """Return the bytes of a process, of what it shares its part; 0 where it has ended."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def command(pid: int) -> str:
    """Return the command line of a process; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
