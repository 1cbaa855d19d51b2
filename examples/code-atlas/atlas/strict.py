"""The step `strict`: fails on whatever a strict reader would refuse. It is expected to."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SHOWN = 8


def main() -> int:
    """Read the arguments, write `strict.json` into the folder of the work, and return the exit status."""
    parser = ArgumentParser(description="Refuses what is long, winding or without a docstring.")
    parser.add_argument("work", type=Path)
    parser.add_argument("--lines", type=int, required=True, help="lines that a function may have")
    parser.add_argument("--paths", type=int, required=True, help="ways through a function")
    asked = parser.parse_args()
    atlas = json.loads((asked.work / "atlas.json").read_text())
    refused = [list(complaint) for complaint in complaints(atlas, asked.lines, asked.paths)]
    (asked.work / "strict.json").write_text(
        json.dumps({"lines": asked.lines, "paths": asked.paths, "refused": refused})
    )
    for place, why in refused[:_SHOWN]:
        print(f"{place}: {why}")
    if len(refused) > _SHOWN:
        print(f"and {len(refused) - _SHOWN} more")
    print("##windlass::output " + json.dumps({"refused": len(refused)}))
    return 1 if refused else 0


def complaints(atlas: Mapping[str, Any], lines: int, paths: int) -> Iterator[tuple[str, str]]:
    """Yield the place of everything that is refused, and the reason."""
    for function in atlas["functions"]:
        place = f"{function['path']}:{function['line']}"
        if function["lines"] > lines:
            yield place, f"{function['name']} has {function['lines']} lines, {lines} are allowed"
        if function["paths"] > paths:
            yield place, f"{function['name']} has {function['paths']} ways through it, {paths} are allowed"
        if function["public"] and not function["documented"]:
            yield place, f"{function['name']} has no docstring"


if __name__ == "__main__":
    sys.exit(main())
