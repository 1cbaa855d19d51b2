"""A deadline for work, which is only set once there is something to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class DeadlinePassed(Exception):
    """The work took too long and was stopped."""


async def within(working: Coroutine[Any, Any, Result], seconds: float) -> Result:
    """Return what `working` returns. Raises DeadlinePassed where that takes longer than `seconds`, whatever came of it.

    Work that never waits is done before a deadline could be noticed, so that it needs no timer: for the shortest steps
    a timer is a quarter of what an attempt costs.
    """
    try:
        awaited = working.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await _rest(working, awaited)
    except Exception as error:
        if limit.expired():
            raise DeadlinePassed from error
        raise


@coroutine
def _rest(working: Coroutine[Any, Any, Result], awaited: Any) -> Generator[Any, Any, Result]:
    """Go on with a coroutine that waits for `awaited`."""
    try:
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine
                awaited = working.throw(error)
            else:
                awaited = working.send(sent)
    except StopIteration as end:
        result: Result = end.value
        return result
