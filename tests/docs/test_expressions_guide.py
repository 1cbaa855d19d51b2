"""The tables of the guide to expressions are so."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.repository.tree import ROOT
from windlass.errors import ExpressionError
from windlass.model.catalog import StepCatalog
from windlass.model.definition import Step
from windlass.model.expressions.expression import Expression
from windlass.model.rendering import CompiledStep, compile_step

GUIDE = (ROOT / "docs/guide/expressions.md").read_text()
CONTEXT: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)[0])


def table(header: str) -> list[tuple[str, str]]:
    """Return the rows of the table whose first line has the columns `header`, code marks taken away."""
    lines = GUIDE.partition(f"| {header} |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    rows = [re.fullmatch(r"\| (.*?) \| (.*) \|", line) for line in lines]
    assert rows
    return [(row[1].strip("`"), row[2].strip("`")) for row in rows if row is not None]


def shell(script: str) -> CompiledStep:
    return compile_step(Step(name="s", type="shell", config={"run": script}), StepCatalog()["shell"])


@pytest.mark.parametrize(("text", "value"), table("expression | gives"))
def test_an_expression_gives_what_the_guide_shows(text: str, value: str) -> None:
    assert json.dumps(Expression.parse(text).evaluate(CONTEXT)) == value


@pytest.mark.parametrize(("text", "message"), table("expression | error"))
def test_an_expression_fails_as_the_guide_shows(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression.parse(text).evaluate(CONTEXT)
    assert str(caught.value) == f"${{{{ {text} }}}}: {message}"


@pytest.mark.promise("O03")
@pytest.mark.parametrize(("written", "runs"), table("written | runs as"))
def test_a_script_runs_as_the_guide_shows(written: str, runs: str) -> None:
    context = {"parameters": {**CONTEXT["parameters"], "x": "text"}}
    assert shell(written).render(context).config["run"] == runs


@pytest.mark.promise("O03")
@pytest.mark.parametrize(("refused", "instead"), table("refused | write instead"))
def test_what_the_guide_refuses_is_refused_and_its_way_out_is_none(refused: str, instead: str) -> None:
    assert [problem.level for problem in shell(refused).problems if problem.level == "error"]
    assert [problem.message for problem in shell(instead).problems if problem.level == "error"] == []
