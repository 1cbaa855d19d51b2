"""Asynchronous Python code on the loop of an application's own worker, in the attempt's own task: the shortest way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from windlass.model.outcome import Cancelled, Failed
from windlass.steps.python_inplace import ended, failed

if TYPE_CHECKING:
    from windlass.model.outcome import Outcome
    from windlass.steps.light import LightAttempt
    from windlass.steps.python_call import Call
    from windlass.steps.python_inplace import Target


async def call_in_task(attempt: LightAttempt, target: Target) -> Outcome:
    """Await a function, and return how it ended; a stop cancels it where it waits.

    Raises CancelledError where the task is cancelled for another reason: the deadline.
    """
    if attempt.stopping():
        return Cancelled()
    call: Call | None = None
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("an attempt runs in a task of its own")
    try:
        call, progress = target.bind(attempt)
        if not call.asynchronous:
            text = f'"{target.path}" is not asynchronous, so it would hold the event loop; use isolation `thread`'
            return Failed("error", text, may_retry=False)
        attempt.on_stop(task.cancel)
        try:
            value = await call.start()
        finally:
            attempt.on_stop(None)
            if progress is not None:
                await progress.settle()
    except asyncio.CancelledError as error:
        if attempt.stopping() and task.uncancel() == 0:
            return Cancelled()
        if task.cancelling():
            raise
        return await failed(attempt, call, error)  # the code raised it by itself
    except Exception as error:  # noqa: BLE001 - whatever the step raises is its failure
        return await failed(attempt, call, error)
    return ended(attempt, call, value)
