"""Keys of results: equal content has equal keys, other content has others."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import ExpressionError
from windlass.model.definition import Step
from windlass.model.step_cache import TTL, cache_key, is_cached, key_texts, ttl_of

pytestmark = pytest.mark.promise("C19")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PARTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=6)


def same(left: Any, right: Any) -> bool:
    """Say whether two JSON values are the same, kinds of numbers included; the order of names does not count."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


def turned(value: Any) -> Any:
    """Return a value with the names of all mappings in another order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


@given(left=PARTS, right=PARTS)
def test_keys_are_equal_where_the_content_is_and_only_there(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert (cache_key(left) == cache_key(right)) is same(left, right)


@given(parts=PARTS)
def test_neither_the_order_of_names_nor_the_object_counts(parts: dict[str, Any]) -> None:
    assert cache_key(turned(copy.deepcopy(parts))) == cache_key(parts)


@given(parts=PARTS, name=st.text(max_size=8), left=VALUES, right=VALUES)
def test_what_differs_is_named(parts: dict[str, Any], name: str, left: Any, right: Any) -> None:
    one, other = cache_key({**parts, name: left}), cache_key({**parts, name: right})
    assert one.differs(other.parts) == (() if same(left, right) else (name,))
    assert (one.text == other.text) is same(left, right)


def test_a_part_that_is_not_there_differs() -> None:
    assert cache_key({"a": 1}).differs({"b": "x"}) == ("a", "b")


def test_keys_tell_nothing_of_their_content() -> None:
    key = cache_key({"config": {"run": "a very telling text"}})
    assert len(key.text) == 64
    assert "telling" not in f"{key.text}{dict(key.parts)}"


@pytest.mark.parametrize("value", [{1: "a", "b": 2}, {(1, 2): 3}, object(), b"x"])
def test_what_is_no_json_has_no_key(value: Any) -> None:
    with pytest.raises(ExpressionError, match="no JSON"):
        cache_key({"a": value})


def step(type_: str = "shell", **cache: Any) -> Step:
    return Step(name="a", type=type_, cache=cache)


def test_texts_of_a_key_keep_the_kinds_of_their_values() -> None:
    texts = key_texts(step(key=["${{ parameters.n }}", "n-${{ parameters.n }}", "plain", "${{ parameters.nothing }}"]))
    assert texts.values({"parameters": {"n": 3, "nothing": None}}) == [3, "n-3", "plain", None]
    assert texts.references.parameters == {"n", "nothing"}
    assert key_texts(step(key=['${{ steps["load-eu"].outputs.n }}'])).references.steps == {"load-eu"}
    assert key_texts(step()).values({}) == []


def test_a_text_that_cannot_be_computed_names_its_expression() -> None:
    with pytest.raises(ExpressionError, match=r"parameters\.absent"):
        key_texts(step(key=["${{ parameters.absent }}"])).values({"parameters": {}})
    with pytest.raises(ExpressionError, match=r"parameters\.n.* null"):
        key_texts(step(key=["x${{ parameters.n }}"])).values({"parameters": {"n": None}})


@pytest.mark.parametrize(
    ("found", "cached"),
    [
        (step(), True),
        (step("python"), True),
        (step("wait"), False),
        (step("job"), False),
        (step("approval"), False),
        (Step(name="a", type="shell"), False),
    ],
)
def test_what_waits_is_never_cached(found: Step, *, cached: bool) -> None:
    assert is_cached(found) is cached


def test_a_result_is_good_for_a_day_unless_said() -> None:
    assert (ttl_of(step()), ttl_of(step(ttl=60))) == (TTL, 60.0) == (86_400.0, 60.0)
