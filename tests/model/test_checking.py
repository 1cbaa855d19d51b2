"""What lint says of the expressions of a step."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.model.catalog import StepCatalog
from windlass.model.checking import Scope, check_step
from windlass.model.definition import Job, Step

CATALOG = StepCatalog()


def found(step: Step, *others: Step, parameters: dict[str, Any] | None = None) -> list[tuple[Any, str, str]]:
    job = Job(alias="j", steps=(*others, step), parameters=parameters)
    return [
        (path, level, message)
        for path, level, message, _ in check_step(step, CATALOG[step.type], Scope.of(job).at(step))
    ]


def shell(run: str, **fields: Any) -> Step:
    return Step(name="here", type="shell", config={"run": run}, **fields)


def test_a_step_without_expressions_has_no_findings() -> None:
    assert found(shell("echo hi", env={"A": 1})) == []


@pytest.mark.promise("C02")
def test_an_unknown_parameter_is_an_error_where_the_job_declares_its_parameters() -> None:
    assert found(shell("echo ${{ parameters.regoin }}"), parameters={"region": {}}) == [
        (
            ("config", "run"),
            "error",
            '${{ parameters.regoin }}: unknown parameter "regoin"; did you mean "region"?',
        )
    ]


@pytest.mark.promise("C02")
def test_an_unknown_parameter_is_a_warning_where_the_job_takes_any() -> None:
    ((path, level, message),) = found(shell("echo", env={"A": "${{ parameters.region }}"}))
    assert (path, level) == (("env", "A"), "warning")
    assert message.startswith("${{ parameters.region }}: the job has no `parameters` block")


def test_a_parameter_that_may_be_missing_is_no_warning_there() -> None:
    assert found(shell("echo ${{ default(parameters.region, 'eu') }} ${{ has(parameters.day) }}")) == []


@pytest.mark.promise("C02")
def test_a_step_must_exist_and_come_before() -> None:
    first = Step(name="load-eu", type="shell")
    second = Step(name="middle", type="shell", depends_on=("load-eu",))
    beside = Step(name="beside", type="shell")
    named = (
        "${{ steps.load_eu.outputs.a }} ${{ steps.besides.state }} ${{ steps.beside.state }} ${{ steps.here.state }}"
    )
    step = shell(f"echo {named}", depends_on=("middle",))
    assert [message.partition("}}: ")[2] for _, _, message in found(step, first, second, beside)] == [
        'unknown step "besides"; did you mean "beside"?',
        'step "beside" does not come before this one; add it to `dependsOn`',
        'step "here" does not come before this one; add it to `dependsOn`',
    ]


def test_matrix_target_and_env_are_known_where_there_are_any() -> None:
    assert [message.partition("}}: ")[2] for _, _, message in found(shell("x", when="${{ matrix.os == 'a' }}"))] == [
        "the step has no `matrix`"
    ]
    assert [message.partition("}}: ")[2] for _, _, message in found(shell("echo ${{ target.name }}"))] == [
        "the step has no `targets`"
    ]
    step = shell(
        "echo ${{ matrix.os }} ${{ target.name }} ${{ env.A }}",
        matrix={"oss": ["a"]},
        targets={"group": "web"},
        env={"A": "${{ env.B }}"},
    )
    assert [message.partition("}}: ")[2] for _, _, message in found(step)] == [
        "env is known in the step's config only",
        'the matrix has no "os"; did you mean "oss"?',
    ]


def test_all_findings_of_a_step_come_in_one_go() -> None:
    step = shell("echo '${{ parameters.a }}'\neval ${{ parameters.b }}", when="${{ 1 + }}", env={"A": "${{ x }}"})
    paths = [path for path, level, _ in found(step, parameters={"a": {}, "b": {}}) if level == "error"]
    assert paths == [("when",), ("env", "A"), ("config", "run"), ("config", "run")]


@pytest.mark.promise("O03")
def test_raw_is_a_warning() -> None:
    assert found(shell("${{ raw(parameters.a) }} b"), parameters={"a": {}}) == [
        (
            ("config", "run"),
            "warning",
            "${{ raw(parameters.a) }} pastes text that can be read as code; make sure of who chooses it",
        )
    ]


@pytest.mark.parametrize("name", ["WINDLASS_RUN_ID", "CAESIUM_PARAM_X", "1A", "A-B", "", "A=B", "A\nB"])
def test_names_of_variables_that_cannot_be_set_are_refused(name: str) -> None:
    assert [level for _, level, _ in found(shell("x", env={name: "v"}))] == ["error"]


@pytest.mark.promise("O03")
@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "BASH_ENV", "ENV", "PS4", "PYTHONPATH", "GIT_SSH_COMMAND", "IFS"]
)
def test_variables_that_are_acted_on_take_no_expression(name: str) -> None:
    assert found(shell("x", env={name: "v"})) == []
    ((path, level, message),) = found(shell("x", env={name: "${{ parameters.v }}"}), parameters={"v": {}})
    assert (path, level) == (("env", name), "error")
    assert name in message
    assert found(shell("x", env={name: "${{ raw(parameters.v) }}"}), parameters={"v": {}})[0][1] == "warning"


def test_many_steps_are_checked_in_linear_time() -> None:
    steps = tuple(
        Step(name=f"s{n}", type="shell", config={"run": "x"}, depends_on=(f"s{n - 1}",) if n else ())
        for n in range(3000)
    )
    last = Step(name="last", type="shell", config={"run": "echo ${{ steps.s0.state }}"}, depends_on=("s2999",))
    scope = Scope.of(Job(alias="j", steps=(*steps, last)))
    assert check_step(last, CATALOG["shell"], scope.at(last)) == []


@pytest.mark.promise("C02")
def test_a_condition_that_is_a_parameter_of_another_type_is_refused() -> None:
    parameters = {"n": {"type": "integer", "default": 1}, "on": {"type": "boolean", "default": True}}
    assert found(shell("true", when="${{ parameters.on }}"), parameters=parameters) == []
    assert found(shell("true", when="${{ parameters.n > 3 }}"), parameters=parameters) == []
    assert found(shell("true", when="${{ parameters.n }}"), parameters=parameters) == [
        (
            ("when",),
            "error",
            "${{ parameters.n }}: `when` must give true or false, and parameters.n is of the type integer",
        )
    ]


@pytest.mark.promise("C02")
@pytest.mark.parametrize(
    ("when", "warned"),
    [
        ("parameters.n > 3", True),
        ("default(parameters.n, 0) > 3", False),
        ("has(parameters.n) && parameters.n > 3", False),
        ("parameters.given > 3", False),
        ("parameters.one > 3", False),
    ],
)
def test_a_parameter_that_need_not_be_given_is_warned_of(when: str, warned: bool) -> None:
    number = {"type": "integer"}
    parameters = {"n": number, "given": number | {"required": True}, "one": number | {"default": 1}}
    said = found(shell("true", when="${{ " + when + " }}"), parameters=parameters)
    assert [(path, level) for path, level, _ in said] == ([(("when",), "warning")] if warned else [])
    guarded = shell("true", when="${{ has(parameters.n) }}", env={"N": "${{ parameters.n }}"})
    assert found(guarded, parameters=parameters) == []
