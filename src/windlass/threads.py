"""Threads that are there before they are needed: a machine that has none left must not end what is under way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


def ready_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Return an executor whose `count` threads, called `name` and a number, have all begun.

    Raises RuntimeError where the machine has not so many left.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    gate = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            pool.submit(gate.wait)
        gate.wait()
    except BaseException:
        gate.abort()
        pool.shutdown(wait=False)
        raise
    return pool
