"""Python code that the tests run as steps."""

# ruff: noqa: D101, T201 - code as users write it: it prints, blocks and has no docstrings

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def fibo(n: int) -> int:
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)


def knows_us() -> bool:
    return "windlass" in sys.modules


def pid() -> dict[str, int]:
    return {"pid": os.getpid()}


async def double(x: int, factor: int = 2) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"value": x * factor}


def talk(region: str) -> None:
    print(f"hello {region}")
    print("oh", file=sys.stderr)
    print('##windlass::output {"said": 1}')
    subprocess.run(["/bin/echo", "from a child"], check=True)


def fail() -> None:
    raise ValueError("no luck")


def leave(code: int) -> None:
    sys.exit(code)


def crash(signal: int) -> None:
    os.kill(os.getpid(), signal)


def vanish() -> None:
    os._exit(0)


def odd() -> Any:
    return object()


def huge() -> str:
    return "x" * 2_000_000


def large() -> str:
    return "x" * 70_000


def hang() -> None:
    print("started")
    while True:
        time.sleep(60)


def hang_and_tidy(path: str) -> None:
    try:
        print("started")
        time.sleep(600)
    finally:
        Path(path).write_text("tidied")


async def hang_softly(path: str) -> None:
    try:
        print("started")
        await asyncio.sleep(600)
    finally:
        Path(path).write_text("tidied")


def leave_child() -> int:
    return subprocess.Popen(["/bin/sleep", "600"]).pid


def forge() -> None:
    os.write(3, b"\x00\x00\x00\x02{}" * 3)
    time.sleep(600)


def forge_much() -> None:
    os.write(3, b"\xff\xff\xff\xff")
    time.sleep(600)


def fork() -> int:
    return os.fork()


def close_stdout() -> None:
    sys.stdout.close()


def meddle() -> None:
    os.umask(0)
    sys.path.insert(0, "/nowhere")
    os.environ["LEFT"] = "over"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout = None  # type: ignore[assignment]


def settings() -> dict[str, Any]:
    mask = os.umask(0)
    handled = signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
    return {"umask": mask, "path": "/nowhere" in sys.path, "left": "LEFT" in os.environ, "handled": handled}


def deep() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def variables() -> dict[str, str]:
    return dict(os.environ)


@dataclass
class Window:
    day: dt.date
    hours: int = 24


def span(context: Window) -> str:
    return f"{type(context.day).__name__} {context.day} {context.hours}"


@dataclass
class Total:
    rows: int


class Count:
    async def execute(self, context: Window, progress: Any) -> Total:
        await progress(50, "half")
        progress(100)
        return Total(context.hours)


class Stubborn:
    def execute(self, context: dict[str, Any]) -> None:
        raise ConnectionError("refused", *context)

    def should_retry(self, attempt: Any) -> bool:
        return attempt.number < 2 and isinstance(attempt.error, ConnectionError)

    def retry_delay(self, attempt: Any) -> float:
        return 7.5 * attempt.number


class Empty:
    pass
