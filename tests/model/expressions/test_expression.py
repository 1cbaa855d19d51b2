"""Expressions: what they give, what they name, and the one sentence where they fail."""

from __future__ import annotations

import re
from typing import Any

import pytest

from windlass.errors import ExpressionError
from windlass.model.expressions.expression import Expression

CONTEXT: dict[str, Any] = {
    "parameters": {
        "region": "eu",
        "count": 3,
        "share": 1.5,
        "list": [1, 2, 3],
        "rows": [{"name": "a", "size": 1}, {"name": "b", "size": 2}],
        "none": None,
        "umlaut": "héé",
        "dotted.name": {"with-dash": "found"},
        "large": 2**63,
        "template": "${{ 7*7 }}",
    },
    "steps": {
        "load-eu": {"state": "completed", "outputs": {"rows": 5}, "exitCode": 0},
        "fan": {"state": "completed", "outputs": {}, "exitCode": 0, "items": {"a": {"outputs": {"n": 1}}}},
    },
    "run": {"id": "r1"},
    "job": {"alias": "nightly", "revision": 7},
    "matrix": {"os": "debian"},
    "project": "default",
}


def evaluate(text: str) -> Any:
    return Expression.parse(text).evaluate(CONTEXT)


def failure(text: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"${{{{ {text} }}}}: ")


@pytest.mark.promise("C12")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("parameters.region", "eu"),
        ("parameters['region']", "eu"),
        ('parameters["dotted.name"]["with-dash"]', "found"),
        ("parameters . region", "eu"),
        ("project", "default"),
        ("steps.load_eu.outputs.rows", 5),
        ('steps["load-eu"].outputs.rows > 0 && parameters.region == "eu"', True),
        ('steps.fan.items["a"].outputs.n', 1),
        ("steps.fan.items[parameters.rows[0].name].outputs.n", 1),
        ("parameters.count * 2 + 1", 7),
        ("double(parameters.count) * parameters.share", 4.5),
        ("parameters.list.map(x, x * 2)", [2, 4, 6]),
        ("parameters.rows.filter(row, row.size > 1).map(row, row.name)", ["b"]),
        ("parameters.rows.exists(row, row.name == 'a')", True),
        ("size(parameters.umlaut) + parameters.umlaut.size()", 6),
        ("parameters.region.matches('^e[a-z]$')", True),
        ("{'b': [1, null], 'a': true}", {"a": True, "b": [1, None]}),
        ("'}}' + \"}}\" + '''}}'''", "}}}}}}"),
        ("parameters.none == null", True),
        ("parameters.none", None),
        ("parameters.template", "${{ 7*7 }}"),
        ("parameters.missing > 1 || true", True),
        ("raw(parameters.region)", "eu"),
    ],
)
def test_an_expression_gives_a_json_value(text: str, value: object) -> None:
    got = evaluate(text)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("default(parameters.missing, 3)", 3),
        ("default(parameters.region, 'us')", "eu"),
        ("default(parameters.none, 'x')", None),
        ("default(parameters.a, default(parameters.b, 'last'))", "last"),
        ("default(parameters['not-there'], [1])[0]", 1),
        ("default(steps.gone.outputs.rows, 0) + 1", 1),
        ("has(parameters.region)", True),
        ('has(parameters["dotted.name"]["with-dash"])', True),
        ("has(parameters.region.deeper)", False),
        ("has(steps.load_eu.outputs.nope)", False),
        ("has(parameters.missing) && parameters.missing > 1", False),
        ("has(matrix.os) ? matrix.os : 'none'", "debian"),
        ("has(target.name)", False),
    ],
)
def test_default_and_has_answer_for_a_missing_key(text: str, value: object) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("parameters.nope", 'parameters has no "nope"; where it may be missing, write default(parameters.nope, ...)'),
        (
            "1 + parameters.nope",
            'parameters has no "nope"; where it may be missing, write default(parameters.nope, ...)',
        ),
        (
            "steps.load_eu.outputs.n",
            'steps.load_eu.outputs has no "n"; where it may be missing, write default(steps.load_eu.outputs.n, ...)',
        ),
        ("parameters.region.x", 'parameters.region is a string, it has no "x"'),
        ("target.name", "there is no target here"),
        ("steps.load_eu.outputs[parameters.region]", "there is no key eu"),
        ("parameters.list[9]", "index out of bounds: 9"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "a number needs more than 64 bits"),
        ("parameters.large + 1", "the number 9,223,372,036,854,775,808 needs more than 64 bits"),
        ("1.0 / 0.0", "it gives inf, which is no JSON number"),
        ("duration('1s')", "it gives a duration; write string(...) around it"),
        ("b'x'", "it gives a byte string; write string(...) around it"),
        ("{1: 2}", "it gives an object with keys that are no strings"),
        ("size(1)", "size() takes a string, a list or an object, not a number"),
        ("'a'.startsWith(1)", "startsWith is not there for values of these types"),
        ("parameters.region + 1", "unsupported operation: string + int; convert with int(), double() or string()"),
    ],
)
def test_a_failing_evaluation_says_why_in_one_sentence(text: str, sentence: str) -> None:
    assert failure(text) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("1 +", "it ends too early"),
        ("parameters.a parameters.b", "unexpected parameters.b"),
        ("'open", "a text that begins with ' has no end"),
        ("a\\b", "unexpected '\\\\'"),
        ("paramters.x", 'unknown name "paramters"; did you mean "parameters"?'),
        ("foo(1)", 'unknown function "foo"'),
        ("parameters.x.startWith('a')", 'unknown function "startWith"; did you mean "startsWith"?'),
        ("parameters.list.map(x, y)", 'unknown name "y"'),
        ("parameters.list.map(steps, 1)", 'map() cannot call its variable "steps": choose another name'),
        ("steps", 'steps must be followed by the name of a step: steps.load or steps["load-eu"]'),
        ("steps[parameters.x]", 'steps must be followed by the name of a step: steps.load or steps["load-eu"]'),
        (
            "steps.load.output",
            'steps.load has no "output", only state, outputs, exitCode, items; did you mean "outputs"?',
        ),
        ("steps.load-eu.state", 'unknown name "eu"; a key with a dash is written steps["load-eu"]'),
        ("has(parameters.list[0])", 'has(PATH): a path is a root followed by .name or ["name"] only'),
        ("default(parameters.a)", 'default(PATH, value): a path is a root followed by .name or ["name"] only'),
        ("'a' + raw(parameters.a)", "raw(...) must be the whole expression"),
        ("raw(parameters.a) + 'b'", "raw(...) must be the whole expression"),
        ("windlass_0", 'unknown name "windlass_0"'),
        ("[1].map(_x, _x)", 'map() cannot call its variable "_x": choose another name'),
        ("''.__class__.__mro__", None),
        ("__import__('os')", 'unknown function "__import__"'),
        ("Thing{a: 1}", 'unknown name "Thing"'),
    ],
)
def test_a_text_that_means_nothing_is_refused(text: str, sentence: str | None) -> None:
    found = failure(text)
    assert sentence is None or found == sentence


def test_a_long_expression_is_shortened_in_messages() -> None:
    with pytest.raises(ExpressionError, match=r"^\$\{\{ parameters\.x{30,80}\.\.\. \}\}: "):
        evaluate("parameters." + "x" * 300)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("parameters.l.map(x, parameters.l.map(y, parameters.l.map(z, x + y + z)))", [1]),
        ("(" * 40 + "1" + ")" * 40, []),
        ("1" + " + 1" * 5000, []),
        ("parameters.l.all(x, x > 0 && parameters.l.all(y, y > 0))", [1] * 2000),
        ("parameters.l.map(x, x)", [1] * 20_000),
        ("parameters.l.map(x, parameters.l)", ["a" * 1000] * 1000),
        ("parameters.l" + ".map(x, x + x + x + x + x + x + x + x)" * 4, ["a" * 100] * 100),
        ("(" + " + ".join(["parameters.l"] * 100) + ").filter(x, x > 1)", [1] * 1000),
        (" + ".join(["parameters.l[0]"] * 500), ["a" * 1_000_000]),
        ("parameters.l[0].matches('[^x]{5000}!')", ["a" * 200_000]),
        ("parameters.l.exists(x, x.matches('([a-z]{50}){50}'))", ["a" * 100] * 1000),
    ],
)
def test_work_without_end_is_refused_before_it_begins(text: str, values: list[Any]) -> None:
    with pytest.raises(ExpressionError):
        Expression.parse(text).evaluate({"parameters": {"l": values}})


@pytest.mark.parametrize("value", ["\ud800", float("nan"), {"a": {1, 2}}, {1: 2}, [object()]])
def test_what_json_cannot_hold_never_comes_out(value: object) -> None:
    with pytest.raises(ExpressionError):
        Expression.parse("[parameters.v][0]").evaluate({"parameters": {"v": value}})


def test_deep_values_do_not_reach_the_library() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ExpressionError, match="nested deeper than 128"):
        Expression.parse("size(parameters.v)").evaluate({"parameters": {"v": value}})


def test_the_names_of_an_expression_are_known_without_evaluating_it() -> None:
    text = "default(parameters.a, 1) > 0 && steps['load-eu'].outputs.rows > run.attempt"
    uses = Expression.parse(text).uses
    assert [(str(use.path), use.optional) for use in uses] == [
        ("parameters.a", True),
        ('steps["load-eu"].outputs.rows', False),
        ("run.attempt", False),
    ]


@pytest.mark.parametrize("value", ["hunter2", "-hunter2", "5hunter2", "1h5", "1h 5m", "1h\n", "", "100", "1d"])
def test_a_text_that_is_no_duration_as_a_whole_is_refused_and_not_quoted(value: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        Expression.parse("duration(parameters.x) > duration('1s')").evaluate({"parameters": {"x": value}})
    assert str(caught.value).endswith("duration(): it is no duration such as 1h30m")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("string(duration('1h30m'))", "1h30m0s"),
        ("duration('-1.5h') < duration('0')", True),
        ("duration('90m') == duration('1h') + duration('.5h')", True),
        ("duration(duration('1ms')) > duration('999us')", True),
        ("duration('90m').getHours()", 1),
    ],
)
def test_durations_are_read_and_compared(text: str, value: object) -> None:
    assert Expression.parse(text).evaluate({}) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("duration('9999999999999h') > duration('1s')", "longer than 292 years"),
        ("duration(5) > duration('1s')", "duration() takes a string such as 1h30m, not a number"),
        ("'1h'.duration() > duration('1s')", 'unknown function "duration"'),
    ],
)
def test_what_is_no_duration_is_said(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(why)):
        Expression.parse(text).evaluate({})
