"""The step `join`: one atlas out of the parts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas.measure import file_of
from atlas.python_source import module_name

#: Files beside folders that still stand for themselves.
_FEW = 10

Sources = Sequence[Mapping[str, Any]]


def join(work: str) -> dict[str, object]:
    """Write `atlas.json` into the folder `work`; return the totals."""
    folder = Path(work)
    listing = json.loads((folder / "files.json").read_text())
    part_of: dict[str, str] = listing["part_of"]
    parts = {name: json.loads((folder / file_of(name)).read_text()) for name in sorted(set(part_of.values()))}
    everything = [source for sources in parts.values() for source in sources]
    imports = imports_between(everything, places(part_of))
    atlas = {
        "project": listing["name"],
        "commit": listing["commit"],
        "languages": listing["languages"],
        "totals": figures(everything),
        "parts": [{"name": name, **figures(sources)} for name, sources in parts.items()],
        "order": layers(imports),
        "imports": [[*pair, number] for pair, number in sorted(imports.items())],
        "files": [
            {key: source[key] for key in ("path", "test", "code", "docs", "comments", "blank")} for source in everything
        ],
        "functions": [{"path": source["path"], **each} for source in everything for each in source["functions"]],
    }
    for file in atlas["files"]:
        file["part"] = part_of[file["path"]]
    (folder / "atlas.json").write_text(json.dumps(atlas))
    totals: dict[str, object] = atlas["totals"]
    print(", ".join(f"{number} {what}" for what, number in totals.items()))
    return totals


def figures(sources: Sources) -> dict[str, int]:
    """Return the sums over `sources`."""
    functions = [function for source in sources for function in source["functions"]]
    public = [function for function in functions if function["public"]]
    return {
        "files": len(sources),
        **{kind: sum(source[kind] for source in sources) for kind in ("code", "docs", "comments", "blank", "classes")},
        "functions": len(functions),
        "public": len(public),
        "documented": sum(function["documented"] for function in public),
    }


def places(part_of: Mapping[str, str]) -> dict[str, str]:
    """Return where each file stands in the order of imports: in its part, or for itself.

    A few files beside folders that are parts of their own are often what all rests on, or what holds all together.
    """
    sizes = Counter(part_of.values())
    beside = {part for part in sizes if any(other.startswith(f"{part}/") for other in sizes)}
    alone = {part for part in beside if sizes[part] <= _FEW}
    return {path: path if part in alone else part for path, part in part_of.items()}


def imports_between(sources: Sources, place_of: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Return how often one place imports from another one, by (importing, imported)."""
    modules = {module_name(path): place for path, place in place_of.items()}
    found: Counter[tuple[str, str]] = Counter()
    for source in sources:
        importing = place_of[source["path"]]
        for name in source["imports"]:
            imported = _place_of_module(name, modules)
            if imported is not None and imported != importing:
                found[importing, imported] += 1
    return dict(found)


def _place_of_module(name: str, modules: Mapping[str, str]) -> str | None:
    """Return the place of the longest beginning of a dotted name that is a module; None where nothing is."""
    while name:
        if name in modules:
            return modules[name]
        name = name.rpartition(".")[0]
    return None


def layers(imports: Mapping[tuple[str, str], int]) -> list[str]:
    """Return the places of `imports` in an order in which few of them point up: what imports stands above.

    Takes away what nothing else imports any more, from the top; what imports nothing any more, from the bottom; and
    where all hang together, what imports most for what it is imported (Eades, Lin and Smyth).
    """
    left = sorted({place for pair in imports for place in pair})
    top: list[str] = []
    bottom: list[str] = []
    while left:
        gives = {name: sum(imports.get((name, other), 0) for other in left) for name in left}
        takes = {name: sum(imports.get((other, name), 0) for other in left) for name in left}
        sinks = [name for name in left if not gives[name] and takes[name]]
        if sinks:
            bottom.insert(0, sinks[-1])
            left.remove(sinks[-1])
            continue
        sources = [name for name in left if not takes[name]]
        chosen = sources[0] if sources else max(left, key=lambda name: (gives[name] - takes[name], name))
        top.append(chosen)
        left.remove(chosen)
    return top + bottom
