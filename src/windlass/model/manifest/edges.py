"""Edges of the graph: `next` and `dependsOn` united, file order where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.problem import Notes, Path


def take_edges(
    steps: Sequence[tuple[int, dict[str, Any]]], raw: Any, notes: Notes, path: Path
) -> list[list[str] | None]:
    """Take `next` and `dependsOn` out of the steps and return each step's predecessors, in file order.

    `steps` are (index in the file, fields). `raw` are the steps as written: the name of one that could not be read is
    known too. Raises nothing: unknown names and self-edges are noted. Where several steps have no edge at all although
    edges were spoken of, the first has an empty list, which says that file order does not count.
    """
    names = [fields.get("name") for _, fields in steps]
    if not any("dependsOn" in fields or "next" in fields for _, fields in steps):
        return [None, *([name] if name is not None else None for name in names[:-1])] if names else []
    position: dict[str | None, int] = {}
    for number, name in enumerate(names):
        position.setdefault(name, number)
    astray: list[tuple[Path, str, bool]] = []
    before: list[set[int]] = [set() for _ in steps]
    for number, (index, fields) in enumerate(steps):
        for key in ("next", "dependsOn"):
            for entry, other in enumerate(fields.pop(key, ())):
                if other in position and other != names[number]:
                    after, ahead = (position[other], number) if key == "next" else (number, position[other])
                    before[after].add(ahead)
                else:
                    astray.append(((*path, index, key, entry), other, other == names[number]))
    if astray:
        _note_astray(astray, _written_names(raw), notes)
    result: list[list[str] | None] = [
        [str(names[ahead]) for ahead in sorted(ahead_of)] if ahead_of else None for ahead_of in before
    ]
    if len(result) > 1 and not any(result):
        result[0] = []
    return result


def _note_astray(astray: Sequence[tuple[Path, str, bool]], known: frozenset[str], notes: Notes) -> None:
    """Note the edges, (place, name, whether that is the step itself), that lead to no other step."""
    for place, name, itself in astray:
        if itself:
            notes.error(place, f'{place[-2]} of "{name}" names the step itself')
        elif name not in known:
            notes.error(place, f'{place[-2]} names an unknown step "{name}"{suggestion(name, known)}')


def _written_names(raw: Any) -> frozenset[str]:
    """Return the names of all steps as written, also of those that cannot be read."""
    if not isinstance(raw, list):
        return frozenset()
    names = (entry.get("name") for entry in raw if isinstance(entry, dict))
    return frozenset(name for name in names if isinstance(name, str))
