"""A graph as text: steps below one another, and beside them a lane for each step that is still to come.

    ● extract
    ├─╮
    ● │ load-eu
    │ ● load-us
    ├─╯
    ● clean-up

A step stands in its own lane; below it the line goes on in the lanes of its successors. A lane that another line only
crosses stays whole. A line is left free where a step stands below another one without following from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Sign of a line's end or crossing, by where it goes: up, down, left, right.
_SIGNS: Final[Mapping[tuple[bool, bool, bool, bool], str]] = {
    (True, True, False, False): "│",
    (False, False, True, True): "─",
    (True, False, False, True): "╰",
    (True, False, True, False): "╯",
    (False, True, False, True): "╭",
    (False, True, True, False): "╮",
    (True, True, False, True): "├",
    (True, True, True, False): "┤",
    (False, True, True, True): "┬",
    (True, False, True, True): "┴",
    (True, True, True, True): "┼",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a drawing: a step's own, or the lines between steps."""

    #: What stands left of the step's sign; or the whole line where there is no step.
    before: str
    #: What stands right of the sign.
    after: str = ""
    #: The step; None between steps.
    node: str | None = None

    @property
    def width(self) -> int:
        """Columns of the lanes, the sign included."""
        return len(self.before) + len(self.after) + (self.node is not None)


def draw(order: Sequence[str], successors: Mapping[str, Sequence[str]]) -> Iterator[Line]:
    """Yield the lines of a graph whose nodes come in topological order."""
    lanes: list[str | None] = []
    ended = -1
    for node in order:
        begins = node not in lanes
        if begins:
            _open_lane(lanes, node, 0)
        at = lanes.index(node)
        if begins and at == ended:  # nothing leads from the step above to this one
            yield Line(_verticals([None if lane == node else lane for lane in lanes]).rstrip())
        yield Line(_verticals(lanes[:at]), _verticals(lanes[at + 1 :], leading=True), node)
        before = [lane is not None for lane in lanes]
        lanes[at] = None
        targets = []
        for successor in successors.get(node, ()):
            if successor not in lanes:
                _open_lane(lanes, successor, at)
            targets.append(lanes.index(successor))
        ended = -1 if targets else at
        between = _between(before, lanes, at, targets)
        if between is not None:
            yield Line(between)
        while lanes and lanes[-1] is None:
            lanes.pop()


def draw_within(
    order: Sequence[str], successors: Mapping[str, Sequence[str]], *, columns: int, rows: int | None = None
) -> list[Line] | None:
    """Return the lines of a graph; None where they take more than `columns` or `rows`, which is found out early."""
    if (rows is not None and len(order) > rows) or 2 * max(map(len, successors.values()), default=0) - 1 > columns:
        return None
    lines: list[Line] = []
    for line in draw(order, successors):
        lines.append(line)
        if line.width > columns or (rows is not None and len(lines) > rows):
            return None
    return lines


def lane_count(lines: Sequence[Line]) -> int:
    """Return the columns that the lanes of a drawing take."""
    return max((line.width for line in lines), default=0)


def mermaid(graph: Mapping[str, Any], states: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the lines of a graph for Mermaid; `states` by step colours them."""
    yield "flowchart TD"
    numbers = {node["name"]: number for number, node in enumerate(graph["nodes"])}
    for node in graph["nodes"]:
        name = str(node["name"]).replace('"', "#quot;")
        text = f"{name}<br/>{node['type']}"
        opening, closing = ("{{", "}}") if node["branch"] else ("[", "]")
        state = f":::{states[node['name']]}" if states and node["name"] in states else ""
        yield f'    s{numbers[node["name"]]}{opening}"{text}"{closing}{state}'
    for edge in graph["edges"]:
        yield f"    s{numbers[edge['from']]} --> s{numbers[edge['to']]}"
    for state, colour in _FILLS.items() if states else ():
        yield f"    classDef {state} fill:{colour}"


def dot(graph: Mapping[str, Any], states: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the lines of a graph for Graphviz; `states` by step colours them."""
    yield f"digraph {_quoted(graph['job'])} {{"
    yield "    node [shape=box, style=filled, fillcolor=white];"
    for node in graph["nodes"]:
        label = _quoted(f"{node['name']}\n{node['type']}")
        colour = _FILLS.get((states or {}).get(node["name"], ""), "white")
        yield f"    {_quoted(node['name'])} [label={label}, fillcolor={_quoted(colour)}];"
    for edge in graph["edges"]:
        yield f"    {_quoted(edge['from'])} -> {_quoted(edge['to'])};"
    yield "}"


_FILLS: Final[Mapping[str, str]] = {
    "completed": "#b7e4c7",
    "failed": "#f5b7b1",
    "timeout": "#f5b7b1",
    "running": "#aed6f1",
    "waiting": "#f9e79f",
    "queued": "#d6eaf8",
    "scheduled": "#d6eaf8",
    "skipped": "#eeeeee",
    "pending": "#eeeeee",
    "cancelled": "#e8daef",
}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _open_lane(lanes: list[str | None], node: str, near: int) -> None:
    """Give `node` the free lane that is nearest to the right of `near`, else the first one, else a new one."""
    free = [number for number, lane in enumerate(lanes) if lane is None]
    right = [number for number in free if number >= near]
    if right or free:
        lanes[(right or free)[0]] = node
    else:
        lanes.append(node)


def _verticals(lanes: Sequence[str | None], *, leading: bool = False) -> str:
    signs = ["│" if lane is not None else " " for lane in lanes]
    return "".join(f" {sign}" for sign in signs) if leading else "".join(f"{sign} " for sign in signs)


def _between(before: Sequence[bool], lanes: Sequence[str | None], at: int, targets: Sequence[int]) -> str | None:
    """Return the line that leads from lane `at` to the lanes `targets`; None where it just goes on."""
    if targets in ([], [at]):
        return None
    first, last = min(at, *targets), max(at, *targets)
    line = ""
    for number in range(len(lanes)):
        was = number < len(before) and before[number]
        joined = number == at or number in targets
        if joined:
            up = was or number == at
            sign = _SIGNS[up, lanes[number] is not None, number > first, number < last]
        elif was:
            sign = "│"
        else:
            sign = "─" if first < number < last else " "
        line += sign + ("─" if first <= number < last else " ")
    return line.rstrip()
