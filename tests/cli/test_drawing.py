"""Graphs as text: every step once, every edge as a line that can be followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.cli.drawing import dot, draw, draw_within, lane_count, mermaid

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
GOES = {
    " ": 0,
    "│": UP | DOWN,
    "─": LEFT | RIGHT,
    "╰": UP | RIGHT,
    "╯": UP | LEFT,
    "╭": DOWN | RIGHT,
    "╮": DOWN | LEFT,
    "├": UP | DOWN | RIGHT,
    "┤": UP | DOWN | LEFT,
    "┬": DOWN | LEFT | RIGHT,
    "┴": UP | LEFT | RIGHT,
    "┼": UP | DOWN | LEFT | RIGHT,
}


def picture(order: Sequence[str], successors: Mapping[str, Sequence[str]]) -> list[str]:
    lines = draw(order, successors)
    return [line.before.rstrip() if line.node is None else f"{line.before}●{line.after} {line.node}" for line in lines]


def test_a_chain_needs_no_lines_between() -> None:
    assert picture("abc", {"a": ["b"], "b": ["c"]}) == ["● a", "● b", "● c"]


def test_a_fork_and_its_join() -> None:
    assert picture(["extract", "eu", "us", "clean"], {"extract": ["eu", "us"], "eu": ["clean"], "us": ["clean"]}) == [
        "● extract",
        "├─╮",
        "● │ eu",
        "│ ● us",
        "├─╯",
        "● clean",
    ]


def test_a_line_that_crosses_another_leaves_it_whole() -> None:
    successors = {"a": ["b", "c", "d", "h"], "b": ["e"], "c": ["e", "f"], "d": ["f", "g"]}
    successors |= {"e": ["h"], "f": ["h"], "g": ["h"]}
    assert picture("abcdefgh", successors) == [
        "● a",
        "├─┬─┬─╮",
        "● │ │ │ b",
        "│ ● │ │ c",
        "├─┤ │ │",
        "│ │ ● │ d",
        "│ ├─┤ │",
        "● │ │ │ e",
        "╰─│─│─┤",
        "  ● │ │ f",
        "  ╰─│─┤",
        "    ● │ g",
        "    ╰─┤",
        "      ● h",
    ]


def test_several_roots_meet_in_one_lane() -> None:
    assert picture("abcd", {"a": ["d"], "b": ["d"], "c": ["d"]}) == [
        "● a",
        "│ ● b",
        "├─╯",
        "│ ● c",
        "├─╯",
        "● d",
    ]


def test_steps_without_edges_stand_alone() -> None:
    assert picture("abc", {"a": ["c"]}) == ["● a", "│ ● b", "● c"]
    assert picture("ab", {}) == ["● a", "", "● b"]


@st.composite
def graphs(draw_: st.DrawFn) -> tuple[list[str], dict[str, list[str]]]:
    count = draw_(st.integers(1, 12))
    names = [f"s{number}" for number in range(count)]
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    chosen = draw_(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    successors: dict[str, list[str]] = {}
    for a, b in sorted(chosen):
        successors.setdefault(names[a], []).append(names[b])
    return names, successors


def grid(order: Sequence[str], successors: Mapping[str, Sequence[str]]) -> list[tuple[str, str | None]]:
    return [
        (line.before if line.node is None else f"{line.before}●{line.after}", line.node)
        for line in draw(order, successors)
    ]


def led_to(rows: list[tuple[str, str | None]], row: int, column: int) -> set[str]:
    """Return the steps that the lines out of the step at a place lead to, downwards only."""
    found: set[str] = set()
    seen: set[tuple[int, int, int]] = set()
    todo = [(row + 1, column, UP)]
    while todo:
        at, col, coming = todo.pop()
        if (at, col, coming) in seen or at >= len(rows):
            continue
        seen.add((at, col, coming))
        text, node = rows[at]
        sign = text[col] if col < len(text) else " "
        if sign == "●" and coming == UP:
            found.add(node or "")
            continue
        goes = GOES[sign]
        if coming in {LEFT, RIGHT} and sign == "│":  # crossed: the line goes on behind it
            goes = LEFT | RIGHT
        if not goes & coming:
            continue
        turns = coming != UP or (at == row + 1 and col == column)
        if goes & DOWN:
            todo.append((at + 1, col, UP))
        if turns and goes & LEFT and coming != LEFT:
            todo.append((at, col - 1, RIGHT))
        if turns and goes & RIGHT and coming != RIGHT:
            todo.append((at, col + 1, LEFT))
    return found


@given(graphs())
def test_every_edge_can_be_followed_and_there_are_no_others(graph: tuple[list[str], dict[str, list[str]]]) -> None:
    order, successors = graph
    rows = grid(order, successors)
    assert [node for _, node in rows if node] == order
    for number, (text, node) in enumerate(rows):
        if node is not None:
            assert led_to(rows, number, text.index("●")) == set(successors.get(node, ()))


def test_the_width_is_that_of_the_widest_line() -> None:
    assert lane_count(list(draw("abcd", {"a": ["b", "c", "d"]}))) == 5


GRAPH = {
    "job": 'a"b',
    "nodes": [
        {"name": "one", "type": "shell", "branch": True},
        {"name": 'tw"o', "type": "shell", "branch": False},
    ],
    "edges": [{"from": "one", "to": 'tw"o'}],
}


def test_other_programs_draw_it_too() -> None:
    assert list(mermaid(GRAPH)) == [
        "flowchart TD",
        '    s0{{"one<br/>shell"}}',
        '    s1["tw#quot;o<br/>shell"]',
        "    s0 --> s1",
    ]
    assert list(dot(GRAPH)) == [
        'digraph "a\\"b" {',
        "    node [shape=box, style=filled, fillcolor=white];",
        '    "one" [label="one\\nshell", fillcolor="white"];',
        '    "tw\\"o" [label="tw\\"o\\nshell", fillcolor="white"];',
        '    "one" -> "tw\\"o";',
        "}",
    ]


@pytest.mark.parametrize("render", [mermaid, dot])
def test_states_colour_the_steps(render: object) -> None:
    text = "\n".join(render(GRAPH, {"one": "failed"}))  # type: ignore[operator]
    assert "#f5b7b1" in text


def test_what_takes_too_much_room_is_not_drawn_to_its_end() -> None:
    fork = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}
    assert draw_within("abcd", fork, columns=3, rows=6) == list(draw("abcd", fork))
    assert draw_within("abcd", fork, columns=2) is None
    assert draw_within("abcd", fork, columns=3, rows=5) is None
    names = [f"s{number}" for number in range(20_000)]
    mesh = {name: names[number + 1 :: 997] for number, name in enumerate(names)}
    assert draw_within(names, mesh, columns=100) is None
    assert draw_within(names, {"s0": names[1:]}, columns=100) is None
