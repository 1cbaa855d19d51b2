"""Jobs that another process can import."""

from __future__ import annotations

import os
from dataclasses import dataclass

from opentelemetry.trace import get_current_span

from windlass import Job, Progress, job


@dataclass
class Order:
    """What is ordered."""

    item: str
    count: int = 1


class Price(Job[Order, dict[str, int]]):
    """Say what an order costs."""

    async def execute(self, context: Order, progress: Progress) -> dict[str, int]:
        """Return the price and who worked it out."""
        await progress(50, f"pricing {context.item}")
        print("pricing", context.item)  # noqa: T201 - what a step prints is its log
        return {"price": 3 * context.count, "pid": os.getpid()}


class IsolatedPrice(Price):
    """Say it in a process of its own."""

    isolation = "process"


class InlinePrice(Price):
    """Say it on the event loop."""

    isolation = "inline"


@job
async def triple(number: int) -> int:
    """Return three times the number."""
    return 3 * number


@job
def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


def current_span() -> list[str]:
    """Return the ids of the trace and of the span that code is in."""
    found = get_current_span().get_span_context()
    return [f"{found.trace_id:032x}", f"{found.span_id:016x}"]


@job
def traced(_: int) -> list[str]:
    """Return the span that code in a thread is in."""
    return current_span()


class InlineTraced(Job[int, list[str]]):
    """Return the span that code on the event loop is in."""

    isolation = "inline"

    async def execute(self, context: int, progress: Progress) -> list[str]:  # noqa: ARG002 - it takes what jobs take
        """Return it."""
        return current_span()
