"""Edges of the graph: `next` and `dependsOn` united, file order where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.problem import Notes, Path


def take_edges(
    steps: Sequence[tuple[int, dict[str, Any]]], known: frozenset[str], notes: Notes, path: Path
) -> list[list[str]]:
    """Take `next` and `dependsOn` out of the steps and return each step's predecessors, in file order.

    `steps` are (index in the file, fields). `known` are the names of all steps, also of those that could not be read.
    Raises nothing: unknown names, self-edges and names that stand twice are noted.
    """
    names = [fields.get("name") for _, fields in steps]
    position = {name: number for number, name in reversed(list(enumerate(names))) if name is not None}
    before: list[set[int]] = [set() for _ in steps]
    written = False
    for number, (index, fields) in enumerate(steps):
        for key in ("next", "dependsOn"):
            others = fields.pop(key, None)
            if others is None:
                continue
            written = True
            for entry, other in enumerate(others):
                place: Path = (*path, index, key, entry)
                if other == fields.get("name"):
                    notes.error(place, f'{key} of "{other}" names the step itself')
                elif other in position:
                    after, ahead = (position[other], number) if key == "next" else (number, position[other])
                    before[after].add(ahead)
                elif other not in known:
                    near = suggestion(other, known)
                    notes.error(place, f'{key} names an unknown step "{other}"{near}')
    if not written:
        return [[]] + [[name] if name is not None else [] for name in names[:-1]] if names else []
    return [[str(names[ahead]) for ahead in sorted(ahead_of)] for ahead_of in before]
