"""`windlass run graph`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.job.graph import show_graph
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.states import COLOURS, SIGNS, counted, state_of
from windlass.cli.text import short_id

_EXAMPLES = """
windlass run graph 01a20241-74c1
windlass run graph 01a20241-74c1 --format mermaid
"""


@make(name="graph", formats=("mermaid", "dot"), examples=_EXAMPLES)
@click.argument("run", type=RUN)
def command(session: Session, *, run: str) -> None:
    """Draw the steps of a run with their states, or print the graph (--format mermaid, dot, json)."""
    with session.connect() as client:
        graph = client.get("runs", run, "graph")
    states = {node["name"]: state_of(node["counts"]) for node in graph["nodes"]}

    def text(node: Mapping[str, Any]) -> tuple[str, str]:
        state = states[node["name"]]
        told = counted(node["counts"]) if sum(node["counts"].values()) > 1 else state
        kept = [task.get("keptFrom") for task in node["tasks"]]
        if kept and all(kept):
            how = "cached" if all(task["reason"] == "cached" for task in node["tasks"]) else "kept"
            return SIGNS[state], f"{node['name']}  {told}  {how} from run {short_id(kept[0])}"
        reason = next((task["reason"] for task in node["tasks"] if task["reason"] not in {None, "", state}), None)
        return SIGNS[state], "  ".join(filter(None, [node["name"], told, reason]))

    def colour(node: Mapping[str, Any]) -> str:
        return COLOURS[states[node["name"]]]

    show_graph(session, graph, text, states=states, colour=colour)
