"""How long commands take from their start to their end, and what an idle `windlass up` holds in memory."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.children import NotMeasured, environment
from bench.ending import tree
from bench.entry import Entry, better, versions
from bench.served import PROGRAM, new_home, proportional_set, up
from bench.settings import COLD, PATIENCE

#: Seconds, and bytes.
QUICK, EMBEDDED, MEMORY = 0.15, 0.4, 120 * 1024 * 1024
#: What the design's own measurement found on its machine, in seconds and MB.
LISTED = {
    "dramatiq": 0.11,
    "procrastinate": 0.39,
    "ansible --version": 0.72,
    "airflow version": 3.5,
    "Prefect server, idle, MB": 218,
}
#: Peers that are started here, each with its arguments.
PEERS: Final = {"dagster": ("--version",), "prefect": ("version",)}


def measure(_: str, rounds: int) -> Entry:
    """Start commands with and without a running server, and weigh the server."""
    starts = max(rounds, COLD["starts"])
    with new_home() as env:
        version = seconds([PROGRAM, "--version"], env, starts)
        embedded = seconds([PROGRAM, "job", "list"], env, starts)
        with up(env) as pid:
            served = seconds([PROGRAM, "job", "list"], env, starts)
            memory = sum(proportional_set(one) for one in tree(pid))
        others = {" ".join((name, *arguments)): _peer(name, arguments, env) for name, arguments in PEERS.items()}
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
            **others,
            **{f"{name}, listed": figure for name, figure in LISTED.items()},
        },
        settings={**COLD, "starts": starts},
        versions=versions(),
    )


def seconds(command: Sequence[str], env: Mapping[str, str], starts: int) -> float:
    """Return the median time of a command; the first start, which may make files, does not count."""
    found = []
    for number in range(starts + 1):
        began = time.perf_counter()
        subprocess.run(  # noqa: S603 - programs of our own choice
            command,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=True,
        )
        if number:
            found.append(time.perf_counter() - began)
    return statistics.median(found)


def _peer(name: str, arguments: Sequence[str], env: Mapping[str, str]) -> Any:
    """Return the median time of a peer's command, or why there is none."""
    try:
        program = environment(name).with_name(name)
        return round(seconds([str(program), *arguments], env, COLD["starts of a peer"]), 2)
    except (NotMeasured, subprocess.SubprocessError) as error:
        return str(error)
