"""Which of the tasks that are ready are handed out, where limits leave room for some of them only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

Task = TypeVar("Task")
#: The limits that a task counts under, each with how much of it the task takes.
Needs = Sequence[tuple[str, int]]
_OWN: Final[Mapping[str, str]] = {}


class Choice(NamedTuple, Generic[Task]):
    """The tasks that are handed out, and by the name of each line what the first in it needs that does not fit."""

    tasks: list[Task]
    short: dict[str, Needs]


def choose(
    ready: Iterable[tuple[Task | None, Needs]],
    capacity: int,
    room: MutableMapping[str, int],
    lines: Mapping[str, str] = _OWN,
) -> Choice[Task]:
    """Return up to `capacity` tasks in the order of `ready`, as far as there is `room`, which is taken from.

    Once one does not fit under a limit, none behind it in the same line gets what is left there: small ones do not
    starve a large one. `lines` says which limits have a line in common; each of the others has its own. None in place
    of a task is one that somebody else will take: it keeps its place in the line, and what it needs.
    """
    chosen: list[Task] = []
    short: dict[str, Needs] = {}
    for task, needs in ready:
        if len(chosen) == capacity:
            break
        if any(lines.get(name, name) in short for name, _ in needs):
            continue
        missing = [name for name, units in needs if units > room[name]]
        for name in missing:
            short.setdefault(lines.get(name, name), needs)
        if missing:
            continue
        for name, units in needs:
            room[name] -= units
        if task is not None:
            chosen.append(task)
    return Choice(chosen, short)
