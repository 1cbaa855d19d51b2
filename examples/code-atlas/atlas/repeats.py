"""The step `repeats`: code that stands in more than one place.

Every run of six lines is remembered, so memory grows with the code base. It starts with little; where that is not
enough it ends with 75 (try again later), and each further attempt may remember four times as much.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from atlas.python_source import is_test

#: Lines that a run must have in common to count.
_LEAST = 6
_FIRST_BUDGET = 10_000
_TRY_AGAIN = 75
_SHOWN = 10

#: A line of code, without the white space around it, and its number.
Line = tuple[str, int]
#: A file and the index of one of its lines of code.
Place = tuple[str, int]


def main(work: str) -> int:
    """Write `repeats.json` into the folder `work`; return the exit status."""
    folder = Path(work)
    attempt = int(os.environ.get("WINDLASS_ATTEMPT", "1"))
    listing = json.loads((folder / "files.json").read_text())
    files = {
        path: list(code_lines((Path(listing["root"]) / path).read_text(encoding="utf-8", errors="replace")))
        for path in listing["part_of"]
        if not is_test(path)
    }
    number, budget = sum(map(len, files.values())), _FIRST_BUDGET * 4 ** (attempt - 1)
    if number > budget:
        print(f"{number:,} lines are more than the {budget:,} of attempt {attempt}", file=sys.stderr)
        return _TRY_AGAIN
    found = repeated(files)
    (folder / "repeats.json").write_text(json.dumps(found[:_SHOWN]))
    lines = sum(map(again, found))
    for block in found[:_SHOWN]:
        print(f"{block['lines']} lines: {', '.join(block['places'])}")
    print("##windlass::output " + json.dumps({"lines": lines, "of": number}))
    return 0


def code_lines(text: str) -> Iterator[Line]:
    """Yield the lines of a file that are code and no import; nothing where the file is no Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    silent = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.strip()
        if plain and not plain.startswith("#") and number not in silent:
            yield plain, number


def repeated(files: Mapping[str, Sequence[Line]]) -> list[dict[str, Any]]:
    """Return the blocks of code that stand in several places, those first that repeat most."""
    starts: dict[int, list[Place]] = defaultdict(list)
    for path, lines in files.items():
        for start in range(len(lines) - _LEAST + 1):
            starts[_fingerprint(lines, start)].append((path, start))
    blocks: list[dict[str, Any]] = []
    counted: set[Place] = set()
    for path, lines in files.items():
        for start in range(len(lines) - _LEAST + 1):
            places = _apart([place for place in starts[_fingerprint(lines, start)] if place not in counted])
            if (path, start) not in places or len(places) == 1:
                continue
            length = min(_common(lines, start, files[other], at) for other, at in places[1:])
            if length >= _LEAST:
                counted.update((where, at + step) for where, at in places for step in range(length))
                shown = [f"{where}:{files[where][at][1]}" for where, at in places]
                blocks.append({"lines": length, "places": shown, "first": lines[start][0]})
    return sorted(blocks, key=lambda block: (-again(block), block["places"]))


def again(block: Mapping[str, Any]) -> int:
    """Return the lines of a block that would not be there if it stood in one place."""
    lines: int = block["lines"]
    return lines * (len(block["places"]) - 1)


def _fingerprint(lines: Sequence[Line], start: int) -> int:
    return hash(tuple(text for text, _ in lines[start : start + _LEAST]))


def _apart(places: Sequence[Place]) -> list[Place]:
    """Return `places` without those that begin within another one."""
    kept: list[Place] = []
    for path, start in places:
        if not kept or kept[-1][0] != path or start >= kept[-1][1] + _LEAST:
            kept.append((path, start))
    return kept


def _common(one: Sequence[Line], at: int, other: Sequence[Line], also_at: int) -> int:
    """Return how many lines two places have in common; in one file the first ends where the second begins."""
    pairs = zip(one[at : also_at if one is other else None], other[also_at:], strict=False)
    return len(list(takewhile(lambda pair: pair[0][0] == pair[1][0], pairs)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
