"""Units of work that wait for a thread of the store, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from windlass.store.actor import ACTOR, Actor

if TYPE_CHECKING:
    from windlass.store.transaction import Transaction


@dataclass(slots=True)
class Request:
    """A unit that waits; without a loop its future belongs to a thread."""

    call: Callable[[Transaction], Any]
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[Any] | Future[Any]
    result: Any = None
    error: BaseException | None = None
    #: Whether it runs behind units of another kind, in their transaction.
    follows: bool = False
    #: Who asked for it.
    actor: Actor | None = field(default_factory=ACTOR.get)


def answer(
    group: Sequence[Request], listeners: Mapping[asyncio.AbstractEventLoop, Sequence[Callable[[], None]]]
) -> None:
    """Give every waiting caller its result and every listener its hint, with one wake-up for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Request]] = {loop: [] for loop in listeners}
    for request in group:
        if request.loop is None:
            _settle([request])
        else:
            by_loop.setdefault(request.loop, []).append(request)
    for loop, requests in by_loop.items():
        try:
            loop.call_soon_threadsafe(_arrive, loop, requests, listeners.get(loop, ()))
        except RuntimeError:  # that loop is closed: nobody waits there any more
            continue


def _arrive(
    loop: asyncio.AbstractEventLoop, requests: Sequence[Request], listeners: Iterable[Callable[[], None]]
) -> None:
    _settle(requests)
    for listener in listeners:
        loop.call_soon(listener)


def _settle(requests: Sequence[Request]) -> None:
    for request in requests:
        if request.future.done():
            continue
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.result)
