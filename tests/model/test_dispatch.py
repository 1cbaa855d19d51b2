"""Which ready tasks are handed out where limits leave room for some only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.dispatch import choose

NEEDS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 4)), max_size=2, unique_by=lambda need: need[0])


def test_what_does_not_fit_keeps_its_place_before_what_would() -> None:
    room = {"a": 3}
    ready = [("one", [("a", 1)]), ("large", [("a", 3)]), ("free", []), ("small", [("a", 1)])]
    assert choose(ready, 9, room).tasks == ["one", "free"]
    assert room == {"a": 2}


def test_limits_of_one_line_hold_for_all_in_it() -> None:
    lines = {"hour": "line", "minute": "line"}
    both, hour = [("hour", 2), ("minute", 2)], [("hour", 1)]
    choice = choose([(1, hour), (2, both), (3, hour), (4, [])], 9, {"hour": 9, "minute": 1}, lines)
    assert choice.tasks == [1, 4]
    assert choice.short == {"line": both}


def test_what_others_will_take_keeps_its_place_and_what_it_needs() -> None:
    small, large = [("a", 1)], [("a", 2)]
    assert choose([(None, small), (1, large)], 9, {"a": 2}).tasks == []
    assert choose([(None, small), (1, large)], 9, {"a": 3}).tasks == [1]
    assert choose([(None, large), (1, small)], 9, {"a": 1}).tasks == []


def test_no_more_than_asked_for() -> None:
    assert choose([(1, []), (2, []), (3, [])], 2, {}).tasks == [1, 2]


@pytest.mark.promise("H04", part="limits")
@given(st.lists(NEEDS, max_size=12), st.integers(0, 12), st.integers(-2, 6), st.integers(0, 6))
def test_no_limit_is_ever_passed_and_order_is_kept(
    needs: list[list[tuple[str, int]]], most: int, a: int, b: int
) -> None:
    room = {"a": a, "b": b}
    chosen = choose(list(enumerate(needs)), most, room).tasks
    assert chosen == sorted(chosen)
    assert len(chosen) <= most
    for name, before in (("a", a), ("b", b)):
        taken = sum(units for one in chosen for other, units in needs[one] if other == name)
        assert room[name] == before - taken
        assert taken == 0 or taken <= before
