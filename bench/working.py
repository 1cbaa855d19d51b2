"""A worker on PostgreSQL in a process of its own, else at default settings: `python -m bench.working URL [SLOTS]`."""

from __future__ import annotations

import asyncio
import signal
import sys

from windlass import Windlass


async def work(url: str, slots: int | None = None) -> None:
    """Work until told to end, with so many slots."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with Windlass(url, workers=slots):
        print("ready", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], *map(int, sys.argv[2:])))
