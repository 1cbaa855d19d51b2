"""Expressions on any text and any value: a JSON value or one sentence, nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import ExpressionError
from windlass.model.expressions.expression import Expression
from windlass.model.template import Hole, split

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
PIECES = [
    "parameters.v",
    "parameters.w.x",
    "parameters['v']",
    "steps.a.outputs.b",
    "run.id",
    "default(",
    "has(",
    "size(",
    "raw(",
    "string(",
    ".map(x, ",
    ".filter(x, ",
    ".exists(x, ",
    "x",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ",",
    ":",
    "?",
    ".",
    "+",
    "-",
    "*",
    "/",
    "%",
    "==",
    "&&",
    "||",
    "!",
    "<",
    " in ",
    "1",
    "2.5",
    "'a'",
    '"b"',
    "'",
    "null",
    "true",
    "// c",
    "\n",
    "windlass_0",
    "\\",
    "é",
]
expressions = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30)


@given(expressions, json_values)
def test_any_text_gives_a_json_value_or_one_sentence(text: str, value: Any) -> None:
    context = {"parameters": {"v": value, "w": {"x": [1, 2]}}, "steps": {"a": {"outputs": {}}}, "run": {"id": "r"}}
    try:
        said = json.dumps(Expression.parse(text).evaluate(context), allow_nan=False)
    except ExpressionError as error:
        said = str(error)
        is_sentence = said.startswith("${{ ")
    else:
        is_sentence = True
    assert is_sentence
    assert "\n" not in said


@given(json_values)
def test_a_value_comes_back_as_it_went_in(value: Any) -> None:
    context = {"parameters": {"v": value}}
    for text in (
        "parameters.v",
        "[parameters.v][0]",
        "default(parameters.v, 1)",
        "{'k': parameters.v}.k",
        "raw(parameters.v)",
    ):
        result = Expression.parse(text).evaluate(context)
        assert result == value
        assert type(result) is type(value)


@given(st.dictionaries(texts, json_values, max_size=4), texts)
def test_has_and_default_know_every_key(values: dict[str, Any], key: str) -> None:
    if set(key) & set("'\\\n\r"):
        return
    context = {"parameters": values}
    assert Expression.parse(f"has(parameters['{key}'])").evaluate(context) == (key in values)
    assert Expression.parse(f"default(parameters['{key}'], 'other')").evaluate(context) == values.get(key, "other")


@given(st.lists(texts.filter(lambda text: "${{" not in text and not text.endswith(("$", "$$"))), max_size=4))
def test_a_text_is_split_and_nothing_is_lost(literals: list[str]) -> None:
    pieces = split("${{ run.id }}".join(literals))
    shown = "".join(piece if isinstance(piece, str) else "${{ run.id }}" for piece in pieces)
    assert shown == "${{ run.id }}".join(literals)
    assert sum(isinstance(piece, Hole) for piece in pieces) == max(len(literals) - 1, 0)


@given(st.text(max_size=80))
def test_any_text_is_split_or_refused(text: str) -> None:
    for whole in (text, "${{" + text, "${{" + text + "}}", "$${{" + text):
        said = ""
        try:
            split(whole)
        except ExpressionError as error:
            said = str(error)
        assert "\n" not in said
