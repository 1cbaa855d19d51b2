"""The folder of a worker in a process of its own: one of few with numbers, so that what a killed one left is found."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from windlass.engine.workspace import clear_workspaces

_DIRTY: Final = "in-use"


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    """Where one worker has its files."""

    path: Path
    #: Folders that belong to nobody and were not left in good order; they are ours until we end.
    left_by_others: tuple[WorkingFolder, ...] = field(default=())

    @property
    def steps_lock(self) -> Path:
        """What the supervisor of its steps holds until all of them have ended."""
        return self.path / "steps.lock"

    @property
    def attempts(self) -> Path:
        """Where its attempts have their folders."""
        return self.path / "attempts"

    @property
    def artifacts(self) -> Path:
        """Where files lie that a step keeps, until the server has them."""
        return self.path / "artifacts"

    def clear(self) -> None:
        """Remove what attempts of an earlier worker have left; only once its steps are dead."""
        clear_workspaces(self.attempts)
        for left in self.artifacts.glob("*"):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def take_folder(below: Path) -> Iterator[WorkingFolder]:
    """Take the first folder that no other worker has, and those that killed ones have left, until the end."""
    below.mkdir(mode=0o700, parents=True, exist_ok=True)
    locks: list[int] = []
    try:
        number = next(number for number in count() if _taken(below / str(number), locks))
        own = below / str(number)
        others = [
            WorkingFolder(other)
            for other in below.iterdir()
            if other != own and (other / _DIRTY).exists() and _taken(other, locks)
        ]
        found = WorkingFolder(own, tuple(others))
        for folder in (found.attempts, found.artifacts):
            folder.mkdir(mode=0o700, exist_ok=True)
        (own / _DIRTY).touch()
        yield found
        for left in (found, *others):
            with suppress(OSError):
                (left.path / _DIRTY).unlink()
    finally:
        for lock in locks:
            os.close(lock)


def _taken(folder: Path, locks: list[int]) -> bool:
    """Say whether a folder is ours now; its lock is added to `locks`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    locks.append(lock)
    return True
