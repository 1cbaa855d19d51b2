"""Edges of the graph: `next` and `dependsOn` united, file order where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.problem import Notes, Path


def take_edges(
    steps: Sequence[tuple[int, dict[str, Any]]], known: frozenset[str], notes: Notes, path: Path
) -> list[list[str] | None]:
    """Take `next` and `dependsOn` out of the steps and return each step's predecessors, in file order.

    `steps` are (index in the file, fields). `known` are the names of all steps, also of those that could not be read.
    Raises nothing: unknown names and self-edges are noted. Where several steps have no edge at all although edges were
    spoken of, the first has an empty list, which says that file order does not count.
    """
    names = [fields.get("name") for _, fields in steps]
    if not any("dependsOn" in fields or "next" in fields for _, fields in steps):
        return [None, *([name] if name is not None else None for name in names[:-1])] if names else []
    position: dict[str | None, int] = {}
    for number, name in enumerate(names):
        position.setdefault(name, number)
    before: list[set[int]] = [set() for _ in steps]
    for number, (index, fields) in enumerate(steps):
        for key in ("next", "dependsOn"):
            for entry, other in enumerate(fields.pop(key, ())):
                if other in position and other != names[number]:
                    after, ahead = (position[other], number) if key == "next" else (number, position[other])
                    before[after].add(ahead)
                elif other not in known or other == names[number]:
                    notes.error((*path, index, key, entry), _no_edge(key, other, known, itself=other == names[number]))
    result: list[list[str] | None] = [
        [str(names[ahead]) for ahead in sorted(ahead_of)] if ahead_of else None for ahead_of in before
    ]
    if len(result) > 1 and not any(result):
        result[0] = []
    return result


def _no_edge(key: str, other: str, known: frozenset[str], *, itself: bool) -> str:
    """Return why there is no edge between a step and the `other` that it names."""
    if itself:
        return f'{key} of "{other}" names the step itself'
    return f'{key} names an unknown step "{other}"{suggestion(other, known)}'
