"""Calls that may block on a network: on a thread of their own, which nobody has to wait for at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


async def apart(call: Callable[[], Result]) -> Result:
    """Return what `call` does on a thread that does not hold up the end of the process; raises what it raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        if not future.done():
            how()

    def run() -> None:
        try:
            how = partial(future.set_result, call())
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
            how = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, how)

    threading.Thread(target=run, name="windlass-telemetry", daemon=True).start()
    return await future
