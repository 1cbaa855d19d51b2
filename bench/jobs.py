"""The jobs that are measured; they tell the program around them when they begin."""

from __future__ import annotations

import time

from windlass import job

#: When no-ops began, by `time.perf_counter`.
begun: list[float] = []


@job
async def noop() -> None:
    """Do nothing but note the time."""
    begun.append(time.perf_counter())


async def nothing() -> None:
    """Do nothing at all."""


async def fibonacci_here(number: int) -> int:
    """Return a Fibonacci number, the slow way, on the event loop."""
    return fibonacci(number)


def fibonacci(number: int) -> int:
    """Return a Fibonacci number, the slow way."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)  # noqa: PLR2004 - where it ends


async def broken() -> None:
    """Fail."""
    raise ValueError("this job is broken")
