"""How every queue on a service is measured: `python on_NAME.py MODE < OPTIONS`, the same steps for all of them.

Workers are processes of their own, started by this one, which submits; the store is thrown away afterwards.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from bench.ending import bound, kill_tree
from bench.peers.beginnings import Beginnings

Options = dict[str, Any]
#: Seconds to wait for anything that has to come about.
_PATIENCE: Final = 100
#: Submissions that warm up and do not count.
_WARM: Final = 5


class Queue(AbstractAsyncContextManager["Queue"], ABC):
    """A queue as who submits to it sees it; `options` hold the `url` of its service and its settings."""

    #: Whether it can take many jobs at one time.
    in_bulk = True

    def __init__(self, options: Options) -> None:
        """Prepare; nothing is opened yet."""
        self.options = options

    async def __aenter__(self) -> Self:
        """Open what is needed to submit."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""

    async def prepare(self) -> None:
        """Make the tables, in a database that has none."""

    @abstractmethod
    async def submit(self) -> None:
        """Accept a no-op; it is as durable as the queue makes it when this returns."""

    @abstractmethod
    async def submit_numbered(self, number: int) -> None:
        """Accept a no-op that is told a number, which it notes itself by."""

    async def submit_many(self, count: int) -> None:
        """Accept no-ops in the fastest way that there is."""
        for _ in range(count):
            await self.submit()

    async def left(self) -> bool | None:
        """Say whether anything is not worked off yet; None where the queue cannot be asked."""
        return None

    async def check(self, count: int) -> None:
        """See that so many jobs left behind what the queue promises to keep; end the program where they did not."""


class Workers:
    """Processes that work on the queue."""

    def __init__(self, command: Sequence[str], options: Options, beginnings: Beginnings, count: int) -> None:
        """Start them."""
        self.beginnings = beginnings
        text = json.dumps(options).encode()
        self._processes = []
        for lane in range(count):
            process = subprocess.Popen(  # noqa: S603 - this very program
                bound([*command, "work"]),
                stdin=subprocess.PIPE,
                stdout=sys.stderr,
                env={**os.environ, **beginnings.variable(lane)},
            )
            if process.stdin is not None:
                process.stdin.write(text)
                process.stdin.close()
            self._processes.append(process)

    async def begun(self, count: int, pause: float = 0.005) -> None:
        """Return once so many jobs have begun; ends the program where that does not come about."""
        end = time.monotonic() + _PATIENCE
        while self.beginnings.count() < count:
            if any(process.poll() is not None for process in self._processes):
                raise SystemExit("a worker ended by itself")
            if time.monotonic() > end:
                raise SystemExit(f"only {self.beginnings.count()} of {count} jobs began within {_PATIENCE} s")
            await asyncio.sleep(pause)

    def stop(self) -> None:
        """Kill them with all that they started: nothing of what they did is needed any longer."""
        for process in self._processes:
            kill_tree(process)


class Measuring:
    """The measurements of one queue."""

    def __init__(self, queue: Callable[[Options], Queue], options: Options, command: Sequence[str]) -> None:
        """Measure a kind of queue whose workers are started by `command`."""
        self._queue, self._options, self._command = queue, options, command

    @contextmanager
    def _workers(self, room: int, count: int = 1) -> Iterator[Workers]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # notes on a disk would share its flushes
            beginnings = Beginnings(Path(folder) / "beginnings", room, count)
            workers = Workers(self._command, self._options, beginnings, count)
            try:
                yield workers
            finally:
                workers.stop()

    async def drain(self) -> dict[str, Any]:
        """Submit no-ops while nobody works, then work them off."""
        count = self._options["count"]
        async with self._queue(self._options) as queue:
            await queue.prepare()
            await queue.submit_many(count)
            with self._workers(count, self._options.get("processes", 1)) as workers:
                await workers.begun(count)
                while await queue.left():  # noqa: ASYNC110 - the store is asked, as anybody would
                    await asyncio.sleep(0.002)
                durable = None if await queue.left() is None else time.perf_counter()
                found = workers.beginnings.found()
            await queue.check(count)
        times = [one for lane in found for one in lane]
        first, last = min(times), max(times)
        return {
            "rate": (count - 1) / (last - first),
            **({} if durable is None else {"until_durable": count / (durable - first)}),
            "shares": [len(lane) for lane in found],
        }

    async def submit(self) -> dict[str, Any]:
        """Submit one by one, and in bulk; nobody works."""
        options = self._options
        async with self._queue(options) as queue:
            await queue.prepare()
            for _ in range(options["warm_up"]):
                await queue.submit()
            began = time.perf_counter()
            for _ in range(options["one_by_one"]):
                await queue.submit()
            found = {"one_by_one": options["one_by_one"] / (time.perf_counter() - began)}
            if "callers" in options:
                found["many_callers"] = await _together(queue, options["one_by_one"], options["callers"])
            if queue.in_bulk:
                began = time.perf_counter()
                await queue.submit_many(options["bulk"])
                found["bulk"] = options["bulk"] / (time.perf_counter() - began)
        return found

    async def latency(self) -> dict[str, Any]:
        """Measure from the call that submits to the first line of the job: at leisure, and so many times a second."""
        options = self._options
        async with self._queue(options) as queue:
            await queue.prepare()
        found = {"idle": await self._at_leisure()}
        for rate, seconds in options["rates"].items():
            found[f"{rate} Hz"] = await self._at_a_rate(int(rate), round(int(rate) * seconds))
        return found

    async def cycles(self) -> dict[str, Any]:
        """Submit and work off the same number of no-ops again and again, at a pace, until a time of `perf_counter`."""
        count, pace = self._options["count"], self._options["pace"]
        found: list[tuple[float, float]] = []
        async with self._queue(self._options) as queue:
            await queue.prepare()
            with self._workers(count) as workers:
                while (began := time.perf_counter()) < self._options["until"]:
                    await queue.submit_many(count)
                    await workers.begun(count, 0.001)
                    found.append((began, max(workers.beginnings.found()[0])))
                    while await queue.left():  # noqa: ASYNC110 - as above
                        await asyncio.sleep(0.002)
                    workers.beginnings.clear()
                    await asyncio.sleep(max(0.0, began + pace - time.perf_counter()))
        return {"cycles": found}

    async def _at_leisure(self) -> dict[str, float]:
        """Submit each job some time after the one before has begun."""
        count, pause = self._options["count"] + _WARM, self._options["pause"]
        sent = []
        async with self._queue(self._options) as queue:
            with self._workers(count) as workers:
                for number in range(count):
                    sent.append(time.perf_counter())
                    await queue.submit_numbered(number)
                    await workers.begun(number + 1, pause / 10)
                    await asyncio.sleep(pause)
                return _latencies(sent, workers.beginnings.times)

    async def _at_a_rate(self, rate: int, count: int) -> dict[str, float]:
        """Submit at fixed times, whatever has begun, once the worker is there."""
        sent: list[float] = []
        async with self._queue(self._options) as queue:
            with self._workers(count + _WARM) as workers:
                for number in range(_WARM):
                    sent.append(time.perf_counter())
                    await queue.submit_numbered(number)
                    await workers.begun(number + 1)
                start = time.perf_counter()
                for number in range(count):
                    await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
                    sent.append(time.perf_counter())
                    await queue.submit_numbered(_WARM + number)
                took = time.perf_counter() - start
                await workers.begun(count + _WARM)
                return {**_latencies(sent, workers.beginnings.times), "submitted a second": count / took}


async def _together(queue: Queue, count: int, callers: int) -> float:
    """Return how many a second callers submit who wait for each of theirs."""

    async def caller() -> None:
        for _ in range(count // callers):
            await queue.submit()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count // callers * callers / (time.perf_counter() - began)


def _latencies(sent: Sequence[float], begun: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th of a hundred, in milliseconds, without those that warmed up."""
    found = [(after - before) * 1000 for before, after in zip(sent[_WARM:], begun[_WARM:], strict=True)]
    return {"p50": statistics.median(found), "p99": statistics.quantiles(found, n=100)[98]}


def main(
    queue: Callable[[Options], Queue],
    work: Callable[[Options], None],
    version: str,
    *,
    run: Callable[[Coroutine[Any, Any, dict[str, Any]]], dict[str, Any]] = asyncio.run,
    refusals: tuple[type[Exception], ...] = (),
) -> None:
    """Measure what the command line asks for and print it, or work until killed.

    What is among `refusals` is a sentence that is printed instead of figures.
    """
    logging.getLogger().setLevel(logging.ERROR)  # a line for each job would be measured too
    mode, options = sys.argv[1], json.load(sys.stdin)
    if mode == "work":
        work(options)
        raise SystemExit("the worker has nothing more to do")
    modes = {one.__name__: one for one in (Measuring.drain, Measuring.submit, Measuring.latency, Measuring.cycles)}
    try:
        found = run(modes[mode](Measuring(queue, options, _command())))
    except refusals as error:
        found = {"unmeasured": str(error)}
    print(json.dumps({**found, "version": version}), flush=True)


def _command() -> list[str]:
    """Return what starts this program: by its name where it was started so, which may be a module of the bench."""
    spec = sys.modules["__main__"].__spec__
    return [sys.executable, *((sys.argv[0],) if spec is None else ("-m", spec.name))]
