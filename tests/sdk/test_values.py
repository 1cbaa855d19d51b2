"""Contexts become parameters, outputs become results."""
# ruff: noqa: ANN001, ANN201, D101 - jobs as applications write them, some without annotations

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from windlass import Job, UserError, job
from windlass.sdk.definition import define
from windlass.sdk.values import result_of


@dataclass
class Order:
    item: str
    count: int = 1
    due: datetime | None = None


class OfOrder(Job[Order, Order]):
    async def execute(self, context: Order) -> Order: ...  # type: ignore[override,empty-body]


class OfNumber(Job[int, int]):
    async def execute(self, context: int, progress: Any) -> int: ...  # type: ignore[empty-body]


class OfMapping(Job[dict[str, int], Any]):
    async def execute(self, context: dict[str, int], progress: Any) -> Any: ...


class OfAnything(Job[Any, Any]):
    async def execute(self, context, progress): ...


class OfNothing(Job[None, None]):
    async def execute(self) -> None: ...  # type: ignore[override]


@job
def add(left: int, right: int = 1) -> int: ...  # type: ignore[empty-body]


@job
def loose(left, right=1): ...


@job
def one(number: int) -> int: ...  # type: ignore[empty-body]


def taken(target: Any, context: Any) -> Mapping[str, Any]:
    definition = define(target)
    return definition.taking.parameters_of(context, definition.alias, 1000)


@pytest.mark.promise("K01")
@pytest.mark.parametrize(
    ("target", "context", "parameters"),
    [
        (OfOrder, Order("tea"), {"item": "tea", "count": 1}),
        (OfOrder, {"item": "tea", "count": 2}, {"item": "tea", "count": 2}),
        (
            OfOrder,
            Order("tea", 1, datetime(2026, 1, 2, tzinfo=UTC)),
            {"item": "tea", "count": 1, "due": "2026-01-02T00:00:00+00:00"},
        ),
        (OfNumber, 7, {"context": 7}),
        (OfMapping, {"a": 1}, {"context": {"a": 1}}),
        (OfMapping, {"context": 1}, {"context": {"context": 1}}),
        (OfAnything, {"a": [1, None]}, {"context": {"a": [1, None]}}),
        (OfAnything, "text", {"context": "text"}),
        (OfAnything, None, {"context": None}),
        (OfNothing, None, {}),
        (add, {"left": 1}, {"left": 1}),
        (add, {"left": 1, "right": 2}, {"left": 1, "right": 2}),
        (loose, {"left": "x"}, {"left": "x"}),
        (one, 5, {"number": 5}),
        (one, {"number": 5}, {"number": 5}),
    ],
)
def test_a_context_becomes_parameters(target: Any, context: Any, parameters: dict[str, Any]) -> None:
    assert taken(target, context) == parameters


@pytest.mark.promise("K01")
@pytest.mark.parametrize(
    ("target", "context", "sentence"),
    [
        (OfOrder, {"item": 7}, 'Job "of-order": the context does not fit: Expected `str`, got `int`'),
        (OfOrder, {}, "the context does not fit: Object missing required field `item`"),
        (OfOrder, None, "the context does not fit"),
        (OfNumber, "seven", "the context does not fit: Expected `int`, got `str`"),
        (OfNothing, 1, "it takes no context"),
        (OfAnything, object(), "the context holds a object, which JSON does not have"),
        (OfAnything, math.nan, "a number that is not finite"),
        (OfAnything, 2**70, "an integer beyond 64 bits"),
        (OfAnything, "\ud800", "text that is not valid Unicode"),
        (OfAnything, "x" * 2000, "the context of job"),
        (add, {"right": 1}, 'its parameter "left" is missing'),
        (add, {"left": 1, "up": 2}, 'it has no parameter "up"; it has left, right'),
        (add, {"left": "x"}, '"left" does not fit: Expected `int`, got `str`'),
        (add, 5, "its context is a mapping of its parameters by name, not a int"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(target: Any, context: Any, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        taken(target, context)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "outputs", "result"),
    [
        (int, {"result": 4}, 4),
        (Any, {"result": 4}, 4),
        (Any, {}, None),
        (type(None), {}, None),
        (Any, {"a": 1}, {"a": 1}),
        (dict, {"result": 4}, {"result": 4}),
        (Order, {"item": "tea", "count": 2}, Order("tea", 2)),
        (Order | None, {"item": "tea"}, Order("tea")),
        (Order | None, {}, None),
        (list[Order], {"result": [{"item": "tea"}]}, [Order("tea")]),
        (datetime, {"result": "2026-01-02T00:00:00Z"}, datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_outputs_become_the_result(kind: Any, outputs: dict[str, Any], result: Any) -> None:
    assert result_of(kind, outputs) == result


def test_outputs_that_are_no_such_result_are_refused() -> None:
    with pytest.raises(UserError, match="the result does not fit"):
        result_of(int, {"result": "four"})
