"""The drawings of the report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from math import log, sqrt
from pathlib import PurePosixPath
from typing import Any

from atlas.drawing import LETTER, WIDE, Drawing, shortened
from atlas.parts import short_names
from atlas.treemap import Area, areas

Atlas = Mapping[str, Any]

#: What a line can be, in the words of the report.
KINDS = {"code": "code", "docs": "docstrings", "comments": "comments", "blank": "blank"}
_LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
#: Ways through a function from which on the scale gets wider steps.
_MANY_PATHS = 60
#: From this depth on, light text can be read on a colour, and dark text no more.
_DEEP = 0.55
#: Pixels that a line of text needs.
_LEAST_HEIGHT = 15


def map_of_files(atlas: Atlas, width: float) -> Drawing:
    """Draw every file as large as its lines of code, and the deeper in colour the more winding it is."""
    drawing = Drawing(width, 440 if width == WIDE else 520, "Map of all files by lines of code")
    winding: dict[str, int] = defaultdict(int)
    for function in atlas["functions"]:
        winding[function["path"]] = max(winding[function["path"]], function["paths"])
    most = max(winding.values(), default=1)
    code = {part["name"]: part["code"] for part in atlas["parts"] if part["code"]}
    names = short_names(code)
    for part, area in areas(code, Area(0, 0, width, drawing.height)).items():
        drawing.text(area.x + 3, area.y + 12, shortened(names[part], area.width - 6), "strong")
        files = {file["path"]: file["code"] for file in atlas["files"] if file["part"] == part and file["code"]}
        for path, tile in areas(files, area.inset(1.5, 17)).items():
            depth = 0.10 + 0.85 * winding[path] / most
            ways = f", up to {winding[path]} ways through a function" if winding[path] else ""
            drawing.box(tile.x, tile.y, tile.width, tile.height, "tile", depth, f"{path}: {files[path]} lines{ways}")
            label = shortened(PurePosixPath(path).stem.removeprefix("test_"), tile.width - 6)
            if label and tile.height >= _LEAST_HEIGHT:
                drawing.text(tile.x + 3, tile.y + 12, label, "on-deep" if depth > _DEEP else "")
    return drawing


def who_imports_whom(atlas: Atlas, width: float) -> Drawing:
    """Draw a row and a column for each place: how often the row imports from the column."""
    order: list[str] = atlas["order"]
    names = short_names(order)
    longest = max(map(len, names.values()), default=0)
    wide = width == WIDE
    left = min(longest * LETTER + 10, 0.35 * width)
    top = left * 0.75 + 8
    # The last slanted name needs room to the right of its column.
    cell = min((width - left - top / 2) / max(len(order), 1), 36)
    drawing = Drawing(width, top + cell * len(order) + 4, "Which part imports which other part, and how often")
    at = {name: number for number, name in enumerate(order)}
    most = max((number for *_, number in atlas["imports"]), default=1)
    for name, number in at.items():
        middle = number * cell + cell / 2 + 4
        drawing.text(left - 6, top + middle, shortened(names[name], left - 6), anchor="end")
        drawing.text(left + middle, top - 6, shortened(names[name], left - 6), turn=-50)
        drawing.box(left + number * cell, top + number * cell, cell - 1, cell - 1, "self")
    for importing, imported, number in atlas["imports"]:
        x, y = left + at[imported] * cell, top + at[importing] * cell
        depth = 0.15 + 0.8 * log(1 + number) / log(1 + most)
        up = at[importing] > at[imported]
        drawing.box(
            x, y, cell - 1, cell - 1, "bad" if up else "tile", depth, f"{importing} imports {imported}: {number}"
        )
        if wide:
            style = "on-deep" if depth > _DEEP else ""
            drawing.text(x + cell / 2 - 0.5, y + cell / 2 + 4, str(number), style, anchor="middle")
    return drawing


def lengths_and_paths(atlas: Atlas, limits: tuple[int, int], width: float) -> Drawing:
    """Draw functions by their lines and the ways through them; `limits` are what a strict reader allows of both."""
    drawing = Drawing(width, 360 if width == WIDE else 300, "Functions by length and by the ways through them")
    left, right, top, bottom = 34, 12, 22, 34
    points = Counter((function["lines"], function["paths"]) for function in atlas["functions"])
    named = {(function["lines"], function["paths"]): function for function in atlas["functions"]}
    most_lines: float = max([limits[0], *(lines for lines, _ in points)]) * 1.2
    most_paths: float = max([limits[1], *(paths for _, paths in points)]) * 1.08

    def across(lines: int) -> float:
        """Lengths differ by orders of magnitude, so equal steps are equal factors."""
        return left + (width - left - right) * log(lines + 1) / log(most_lines + 1)

    def up(paths: int) -> float:
        return drawing.height - bottom - (drawing.height - top - bottom) * paths / most_paths

    for lines in (tick for tick in _LENGTHS if tick < most_lines):
        drawing.line(across(lines), up(0), across(lines), top, "grid")
        drawing.text(across(lines), up(0) + 15, str(lines), "soft", anchor="middle")
    for paths in range(0, int(most_paths), 5 if most_paths < _MANY_PATHS else 20):
        drawing.line(left, up(paths), width - right, up(paths), "grid")
        drawing.text(left - 6, up(paths) + 4, str(paths), "soft", anchor="end")
    drawing.text(width - right, drawing.height - 4, "lines", "soft", anchor="end")
    drawing.text(0, 12, "ways through it", "soft")
    drawing.line(across(limits[0]), up(0), across(limits[0]), top, "limit")
    drawing.line(left, up(limits[1]), width - right, up(limits[1]), "limit")
    for (lines, paths), number in sorted(points.items()):
        function = named[lines, paths]
        more = f" and {number - 1} more" if number > 1 else ""
        what = f"{function['path']}:{function['line']} {function['name']}{more}: {lines} lines, {paths} ways"
        style = "dot beyond" if lines > limits[0] or paths > limits[1] else "dot"
        drawing.dot(across(lines), up(paths), min(2 + sqrt(number) / 2, 9), style, what)
    return drawing


def lines_by_kind(atlas: Atlas, width: float) -> Drawing:
    """Draw a bar for each part: what its lines are, and how much of what is public has a docstring."""
    parts = sorted(atlas["parts"], key=lambda part: -_all_lines(part))
    names = short_names([part["name"] for part in parts])
    row, wide = 24, width == WIDE
    left = min(max(map(len, names.values()), default=0) * LETTER + 10, 0.3 * width)
    right = 170 if wide else 60
    drawing = Drawing(width, row * len(parts) + 26, "Lines of each part by kind")
    most = max(map(_all_lines, parts), default=1)
    drawing.text(width, 12, "public, with docstring" if wide else "documented", "soft", anchor="end")
    for number, part in enumerate(parts):
        y = 22 + number * row
        drawing.text(left - 8, y + 13, shortened(names[part["name"]], left - 8), anchor="end")
        x = left
        for kind, words in KINDS.items():
            length = (width - left - right) * part[kind] / most
            drawing.box(x, y + 2, length, row - 8, f"kind-{kind}", 1, f"{part['name']}: {part[kind]} lines of {words}")
            x += length
        drawing.text(x + 6, y + 13, f"{_all_lines(part):,}", "soft")
        if part["public"]:
            share = round(100 * part["documented"] / part["public"])
            shown = f"{part['documented']:,} of {part['public']:,}" if wide else f"{share} %"
            drawing.text(width, y + 13, shown, "soft" if part["documented"] == part["public"] else "warn", anchor="end")
    return drawing


def _all_lines(part: Mapping[str, int]) -> int:
    return sum(part[kind] for kind in KINDS)
