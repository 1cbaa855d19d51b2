"""How long commands take from their start to their end, and what an idle `windlass up` holds in memory."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.entry import Entry, better, versions
from bench.settings import COLD, PATIENCE

PROGRAM = str(Path(sys.executable).with_name("windlass"))
#: Seconds, and bytes.
QUICK, EMBEDDED, MEMORY = 0.15, 0.4, 120 * 1024 * 1024
#: What the design's own measurement found on its machine, in seconds and MB.
LISTED = {
    "dramatiq": 0.11,
    "procrastinate": 0.39,
    "ansible --version": 0.72,
    "dagster --version": 2.0,
    "airflow version": 3.5,
    "prefect version": 4.2,
    "Prefect server, idle, MB": 218,
}


def measure(_: str, rounds: int) -> Entry:
    """Start commands with and without a running server, and weigh the server."""
    starts = max(rounds, COLD["starts"])
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")}
        env["WINDLASS_HOME"] = f"{folder}/home"
        version = _seconds(["--version"], env, starts)
        embedded = _seconds(["job", "list"], env, starts)
        with _up(env) as pid:
            served = _seconds(["job", "list"], env, starts)
            memory = sum(_proportional_set(one) for one in _tree(pid))
    return Entry(
        row="cold",
        store=None,
        ours=round(served, 3),
        peer=LISTED["dramatiq"],
        peer_name="dramatiq, as listed in the design",
        ratio=better(served, LISTED["dramatiq"], times=True),
        aim=f"--version and served <= {QUICK:g} s, embedded <= {EMBEDDED:g} s, up <= {MEMORY >> 20} MB",
        met=max(version, served) <= QUICK and embedded <= EMBEDDED and memory <= MEMORY,
        others={
            "windlass --version": round(version, 3),
            "windlass job list, embedded": round(embedded, 3),
            "windlass up, idle, MB": round(memory / 1024 / 1024, 1),
            **{f"{name}, listed": figure for name, figure in LISTED.items()},
        },
        settings={"starts": starts},
        versions=versions(),
    )


def _seconds(arguments: list[str], env: Mapping[str, str], starts: int) -> float:
    """Return the median time of a command; the first start, which may make files, does not count."""
    found = []
    for number in range(starts + 1):
        began = time.perf_counter()
        subprocess.run(  # noqa: S603 - our own program
            [PROGRAM, *arguments],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=True,
        )
        if number:
            found.append(time.perf_counter() - began)
    return statistics.median(found)


@contextmanager
def _up(env: Mapping[str, str]) -> Iterator[int]:
    """Run a server until the block ends; give its process."""
    with subprocess.Popen([PROGRAM, "up"], env=env, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - as above
        try:
            for line in server.stdout or ():
                if line.startswith("ready"):
                    break
            yield server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _proportional_set(pid: int) -> int:
    """Return the bytes of a process, of what it shares its part."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
