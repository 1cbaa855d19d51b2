"""Which of the tasks that are ready are handed out, where limits leave room for some of them only."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import TypeVar

Task = TypeVar("Task")
#: The limits that a task counts under, each with how much of it the task takes.
Needs = Sequence[tuple[str, int]]


def choose(ready: Iterable[tuple[Task, Needs]], capacity: int, room: MutableMapping[str, int]) -> list[Task]:
    """Return up to `capacity` tasks in the order of `ready`, as far as there is `room`, which is taken from.

    Once one does not fit under a limit, none behind it gets what is left there: small ones do not starve a large one.
    """
    chosen: list[Task] = []
    full: set[str] = set()
    for task, needs in ready:
        if len(chosen) == capacity:
            break
        if any(name in full for name, _ in needs):
            continue
        short = [name for name, units in needs if units > room[name]]
        full.update(short)
        if short:
            continue
        for name, units in needs:
            room[name] -= units
        chosen.append(task)
    return chosen
