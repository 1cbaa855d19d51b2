"""The parts of a code base, each named after its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

#: The folder of everything, and what its part is called: what lies in no other one.
TOP = "."
_REST = "the rest"


def part_of_each(paths: Iterable[str], folders: Collection[str]) -> dict[str, str]:
    """Return the part of each of `paths`: the innermost of `folders` that it lies in; left out where there is none."""
    innermost = sorted({folder.strip("/") for folder in folders}, key=len, reverse=True)
    found: dict[str, str] = {}
    for path in paths:
        inside = (folder for folder in innermost if folder == TOP or path.startswith(f"{folder}/"))
        if (part := next(inside, None)) is not None:
            found[path] = part
    return found


def short_names(names: Collection[str]) -> dict[str, str]:
    """Return the shortest end of each path in `names` that no other one has, to show it by."""
    endings = Counter(ending for name in names for ending in _endings(name))
    short = {name: next(ending for ending in _endings(name) if endings[ending] == 1) for name in names}
    return {name: _REST if name == TOP else ending for name, ending in short.items()}


def _endings(name: str) -> list[str]:
    pieces = name.split("/")
    return ["/".join(pieces[-number:]) for number in range(1, len(pieces) + 1)]
