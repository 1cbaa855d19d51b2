"""Which tasks a run has."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from windlass.errors import ExpressionError, LimitExceeded, UserError
from windlass.model.definition import Job, Step
from windlass.model.fanout import Cell, Expansion, expand_job, fans_out


def expand(*matrices: dict[str, Any] | None, limit: int = 100, **axes: Any) -> Expansion:
    steps = tuple(Step(name=f"s{n}", type="fake", matrix=matrix) for n, matrix in enumerate(matrices))
    return expand_job(Job(alias="job", steps=steps), axes.__getitem__, limit=limit)


@pytest.mark.promise("C12")
def test_a_matrix_makes_one_cell_for_each_combination_in_order() -> None:
    cells = expand({"python": ["3.11", "3.12"], "os": ["a", "b"]}).cells[0]
    assert cells is not None
    assert [cell.key for cell in cells] == ["3.11,a", "3.11,b", "3.12,a", "3.12,b"]
    assert cells[1].values == {"python": "3.11", "os": "b"}


def test_steps_without_a_matrix_have_one_task() -> None:
    expansion = expand(None, {"n": [1, 2, 3]}, None)
    assert [cells is None for cells in expansion.cells] == [True, False, True]
    assert expansion.layout().first == (0, 1, 4, 5)


@pytest.mark.promise("C12")
def test_an_empty_matrix_still_has_one_task() -> None:
    assert expand({"n": [], "m": [1, 2]}).cells == ((),)
    assert expand({"n": []}).layout().size == 1


def test_values_of_every_json_kind_have_keys() -> None:
    cells = expand({"v": ["x", 1, True, None, 1.5, {"a": [1]}, "ä"]}).cells[0]
    assert [cell.key for cell in cells or ()] == ["x", "1", "true", "null", "1.5", '{"a":[1]}', "ä"]


def test_an_axis_may_be_an_expression() -> None:
    cells = expand({"host": "HOSTS"}, HOSTS=["a", "b"]).cells[0]
    assert [cell.values for cell in cells or ()] == [{"host": "a"}, {"host": "b"}]


@pytest.mark.parametrize("value", ["eu", 5, None, {"a": 1}, (1, 2)])
def test_an_axis_that_is_no_list_is_refused_by_name(value: object) -> None:
    with pytest.raises(UserError, match=r'Step "s0": matrix\.host must be a list'):
        expand({"host": "HOSTS"}, HOSTS=value)


def test_more_cells_than_the_limit_are_refused_before_they_are_made() -> None:
    thousand = list(range(1000))
    with pytest.raises(LimitExceeded, match='Tasks of step "s0": 1,000,000,000,000 is over the limit of 20,000'):
        expand({"a": thousand, "b": thousand, "c": thousand, "d": thousand}, limit=20_000)
    assert expand({"a": [1, 2]}, limit=2).layout().size == 2


def test_a_matrix_without_end_is_refused_as_well() -> None:
    with pytest.raises(LimitExceeded, match="1,000,000,000,000 is over the limit of 100"):
        expand({f"a{axis}": [1, 2] for axis in range(20_000)})


def test_all_matrices_of_a_run_together_have_a_limit() -> None:
    with pytest.raises(LimitExceeded, match="Tasks of all matrices of a run: 22 is over the limit of 20"):
        expand(*[{"n": [1, 2]}] * 50_000, limit=2)
    assert expand(*[{"n": [1, 2]}] * 10, limit=2).layout().size == 20


@pytest.mark.parametrize("values", [["a", "a"], [1, "1"], [[1], "[1]"]])
def test_cells_that_could_not_be_told_apart_are_refused(values: list[Any]) -> None:
    with pytest.raises(UserError, match="two cells of its matrix are the same"):
        expand({"v": values})


def test_an_expansion_survives_being_kept() -> None:
    expansion = expand(None, {"a": ["x"], "b": [1, {"c": None}]}, {"n": []})
    kept = orjson.loads(orjson.dumps(expansion.to_json()))
    assert Expansion.from_json(kept) == expansion
    assert Expansion.from_json(kept).cells[1] == (Cell("x,1", {"a": "x", "b": 1}), Cell('x,{"c":null}', {"a": "x", "b": {"c": None}}))  # fmt: skip  # noqa: E501 - one value


def test_a_job_fans_out_where_any_step_has_a_matrix() -> None:
    plain, wide = Step(name="a", type="fake"), Step(name="b", type="fake", matrix={})
    assert not fans_out(Job(alias="job", steps=(plain,)))
    assert fans_out(Job(alias="job", steps=(plain, wide)))


def test_a_cell_whose_key_would_be_very_long_is_refused_before_it_is_made() -> None:
    with pytest.raises(LimitExceeded, match='longest cell of step "s0": 200,002 is over the limit of 1,000'):
        expand({"a": list(range(10)), "b": ["x" * 200_000]})


def test_an_axis_whose_expression_fails_is_named() -> None:
    def evaluate(text: str) -> object:
        raise ExpressionError(f"{text}: division by zero")

    steps = (Step(name="s", type="fake", matrix={"host": "${{ 1/0 }}"}),)
    with pytest.raises(UserError, match=r'^Step "s": matrix\.host: \$\{\{ 1/0 \}\}: division by zero\.$'):
        expand_job(Job(alias="job", steps=steps), evaluate, limit=10)
