"""Texts with expressions: where those begin and end, and what a value becomes."""

from __future__ import annotations

import pytest

from windlass.errors import ExpressionError
from windlass.model.template import MAX_CARRIED, Hole, as_text, carried, split


def shape(text: str) -> list[str]:
    """Return the pieces of a text; expressions in angle brackets."""
    return [piece if isinstance(piece, str) else f"<{piece.expression.text}>" for piece in split(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("plain", ["plain"]),
        ("${{ run.id }}", ["<run.id>"]),
        ("a${{run.id}}b${{ job.alias }}", ["a", "<run.id>", "b", "<job.alias>"]),
        ("${{ {'a': {'b': '}}'}}['a']['b'] }}x", ["<{'a': {'b': '}}'}}['a']['b']>", "x"]),
        ("${{ '}}' }}", ["<'}}'>"]),
        ("${{ run\n.id }}", ["<run\n.id>"]),
        ("a $${{ b }} c", ["a ${{ b }} c"]),
        ("$${{ ${{ run.id }}", ["${{ ", "<run.id>"]),
        ("$ {{ x }} ${ y } {{ z }} $", ["$ {{ x }} ${ y } {{ z }} $"]),
        ("${{ run.id }}}}", ["<run.id>", "}}"]),
    ],
)
def test_a_text_is_split_at_its_expressions(text: str, pieces: list[str]) -> None:
    assert shape(text) == pieces


def test_an_expression_knows_its_line() -> None:
    assert [piece.line for piece in split("a\n${{ run.id }}\n\n${{ run.id }}") if isinstance(piece, Hole)] == [2, 4]


@pytest.mark.parametrize("text", ["${{", "a ${{ run.id", "${{ run.id }", "${{ '}}", "x\n${{ {'a': 1 }}"])
def test_an_expression_without_an_end_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        split(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (-1.5, "-1.5"),
        ([1, "é", None], '[1,"é",null]'),
        ({"b": 1, "a": {}}, '{"a":{},"b":1}'),
    ],
)
def test_a_value_has_one_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.promise("O03")
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is null where a text is needed"),
        ("a\0b", "NUL"),
        ("\ud800", "half a character"),
        ("x" * (MAX_CARRIED + 1), "98,305 bytes, 98,304 fit"),
        ("é" * MAX_CARRIED, "196,608 bytes"),
        (["x" * MAX_CARRIED], "fit in a variable"),
        (float("inf"), "no JSON number"),
    ],
)
def test_what_no_process_can_get_is_refused_by_name(value: object, reason: str) -> None:
    hole = split("${{ parameters.v }}")[0]
    assert isinstance(hole, Hole)
    with pytest.raises(ExpressionError, match=reason) as caught:
        carried(value, hole)
    assert str(caught.value).startswith("${{ parameters.v }}: ")


def test_a_value_at_the_limit_passes() -> None:
    hole = split("${{ parameters.v }}")[0]
    assert isinstance(hole, Hole)
    assert len(carried("x" * MAX_CARRIED, hole)) == MAX_CARRIED
