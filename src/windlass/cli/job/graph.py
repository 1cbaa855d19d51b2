"""`windlass job graph`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import click

from windlass.cli.command import make
from windlass.cli.drawing import Line, dot, draw_within, lane_count, mermaid
from windlass.cli.options import JOB
from windlass.cli.session import Session
from windlass.cli.states import paint
from windlass.cli.text import clean, fitted, width_of

#: Columns that a step's own text gets at least; a graph with more lanes is shown as a list.
_TEXT: Final = 30
#: Columns of output that no terminal limits.
_WIDE: Final = 160

_EXAMPLES = """
windlass job graph orders
windlass job graph orders --format dot | dot -Tsvg > orders.svg
"""


@make(name="graph", formats=("mermaid", "dot"), examples=_EXAMPLES)
@click.argument("job", type=JOB)
def command(session: Session, *, job: str) -> None:
    """Draw the steps of a job, or print the graph for another program (--format mermaid, dot, json)."""
    with session.connect() as client:
        graph = client.get("jobs", job, "dag", project=session.project)

    def text(node: Mapping[str, Any]) -> tuple[str, str]:
        rule = node["triggerRule"]
        notes = [node["type"], "" if rule == "all_success" else rule]
        return "◆" if node["branch"] else "●", "  ".join([node["name"], *filter(None, notes)])

    show_graph(session, graph, text)


def show_graph(
    session: Session,
    graph: dict[str, Any],
    text: Callable[[Mapping[str, Any]], tuple[str, str]],
    *,
    states: Mapping[str, str] | None = None,
    colour: Callable[[Mapping[str, Any]], str] = lambda _: "",
) -> None:
    """Print a graph as asked for; `text` gives a node's sign and what stands beside it."""
    out = session.out
    if out.format in {"mermaid", "dot"}:
        lines = (mermaid if out.format == "mermaid" else dot)(graph, states)
        for line in lines:
            out.line(line)
        return
    out.value(graph, lambda: graph_lines(graph, text, width=out.width, colour=colour if out.colours else lambda _: ""))


def graph_lines(
    graph: Mapping[str, Any],
    text: Callable[[Mapping[str, Any]], tuple[str, str]],
    *,
    width: int | None,
    colour: Callable[[Mapping[str, Any]], str],
) -> Iterable[str]:
    """Return the drawing of a graph; a list by layers where its lanes leave no room for text."""
    nodes = {node["name"]: node for node in graph["nodes"]}
    lines = draw_within(graph["order"], graph["successors"], columns=(width or _WIDE) - 1 - _TEXT)
    if lines is None:
        return _layers(graph, nodes, text, width=width, colour=colour)
    lanes = lane_count(lines)
    room = (width or _WIDE) - lanes - 1
    return _drawn(lines, lanes, nodes, text, room=room if width else None, colour=colour)


def _drawn(
    lines: Iterable[Line],
    lanes: int,
    nodes: Mapping[str, Mapping[str, Any]],
    text: Callable[[Mapping[str, Any]], tuple[str, str]],
    *,
    room: int | None,
    colour: Callable[[Mapping[str, Any]], str],
) -> Iterator[str]:
    for line in lines:
        if line.node is None:
            yield line.before
            continue
        node = nodes[line.node]
        sign, label = text(node)
        blanks = " " * (lanes - line.width)
        shown = fitted(clean(label), room) if room else clean(label)
        yield f"{line.before}{paint(sign, colour(node))}{line.after}{blanks} {shown}"


def _layers(
    graph: Mapping[str, Any],
    nodes: Mapping[str, Mapping[str, Any]],
    text: Callable[[Mapping[str, Any]], tuple[str, str]],
    *,
    width: int | None,
    colour: Callable[[Mapping[str, Any]], str],
) -> Iterator[str]:
    digits = len(str(len(graph["layers"])))
    for number, layer in enumerate(graph["layers"], 1):
        for place, name in enumerate(layer):
            node = nodes[name]
            sign, label = text(node)
            before = ", ".join(node["dependsOn"])
            label = f"{label}  after {before}" if before else label
            head = f"{number if place == 0 else '':>{digits}}  "
            shown = fitted(clean(label), width - width_of(head) - 2) if width else clean(label)
            yield f"{head}{paint(sign, colour(node))} {shown}"
