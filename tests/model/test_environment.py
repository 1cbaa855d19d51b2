"""The environment of a step: what it has, and what is left out with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.model.environment import Facts, StepEnvironment, build_environment
from windlass.model.template import MAX_CARRIED, MAX_ENVIRONMENT

FACTS = Facts(project="default", job="nightly", revision="7", run_id="r1", task_id="t1", step="load", attempt="2")


def build(**changes: Any) -> StepEnvironment:
    arguments: dict[str, Any] = {
        "base": {"PATH": "/bin", "HOME": "/scratch/home"},
        "facts": FACTS,
        "env": {},
        "carried": {},
        "parameters": {},
        "outputs": {},
        **changes,
    }
    return build_environment(**arguments)


def test_the_whole_environment() -> None:
    built = build(
        env={"PATH": "/opt/bin", "TZ": "UTC"},
        carried={"WINDLASS_EXPR_1": "carried"},
        parameters={"region": "eu", "max-rows": 5, "a.b": True, "none": None, "token": "hush", "list": [1]},
        secret=frozenset({"token"}),
        outputs={"load-eu": {"row-count": 42, "path": "/x y"}},
        traceparent="00-1-2-01",
    )
    assert built.variables == {
        "PATH": "/opt/bin",
        "HOME": "/scratch/home",
        "TZ": "UTC",
        "WINDLASS_PROJECT": "default",
        "WINDLASS_JOB": "nightly",
        "WINDLASS_REVISION": "7",
        "WINDLASS_RUN_ID": "r1",
        "WINDLASS_TASK_ID": "t1",
        "WINDLASS_STEP": "load",
        "WINDLASS_ATTEMPT": "2",
        "CAESIUM_RUN_ID": "r1",
        "CAESIUM_JOB_ALIAS": "nightly",
        "TRACEPARENT": "00-1-2-01",
        "WINDLASS_EXPR_1": "carried",
        "WINDLASS_PARAM_REGION": "eu",
        "CAESIUM_PARAM_REGION": "eu",
        "WINDLASS_PARAM_MAX_ROWS": "5",
        "CAESIUM_PARAM_MAX_ROWS": "5",
        "WINDLASS_PARAM_A_B": "true",
        "CAESIUM_PARAM_A_B": "true",
        "WINDLASS_PARAM_LIST": "[1]",
        "CAESIUM_PARAM_LIST": "[1]",
        "WINDLASS_OUTPUT_LOAD_EU_ROW_COUNT": "42",
        "CAESIUM_OUTPUT_LOAD_EU_ROW_COUNT": "42",
        "WINDLASS_OUTPUT_LOAD_EU_PATH": "/x y",
        "CAESIUM_OUTPUT_LOAD_EU_PATH": "/x y",
    }
    assert built.left_out == ()
    assert built.context == {
        "project": "default",
        "job": "nightly",
        "revision": "7",
        "runId": "r1",
        "taskId": "t1",
        "step": "load",
        "attempt": "2",
        "parameters": {"region": "eu", "max-rows": 5, "a.b": True, "none": None, "list": [1]},
        "outputs": {"load-eu": {"row-count": 42, "path": "/x y"}},
    }


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("big", "x" * (MAX_CARRIED + 1), "it has 98,305 bytes, 98,304 fit"),
        ("nul", "a\0b", "it has a NUL character"),
        ("half", "\ud800", "it has half a character"),
        ("größe", "1", "its name has characters"),
        ("a b", "1", "its name has characters"),
        ("a=b", "1", "its name has characters"),
        ("a\nb", "1", "its name has characters"),
        ("nan", float("nan"), "is nan, which is no JSON number"),
    ],
)
def test_a_value_that_no_variable_can_hold_is_left_out_with_a_reason(name: str, value: object, reason: str) -> None:
    built = build(parameters={name: value, "other": "1"})
    assert [key for key in built.variables if "_PARAM_" in key] == ["WINDLASS_PARAM_OTHER", "CAESIUM_PARAM_OTHER"]
    (sentence,) = built.left_out
    assert sentence.startswith(f'parameter "{name}" is in no variable: ')
    assert reason in sentence
    assert sentence.endswith("it stands in the file $WINDLASS_CONTEXT")
    assert name in built.context["parameters"]


def test_two_names_for_one_variable_do_not_overwrite_each_other() -> None:
    built = build(parameters={"a-b": "1", "a.b": "2"})
    assert built.variables["WINDLASS_PARAM_A_B"] == "1"
    (sentence,) = built.left_out
    assert sentence.startswith('parameter "a.b" is in no variable: its variable would be that of parameter "a-b" too; ')


def test_names_of_values_cannot_reach_other_variables() -> None:
    built = build(parameters={"path": "evil", "ld_preload": "evil"}, outputs={"run": {"id": "evil"}})
    assert built.variables["PATH"] == "/bin"
    assert "LD_PRELOAD" not in built.variables
    assert built.variables["WINDLASS_RUN_ID"] == "r1"


def test_all_together_stay_below_the_limit() -> None:
    values = {f"p{number}": "x" * 90_000 for number in range(20)}
    built = build(parameters=values, env={"MINE": "y" * 90_000})
    assert sum(len(name) + len(value) + 2 for name, value in built.variables.items()) <= MAX_ENVIRONMENT
    kept = [name for name in built.variables if name.startswith("WINDLASS_PARAM_")]
    assert len(kept) == 5
    assert len(built.left_out) == 15
    assert "more than 1,048,576 bytes" in built.left_out[0]
    assert built.context["parameters"] == values


def test_a_secret_parameter_is_nowhere() -> None:
    built = build(parameters={"token": "hush"}, secret=frozenset({"token"}))
    assert "hush" not in repr(built)
