"""Rules on expressions: names that exist, places where a value cannot become code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from windlass.model.checking import Scope, check_step
from windlass.model.definition import Step
from windlass.model.manifest.canonical import to_step
from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.manifest.problem import Path
from windlass.model.steptype import StepSpec

#: Stands for the places of a job itself, where expressions are plain texts.
_PLAIN = StepSpec(name="", summary="", schema={})
_MARK = b"${{"


def expressions_are_sound(draft: Draft) -> Findings:
    """Every expression can be read and names what there is."""
    if _MARK not in draft.json:
        return
    parameters = draft.canonical.get("parameters")
    edges = {step["name"]: tuple(step.get("dependsOn", ())) for step in draft.steps if "name" in step}
    scope = Scope(parameters=parameters, steps=edges)
    for number, step in enumerate(draft.steps):
        if "name" in step and _MARK in orjson.dumps(step):
            value = to_step({"type": "", **step})
            inside = scope.at(value)
            for path, level, message in check_step(value, draft.catalog.get(value.type, _PLAIN), inside):
                yield Found(("steps", number, *path), message, level)
            yield from _aside(value, number, inside)
    concurrency: Mapping[str, Any] = draft.canonical.get("concurrency", {})
    if "key" in concurrency:
        yield from _plain(concurrency["key"], ("concurrency", "key"), scope)


def _aside(step: Step, number: int, scope: Scope) -> Findings:
    """Check the expressions of a step that stand outside of `config`, `env` and `when`."""
    for name, values in (step.matrix or {}).items():
        if isinstance(values, str):
            yield from _plain(values, ("steps", number, "matrix", name), Scope(parameters=scope.parameters, steps={}))
    for index, text in enumerate((step.cache or {}).get("key", ())):
        yield from _plain(text, ("steps", number, "cache", "key", index), scope)
    for index, text in enumerate(step.artifacts):
        yield from _plain(text, ("steps", number, "artifacts", index), scope)


def _plain(text: str, path: Path, scope: Scope) -> Iterator[Found]:
    """Check one text that nothing interprets."""
    step = Step(name=scope.step or "", type="", config={"text": text})
    for _, level, message in check_step(step, _PLAIN, scope):
        yield Found(path, message, level)


RULES = (expressions_are_sound,)
