"""Work in processes of their own, which are killed at a point of it."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from tests.oracle.world import World


def forked(work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> int:
    """Do work in a process of its own; return how that ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        asyncio.run(work(*args))
        code = 0
    except BaseException:  # noqa: BLE001 - a child of the test's own process must not go on
        traceback.print_exc()
    finally:
        os._exit(code)


def doomed(world: World, point: int) -> Callable[[], None]:
    """Have this process killed at a point: there is one before and one after each of the world's units of work.

    What is returned is one more such point, for whoever does something else that counts.
    """
    left = [point]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    inner = world.engine.store.run

    async def run(unit: Any, *args: Any, **more: Any) -> Any:
        step()
        found = await inner(unit, *args, **more)
        step()
        return found

    world.engine.store.run = run  # type: ignore[method-assign]
    return step
