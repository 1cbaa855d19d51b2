"""Processes that end with whoever started them, and with all that they started, however this program ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: Seconds for a killed process to be gone.
_PATIENCE = 30


def bound(command: Sequence[str], sign: str = "KILL") -> list[str]:
    """Return the command with which a process gets a signal when the thread that started it ends, in whatever way."""
    program = shutil.which("setpriv")
    return list(command) if program is None else [program, "--pdeathsig", sign, "--", *command]


@contextmanager
def ended_after(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kill a process at the end of the block, with all that it started."""
    try:
        yield
    finally:
        kill_tree(process)


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all below it, sessions of their own included; return when it is gone."""
    if process.poll() is None:
        for pid in list(tree(process.pid)):  # it first: it starts nothing more then
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait(_PATIENCE)


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it that live."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))
    except OSError:  # it has ended meanwhile
        return


def end_when_told() -> None:
    """Let SIGTERM end this program as an exception does: what stands in `finally` is done."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
