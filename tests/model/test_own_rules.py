"""Rules of plug-ins: what they say is told at its place, and one that fails lets nothing in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from windlass.model.catalog import StepCatalog
from windlass.model.definition import Job
from windlass.model.manifest.load import load
from windlass.model.own_rules import OwnRules, unusable

TEXT = """\
apiVersion: v1
kind: Job
metadata: {alias: a}
parameters: {copies: {type: integer}, token: {type: string, secret: true}}
steps:
  - {name: one, run: echo}
  - {name: two, run: rm -rf build}
"""

pytestmark = pytest.mark.promise("O02", part="rules of one's own")


def told(*rules: Any) -> list[str]:
    catalog = StepCatalog().ruled(OwnRules(lint=tuple((rule.__name__, rule) for rule in rules)))
    found = load(TEXT, "f", catalog).findings
    return [str(one) for one in found if "sealed storage" not in one.message]


def no_removal(job: dict[str, Any]) -> Iterator[Any]:
    for number, step in enumerate(job["steps"]):
        if "rm " in step["config"]["run"]:
            yield ("steps", number, "config", "run"), "steps must not remove files"
    job.clear()


def owned(_: dict[str, Any]) -> Iterator[Any]:
    yield ("metadata",), "a job should name its owner", "warning"


def test_what_rules_say_is_told_where_it_is_written() -> None:
    assert told(no_removal, owned) == [
        "f:3:11: warning: a job should name its owner",
        "f:7:22: steps must not remove files",
    ]


def fails(_: dict[str, Any]) -> Iterator[Any]:
    raise LookupError("no\nluck")


def babbles(_: dict[str, Any]) -> list[Any]:
    return [5]


def test_a_rule_that_fails_lets_nothing_in() -> None:
    assert told(fails) == ['f:1:1: the rule "fails" failed: LookupError: no luck']
    assert told(babbles) == ['f:1:1: the rule "babbles" failed: ValueError: it said 5, which is no sentence']
    missing = unusable("gone", "ImportError: no module")
    (sentence,) = told(missing)
    assert 'the rule "gone" cannot be loaded, and nothing is accepted without it' in sentence


def test_rules_on_parameters_see_all_of_them_and_tell_no_secret() -> None:
    def few(job: Job, values: dict[str, Any]) -> Iterator[Any]:
        if values["copies"] > 3:
            yield "copies", f"{job.alias} makes 3 copies at most, and the token is {values['token']}"
        values.clear()

    catalog = StepCatalog()
    job = load(TEXT, "f", catalog).documents[0].job
    rules = OwnRules(parameters=(("few", few),))
    assert list(rules.on_parameters(job, {"copies": 3, "token": "hush"})) == []
    (said,) = rules.on_parameters(job, {"copies": 4, "token": "hush"})
    assert (said.path, said.message) == (("copies",), "a makes 3 copies at most, and the token is ***")
