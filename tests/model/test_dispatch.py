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
    assert choose(ready, 9, room) == ["one", "free"]
    assert room == {"a": 2}


def test_no_more_than_asked_for() -> None:
    assert choose([(1, []), (2, []), (3, [])], 2, {}) == [1, 2]


@pytest.mark.promise("H04")
@given(st.lists(NEEDS, max_size=12), st.integers(0, 12), st.integers(-2, 6), st.integers(0, 6))
def test_no_limit_is_ever_passed_and_order_is_kept(
    needs: list[list[tuple[str, int]]], most: int, a: int, b: int
) -> None:
    room = {"a": a, "b": b}
    chosen = choose(list(enumerate(needs)), most, room)
    assert chosen == sorted(chosen)
    assert len(chosen) <= most
    for name, before in (("a", a), ("b", b)):
        taken = sum(units for one in chosen for other, units in needs[one] if other == name)
        assert room[name] == before - taken
        assert taken == 0 or taken <= before
