"""The program that measures the DAG engine by itself: `python -m bench.graph ours|graphlib < OPTIONS`."""

from __future__ import annotations

import json
import random
import sys
import time
from graphlib import TopologicalSorter
from typing import Any

from windlass.model.definition import TriggerRule
from windlass.model.graph import StepGraph
from windlass.model.progress import Tally, advance

_COMPLETED = Tally(completed=1)


def edges(nodes: int, each: int) -> list[tuple[int, ...]]:
    """Return what comes before each node: up to `each` of the 500 nodes before it, the same at every call."""
    dice = random.Random(1)  # noqa: S311 - a graph that can be drawn again
    return [
        tuple(sorted({dice.randrange(max(0, node - 500), node) for _ in range(each)})) if node else ()
        for node in range(nodes)
    ]


class Memory:
    """A run in memory, in which everything completes; see `RunView`."""

    def __init__(self, graph: StepGraph) -> None:
        """Begin with nothing done."""
        self._waiting = [len(before) for before in graph.predecessors]

    def settle(self, step: int) -> int:
        """Note that a predecessor became final."""
        self._waiting[step] -= 1
        return self._waiting[step]

    def tally(self, _: int) -> Tally:
        """Return how a final step ended."""
        return _COMPLETED

    def chosen(self, _: int) -> None:
        """Return nothing: there is no branch."""


def ours(options: dict[str, Any]) -> dict[str, float]:
    """Order a graph and put it in layers, then drive it from its roots to its end, step by step."""
    before = edges(options["nodes"], options["edges"])
    began = time.perf_counter()
    after: list[list[int]] = [[] for _ in before]
    for node, others in enumerate(before):
        for other in others:
            after[other].append(node)
    graph = StepGraph(tuple(map(str, range(len(before)))), tuple(before), tuple(map(tuple, after)))
    if len(graph.order()) != len(before):
        raise SystemExit("a graph without a cycle has an order")
    ordered = time.perf_counter()
    graph.layers()
    layered = time.perf_counter()
    rules: tuple[TriggerRule, ...] = ("all_success",) * len(before)
    view, ready, done = Memory(graph), [*graph.roots], 0
    while ready:
        done += 1
        ready.extend(advance(graph, rules, (ready.pop(),), view).ready)
    if done != len(before):
        raise SystemExit(f"only {done} of {len(before)} steps were started")
    ended = time.perf_counter()
    return {"order": ordered - began, "layers": layered - ordered, "progress": ended - layered}


def graphlib(options: dict[str, Any]) -> dict[str, float]:
    """Order the same graph by the standard library, and take its nodes as they become ready."""
    before = edges(options["nodes"], options["edges"])
    began = time.perf_counter()
    order = [*TopologicalSorter(dict(enumerate(before))).static_order()]
    ordered = time.perf_counter()
    sorter = TopologicalSorter(dict(enumerate(before)))
    sorter.prepare()
    prepared = time.perf_counter()
    done = 0
    while sorter:
        for node in sorter.get_ready():
            sorter.done(node)
            done += 1
    if not len(order) == done == len(before):
        raise SystemExit(f"{len(order)} and {done} of {len(before)} nodes were ordered")
    return {"order": ordered - began, "progress": time.perf_counter() - prepared}


if __name__ == "__main__":
    print(json.dumps({"ours": ours, "graphlib": graphlib}[sys.argv[1]](json.load(sys.stdin))))
