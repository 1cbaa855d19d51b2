"""Parameters of a run: conversion, checks, defaults."""

from __future__ import annotations

import time
from typing import Any

import pytest

from windlass.model.definition import Job
from windlass.model.manifest.limits import Limits
from windlass.model.pairs import pairs
from windlass.model.parameters import check_parameters, from_text

pytestmark = pytest.mark.promise("O02")

DEEP = {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "integer"}}}}
BLOCK: dict[str, Any] = {
    "region": {"type": "string", "enum": ["eu", "us"], "default": "eu"},
    "count": {"type": "integer", "minimum": 1, "maximum": 9},
    "ratio": {"type": "number"},
    "full": {"type": "boolean", "default": False},
    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    "map": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "deep": DEEP}},
    "day": {"type": "string", "format": "date"},
    "file": {"type": "string", "format": "file"},
    "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "pause": {"type": "string", "format": "duration"},
    "token": {"type": "string", "secret": True, "minLength": 8},
}


def job(parameters: dict[str, Any] | None = BLOCK) -> Job:
    return Job(alias="a", steps=(), parameters=parameters)


def messages(given: dict[str, Any], parameters: dict[str, Any] | None = BLOCK) -> list[str]:
    return [finding.message for finding in check_parameters(job(parameters), given)[1]]


@pytest.mark.parametrize("text", ["90s", "5m", "1h30m", "2d", "90", "PT1H30M", "P1D", "P2W", "P1Y2M3DT4H5M6S"])
def test_a_duration_is_written_as_everywhere_else_or_as_in_iso_8601(text: str) -> None:
    assert messages({"pause": text}) == []


def test_defaults_fill_what_is_not_given() -> None:
    assert check_parameters(job(), {"count": 3}) == ({"region": "eu", "count": 3, "full": False}, [])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("region", "ue", 'region must be one of eu, us, not "ue"'),
        ("region", 5, "region must be one of eu, us, not the number 5"),
        ("count", 0, "count must be at least 1, not the number 0"),
        ("count", 10, "count must be at most 9, not the number 10"),
        ("count", "3", 'count must be an integer, not "3"'),
        ("count", True, "count must be an integer, not true"),
        ("count", 1.5, "count must be an integer, not the number 1.5"),
        ("full", "yes", 'full must be true or false, not "yes"'),
        ("tags", ["a", 1], "tags[1] must be text, not the number 1"),
        ("tags", ["a", "b", "c"], "tags must have at most 2 entries"),
        ("map", {}, 'missing key "a" in map'),
        ("map", {"a": "x"}, 'map.a must be an integer, not "x"'),
        ("map", {"a": 1, "deep": {"list": [1, "x"]}}, 'map.deep.list[1] must be an integer, not "x"'),
        ("pause", "5 minutes", 'pause must be a duration such as 90s, 1h30m or PT1H30M, not "5 minutes"'),
        ("pause", "PT", 'pause must be a duration such as 90s, 1h30m or PT1H30M, not "PT"'),
        ("day", "2026-02-30", 'day must be a date such as 2026-11-22, not "2026-02-30"'),
        ("day", "yesterday", 'day must be a date such as 2026-11-22, not "yesterday"'),
        ("file", "", 'file must be the path of a file, not ""'),
        ("code", "abc", 'code must match ^[A-Z]{3}$, not "abc"'),
        ("code", None, "code must be text, not nothing"),
        ("regoin", "eu", 'unknown parameter "regoin"; did you mean "region"?'),
    ],
)
def test_a_wrong_value_gets_one_sentence(name: str, value: Any, message: str) -> None:
    assert messages({name: value}) == [message]


def test_a_required_parameter_is_missed() -> None:
    assert messages({}, {"a": {"type": "string", "required": True}}) == ['missing parameter "a"']


def test_every_mistake_is_told_at_once() -> None:
    assert len(messages({"region": "x", "count": 0, "nope": 1})) == 3


def test_a_secret_is_never_shown() -> None:
    secret = "s3cr3t"  # noqa: S105 - the point of the test
    assert secret not in "".join(messages({"token": secret}))
    assert messages({"token": "secret://env/TOKEN"}) == []
    assert messages({"token": "secret://evn/TOKEN"}) == [
        'token: unknown source of secrets "evn" in secret://evn/TOKEN; did you mean "env"?'
    ]


def test_without_a_block_any_texts_are_taken() -> None:
    assert check_parameters(job(None), {"x": "1"}) == ({"x": "1"}, [])
    assert messages({"x": 1}, None) == ["x must be text: the job has no parameters block"]


def test_too_large() -> None:
    found = check_parameters(job(None), {"x": "y" * 100}, Limits(parameter_bytes=50))[1]
    assert [finding.message for finding in found] == ["the parameters have 108 bytes as JSON, over the limit of 50"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: "a"}, 2**70, "\ud800"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    (message,) = messages({"x": value}, None)
    assert message.startswith("parameters must be JSON: ")


def test_a_pattern_takes_linear_time() -> None:
    block = {"x": {"type": "string", "pattern": "^(a+)+$"}}
    began = time.process_time()
    assert messages({"x": "a" * 100_000 + "!"}, block) != []
    assert messages({"x": "a" * 100_000}, block) == []
    assert time.process_time() - began < 5  # a backtracking engine would need longer than the universe has existed


def test_texts_are_converted_by_type() -> None:
    texts = ["count=3", "ratio=1e2", "full=true", 'tags=["a"]', 'map={"a":1}', "region=us", "other=x=y"]
    assert from_text(job(), pairs(texts, "parameter")) == (
        {"count": 3, "ratio": 100.0, "full": True, "tags": ["a"], "map": {"a": 1}, "region": "us", "other": "x=y"},
        [],
    )


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("count=three", 'count must be an integer, not "three"'),
        ("count=1.0", 'count must be an integer, not "1.0"'),
        ("ratio=1e999", 'ratio must be a number, not "1e999"'),
        ("full=yes", 'full must be true or false, not "yes"'),
        ("tags=a,b", 'tags must be a list as JSON, such as ["a", "b"], not "a,b"'),
        ("map=[]", 'map must be a mapping as JSON, such as {"a": 1}, not "[]"'),
    ],
)
def test_a_text_of_another_type_gets_one_sentence(pair: str, message: str) -> None:
    values, findings = from_text(job(), pairs([pair], "parameter"))
    assert values == {}
    assert [finding.message for finding in findings] == [message]
