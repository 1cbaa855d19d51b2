"""Graphs of steps, and which tasks stand for which step."""

from __future__ import annotations

import pytest

from windlass.model.definition import Job, Step
from windlass.model.graph import StepGraph, layout_of, step_graph

LARGE = 20_000


def graph_of(**edges: str) -> StepGraph:
    """Return a graph of steps by name, each with the names before it, separated by blanks."""
    steps = tuple(Step(name=name, type="fake", depends_on=tuple(before.split())) for name, before in edges.items())
    return step_graph(Job(alias="job", steps=steps))


def test_both_directions_of_every_edge_are_known() -> None:
    graph = graph_of(a="", b="a", c="a", d="c b")
    assert graph.names == ("a", "b", "c", "d")
    assert graph.predecessors == ((), (0,), (0,), (1, 2))
    assert graph.successors == ((1, 2), (3,), (3,), ())
    assert (graph.roots, graph.leaves) == ((0,), (3,))


def test_steps_may_stand_in_the_file_before_those_they_depend_on() -> None:
    graph = graph_of(last="middle", middle="first", first="")
    assert graph.order() == [2, 1, 0]
    assert graph.layers() == [[2], [1], [0]]
    assert (graph.roots, graph.leaves) == ((2,), (0,))


def test_a_step_without_edges_is_root_and_leaf() -> None:
    graph = graph_of(a="", b="", c="b")
    assert (graph.roots, graph.leaves) == ((0, 1), (0, 2))


def test_layers_go_by_the_longest_way_and_keep_file_order() -> None:
    graph = graph_of(a="", short="a", b="a", c="b", end="short c", other="")
    assert graph.layers() == [[0, 5], [1, 2], [3], [4]]


def test_the_order_prefers_what_comes_first_in_the_file() -> None:
    graph = graph_of(z="", a="", join="a z", m="")
    assert graph.order() == [0, 1, 3, 2]


def test_a_graph_without_steps_is_empty() -> None:
    graph = StepGraph((), (), ())
    assert (graph.order(), graph.layers(), graph.roots, graph.leaves) == ([], [], (), ())


@pytest.mark.promise("C12")
def test_a_long_chain_is_no_matter_of_depth() -> None:
    numbers = range(LARGE)
    chain = step_graph(
        Job(
            alias="chain",
            steps=tuple(Step(name=f"s{n}", type="fake", depends_on=(f"s{n - 1}",) if n else ()) for n in numbers),
        )
    )
    assert chain.order() == list(numbers)
    assert len(chain.layers()) == LARGE


@pytest.mark.promise("C12")
def test_a_wide_join_is_one_layer_and_one_step() -> None:
    names = tuple(f"s{n}" for n in range(LARGE))
    steps = [Step(name=name, type="fake") for name in names]
    graph = step_graph(Job(alias="wide", steps=(*steps, Step(name="join", type="fake", depends_on=names))))
    assert [len(layer) for layer in graph.layers()] == [LARGE, 1]
    assert graph.predecessors[LARGE] == tuple(range(LARGE))


def test_tasks_of_a_step_stand_side_by_side() -> None:
    layout = layout_of([1, 3, 1])
    assert layout.size == 5
    assert [list(layout.tasks(step)) for step in range(3)] == [[0], [1, 2, 3], [4]]


def test_a_layout_without_steps_has_no_task() -> None:
    assert layout_of([]).size == 0
