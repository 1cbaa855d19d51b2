"""Processes a second that start, have their output captured and are reaped: the supervisor against the standard ways.

`python bench/spawn.py [--count N] [--rounds N] [--json]`. Everything runs in turn within each round, so that all meet
the same machine; the median of the rounds counts. Sixteen are in flight at once, as in a worker with sixteen slots.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from windlass.supervisor.client import Supervisor
from windlass.supervisor.contract import Command

PROGRAM = "/bin/true"
AT_ONCE = 16
THREADS = 4
AIM = 0.6


async def at_once(count: int, one: Callable[[], Awaitable[None]]) -> float:
    """Return how many a second `one` does, `AT_ONCE` at a time."""

    async def lane() -> None:
        for _ in range(count // AT_ONCE):
            await one()

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return count // AT_ONCE * AT_ONCE / (time.perf_counter() - begun)


async def captured(reading: int) -> bytes:
    """Return everything that comes from a pipe."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    text = bytearray()

    def take() -> None:
        try:
            chunk = os.read(reading, 65536)
        except BlockingIOError:
            return
        text.extend(chunk)
        if not chunk:
            loop.remove_reader(reading)
            done.set_result(bytes(text))

    os.set_blocking(reading, False)
    loop.add_reader(reading, take)
    return await done


async def by_supervisor(count: int, groups: str) -> float:
    """Measure the supervisor: a pipe for the output, spawn, read to the end, wait, sweep."""
    async with Supervisor(instance="bench", groups=groups) as supervisor:  # type: ignore[arg-type]
        numbers = itertools.count()

        async def one() -> None:
            reading, writing = os.pipe()
            command = Command(
                argv=[PROGRAM],
                env={"PATH": "/usr/bin:/bin"},
                cwd=Path("/"),
                mark=str(next(numbers)),
                stdout=writing,
                stderr=writing,
            )
            child = await supervisor.spawn(command)
            os.close(writing)
            await captured(reading)
            os.close(reading)
            await child.wait()
            await child.sweep()

        return await at_once(count, one)


async def by_asyncio(count: int) -> float:
    """Measure asyncio's own subprocesses."""

    async def one() -> None:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        await process.communicate()

    return await at_once(count, one)


async def by_threads(count: int) -> float:
    """Measure subprocess.run in a few threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        begun = time.perf_counter()
        for _ in pool.map(lambda _: subprocess.run([PROGRAM], capture_output=True, check=True), range(count)):  # noqa: S603 - a constant
            pass
        return count / (time.perf_counter() - begun)


async def by_posix_spawn(count: int) -> float:
    """Measure the limit: posix_spawn, read and wait in a few threads, with nothing around them."""

    def one(_: int) -> None:
        reading, writing = os.pipe()
        pid = os.posix_spawn(PROGRAM, [PROGRAM], {}, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
        os.close(writing)
        while os.read(reading, 65536):
            pass
        os.close(reading)
        os.waitpid(pid, 0)

    with ThreadPoolExecutor(THREADS) as pool:
        begun = time.perf_counter()
        for _ in pool.map(one, range(count)):
            pass
        return count / (time.perf_counter() - begun)


WAYS: dict[str, Callable[[int], Awaitable[float]]] = {
    "supervisor": lambda count: by_supervisor(count, "auto"),
    "supervisor without control groups": lambda count: by_supervisor(count, "off"),
    "asyncio": by_asyncio,
    "subprocess.run, 4 threads": by_threads,
    "posix_spawn, 4 threads": by_posix_spawn,
}


def main() -> int:
    """Measure, print, and return 0 where the aim is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(options.rounds):
        for name, measure in WAYS.items():
            rates[name].append(asyncio.run(measure(options.count)))  # type: ignore[arg-type]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    limit = max(value for name, value in medians.items() if not name.startswith("supervisor"))
    ours = medians["supervisor"]
    entry = {
        "row": "spawn",
        "store": None,
        "ours": round(ours),
        "peer": round(medians["asyncio"]),
        "peer_name": "asyncio",
        "ratio": round(ours / medians["asyncio"], 2),
        "aim": f">= {AIM:.0%} of the limit, {limit:,.0f}/s",
        "met": ours >= AIM * limit,
        "others": {name: round(value) for name, value in medians.items()},
        "settings": {"count": options.count, "rounds": options.rounds, "at_once": AT_ONCE, "program": PROGRAM},
        "versions": {"python": platform.python_version(), "kernel": platform.release()},
    }
    if options.json:
        print(json.dumps([entry], indent=2))
    else:
        for name, value in medians.items():
            print(f"{name:36} {value:8,.0f}/s  {value / limit:5.0%} of the limit")
    return 0 if entry["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
