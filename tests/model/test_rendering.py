"""Steps, compiled and rendered on the values of a run."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.errors import ExpressionError
from windlass.model.definition import Step
from windlass.model.rendering import CompiledStep, References, Rendered, compile_step
from windlass.model.steptype import StepSpec

SPEC = StepSpec(
    name="any",
    summary="Takes everything.",
    schema={},
    places={
        "run": "sh",
        "command": "sh",
        "command.*": "argv",
        "environment.*": "env",
        "windows": "powershell",
        "batch": "cmd",
        "deep.*.script": "sh",
    },
)
CONTEXT: dict[str, Any] = {
    "parameters": {"x": "it's; `touch marker`", "n": 5, "on": True, "list": ["a b", 1], "none": None},
    "steps": {"load-eu": {"state": "completed", "outputs": {"rows": [1, 2]}}},
    "run": {"id": "r1"},
}


def compiled(**fields: Any) -> CompiledStep:
    return compile_step(Step(name="s", type="any", **fields), SPEC)


def rendered(**fields: Any) -> Rendered:
    return compiled(**fields).render(CONTEXT, {"secret://env/TOKEN": "hush"})


def test_a_step_without_expressions_is_given_back_as_it_is() -> None:
    config = {"run": "echo hi", "other": {"list": [1, None]}}
    step = compiled(config=config, env={"A": "b"})
    assert step.is_constant
    assert not step.problems
    result = step.render({})
    assert result == Rendered(when=True, config=config, env={"A": "b"})
    assert result.config is config


def test_a_text_that_is_one_expression_keeps_its_type() -> None:
    config = {
        "a": "${{ parameters.list }}",
        "b": ["${{ parameters.n }}", {"c": "${{ parameters.on }}"}],
        "d": "n=${{ parameters.n }}, ${{ parameters.list }}",
        "e": "${{ parameters.none }}",
    }
    assert rendered(config=config).config == {
        "a": ["a b", 1],
        "b": [5, {"c": True}],
        "d": 'n=5, ["a b",1]',
        "e": None,
    }


def test_a_result_is_never_rendered_again() -> None:
    step = compiled(
        config={"text": "${{ parameters.a }}", "run": "echo ${{ parameters.a }}", "b": "${{ parameters.b }}"},
        env={"A": "${{ parameters.a }}", "B": "${{ parameters.b }}"},
    )
    result = step.render({"parameters": {"a": "${{ 7*7 }}", "b": "secret://env/TOKEN"}}, {"secret://env/TOKEN": "hush"})
    assert result.config["text"] == "${{ 7*7 }}"
    assert result.env == {"A": "${{ 7*7 }}", "B": "secret://env/TOKEN"}
    assert result.config["b"] == "secret://env/TOKEN"
    assert list(result.variables.values()) == ["${{ 7*7 }}"]


def test_variables_are_texts() -> None:
    env = {
        "N": "${{ parameters.n }}",
        "ON": True,
        "L": "${{ parameters.list }}",
        "M": "a${{ parameters.x }}b",
        "F": 1.5,
    }
    assert rendered(env=env).env == {
        "N": "5",
        "ON": "true",
        "L": '["a b",1]',
        "M": "ait's; `touch marker`b",
        "F": "1.5",
    }


def test_the_env_of_a_step_is_known_in_its_config() -> None:
    result = rendered(env={"WHO": "${{ run.id }}"}, config={"text": "${{ env.WHO }}"})
    assert result.config == {"text": "r1"}


@pytest.mark.promise("O03")
def test_a_script_refers_to_variables_that_carry_the_values() -> None:
    result = rendered(config={"run": 'a ${{ parameters.x }} "${{ parameters.x }}" ${{ parameters.list }}\n'})
    assert result.config["run"] == 'a "${WINDLASS_EXPR_1}" "${WINDLASS_EXPR_1}" "${WINDLASS_EXPR_2}"\n'
    assert result.variables == {"WINDLASS_EXPR_1": "it's; `touch marker`", "WINDLASS_EXPR_2": '["a b",1]'}


@pytest.mark.promise("O03")
def test_numbers_and_booleans_are_literals_in_scripts() -> None:
    result = rendered(config={"run": "a ${{ parameters.n }} x${{ parameters.n }}>f ${{ parameters.on }};"})
    assert result.config["run"] == 'a 5 x"5">f true;'
    assert result.variables == {}


@pytest.mark.promise("O03")
def test_an_argument_is_the_value_as_it_is() -> None:
    config = {"command": ["tool", "${{ parameters.x }}", "--n=${{ parameters.n }}", "${{ parameters.list }}"]}
    result = rendered(config=config)
    assert result.config["command"] == ["tool", "it's; `touch marker`", "--n=5", '["a b",1]']
    assert result.variables == {}


@pytest.mark.promise("O03")
def test_the_text_after_c_of_a_shell_is_a_script() -> None:
    config = {"command": ["/bin/bash", "-euc", "echo ${{ parameters.x }}", "bash", "${{ parameters.x }}"]}
    result = rendered(config=config)
    assert result.config["command"] == [
        "/bin/bash",
        "-euc",
        'echo "${WINDLASS_EXPR_1}"',
        "bash",
        "it's; `touch marker`",
    ]
    assert result.variables == {"WINDLASS_EXPR_1": "it's; `touch marker`"}


def test_places_reach_into_maps() -> None:
    config = {"deep": {"one": {"script": "echo ${{ parameters.x }}", "text": "${{ parameters.x }}"}}}
    result = rendered(config=config)
    assert result.config["deep"]["one"] == {"script": 'echo "${WINDLASS_EXPR_1}"', "text": "it's; `touch marker`"}


@pytest.mark.parametrize(
    ("when", "answer"),
    [
        (None, True),
        ("${{ parameters.n > 3 }}", True),
        ("parameters.n > 3", True),
        ("  ${{ parameters.n > 30 }}  ", False),
        ("${{ has(parameters.nope) }}", False),
    ],
)
@pytest.mark.promise("C12")
def test_when_decides(when: str | None, answer: bool) -> None:
    result = rendered(when=when, config={"a": "${{ parameters.none }}"})
    assert result == (Rendered(when=True, config={"a": None}) if answer else Rendered(when=False))


def test_a_step_that_is_skipped_is_not_rendered() -> None:
    assert rendered(when="${{ false }}", config={"a": "${{ parameters.missing }}"}) == Rendered(when=False)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"when": "${{ parameters.n }}"}, "${{ parameters.n }}: `when` must give true or false"),
        ({"when": "${{ parameters.none }}"}, "${{ parameters.none }}: `when` must give true or false"),
        ({"when": "yes ${{ true }}"}, "when: `when` is one expression: ${{ ... }} and nothing beside it"),
        ({"env": {"A": "${{ parameters.none }}"}}, "${{ parameters.none }}: is null where a text is needed"),
        ({"config": {"command": ["a", "${{ parameters.none }}"]}}, "${{ parameters.none }}: is null where"),
        ({"config": {"run": "echo ${{ parameters.none }}"}}, "${{ parameters.none }}: is null where"),
        ({"config": {"a": "x${{ parameters.none }}"}}, "${{ parameters.none }}: is null where"),
        ({"config": {"a": "${{ parameters.nope }}"}}, '${{ parameters.nope }}: parameters has no "nope"'),
        ({"config": {"run": "echo '${{ parameters.x }}'"}}, "config.run: line 1: ${{ parameters.x }} stands in single"),
        ({"config": {"run": "exit ${{ parameters.x }}"}}, "${{ parameters.x }}: must be a number"),
        ({"env": {"A": "secret://env/OTHER"}}, "secret://env/OTHER: the secret was not resolved"),
        ({"config": {"a": "${{ 1 +"}}, "config.a: line 1: ${{ has no }}"),
        ({"env": {"A": "${{ nope }}"}}, 'env.A: ${{ nope }}: unknown name "nope"'),
    ],
)
def test_a_step_that_cannot_be_rendered_says_why(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        rendered(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.promise("O03")
@pytest.mark.parametrize(
    "fields", [{"env": {"A": "${{ parameters.v }}"}}, {"config": {"run": "echo ${{ parameters.v }}"}}]
)
def test_a_value_that_would_not_reach_exec_names_its_expression(fields: dict[str, Any]) -> None:
    step = compiled(**fields)
    step.render({"parameters": {"v": "x" * 90_000}})
    with pytest.raises(ExpressionError, match=r"^\$\{\{ parameters.v \}\}: has 100,000 bytes, 98,304 fit"):
        step.render({"parameters": {"v": "x" * 100_000}})
    with pytest.raises(ExpressionError, match=r"^\$\{\{ parameters.v \}\}: has a NUL"):
        step.render({"parameters": {"v": "a\0b"}})


def test_pieces_of_one_argument_count_together() -> None:
    step = compiled(config={"command": ["a", "${{ parameters.v }}${{ parameters.v }}"]})
    with pytest.raises(ExpressionError, match="has 120,000 bytes"):
        step.render({"parameters": {"v": "x" * 60_000}})


def test_all_variables_together_have_a_limit() -> None:
    step = compiled(config={"run": "\n".join(f"echo ${{{{ parameters.v{n} }}}}" for n in range(20))})
    with pytest.raises(ExpressionError, match=r"the largest is \$\{\{ parameters.v3 \}\} with 80,"):
        step.render({"parameters": {f"v{n}": "x" * (80_000 if n == 3 else 60_000) for n in range(20)}})


def test_secret_references_are_resolved_where_they_stand_alone() -> None:
    config = {
        "password": "secret://env/TOKEN",
        "text": "not secret://env/TOKEN",
        "command": ["a", "secret://env/TOKEN"],
    }
    step = compiled(config=config, env={"T": "secret://env/TOKEN"})
    assert step.references.secrets == ("secret://env/TOKEN",)
    result = step.render(CONTEXT, {"secret://env/TOKEN": "hush"})
    assert result.config == {"password": "hush", "text": "not secret://env/TOKEN", "command": ["a", "hush"]}
    assert result.env == {"T": "hush"}


def test_references_say_what_a_step_needs() -> None:
    step = compiled(
        when="${{ steps.a.state == 'completed' }}",
        env={"R": "${{ steps['load-eu'].outputs.rows }}"},
        config={"x": "${{ parameters.x }} ${{ default(parameters.y, 1) }}", "z": "${{ size(parameters) }}"},
    )
    assert step.references == References(
        parameters=frozenset({"x", "y", "*"}),
        steps=frozenset({"a", "load-eu"}),
        outputs=frozenset({("load-eu", "rows")}),
    )
    assert not step.is_constant


@pytest.mark.parametrize("where", ["env", "config"])
def test_a_variable_of_windlass_is_refused_when_the_step_runs_too(where: str) -> None:
    variables = {"WINDLASS_OUTPUT": "/etc/shadow"}
    step = compiled(env=variables) if where == "env" else compiled(config={"environment": variables})
    with pytest.raises(ExpressionError, match="WINDLASS_OUTPUT: names that begin with WINDLASS_ or CAESIUM_"):
        step.render({})
