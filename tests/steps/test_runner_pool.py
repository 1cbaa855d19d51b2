"""How long warm processes are kept, and for whom."""

from __future__ import annotations

import asyncio
from typing import Any

from windlass.steps.runner_pool import RunnerPool


class Runner:
    """Tells when it is ended."""

    def __init__(self) -> None:
        """Start alive."""
        self.ended = asyncio.Event()

    async def end(self) -> None:
        self.ended.set()


def runners(count: int) -> list[Any]:
    return [Runner() for _ in range(count)]


async def test_the_last_used_runner_of_the_same_key_is_taken() -> None:
    pool = RunnerPool()
    first, second, other = runners(3)
    pool.give_back("a", first)
    pool.give_back("a", second)
    pool.give_back("b", other)
    assert pool.take("a") is second
    assert pool.take("a") is first
    assert pool.take("a") is None
    assert pool.idle == 1
    await pool.close()
    assert other.ended.is_set()


async def test_there_are_never_too_many() -> None:
    pool = RunnerPool(most_idle=2)
    first, second, third = runners(3)
    for runner in (first, second, third):
        pool.give_back("a", runner)
    await first.ended.wait()
    assert pool.idle == 2
    await pool.close()


async def test_an_idle_runner_ends_after_a_while() -> None:
    pool = RunnerPool(idle_seconds=0.001)
    (runner,) = runners(1)
    pool.give_back("a", runner)
    await runner.ended.wait()
    assert pool.idle == 0


async def test_what_comes_back_after_the_end_is_ended() -> None:
    pool = RunnerPool()
    (runner,) = runners(1)
    await pool.close()
    pool.give_back("a", runner)
    await runner.ended.wait()
    assert pool.idle == 0
    await pool.close()
