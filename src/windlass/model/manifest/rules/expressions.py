"""Rules on expressions: names that exist, places where a value cannot become code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from windlass.model.checking import Scope, check_compiled
from windlass.model.finding import Within
from windlass.model.injection.variables import OURS
from windlass.model.manifest.config import ConfigChecker
from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.manifest.problem import Path, texts
from windlass.model.rendering import CompiledStep
from windlass.model.step_order import StepOrder
from windlass.model.steptype import StepSpec

#: Stands for places where nothing interprets a text.
_PLAIN = ConfigChecker(StepSpec(name="", summary="", schema={}))
_MARK = b"${{"
#: Keys of JSON that begin as the names of Windlass's own variables do.
_RESERVED = tuple(f'"{begin}'.encode() for begin in OURS)
#: What each run has of its own.
_OF_ONE_RUN = frozenset(("run", name) for name in ("id", "createdAt", "correlationId", "trigger"))
#: Fields of a step in which expressions are evaluated, now or when their engine lands.
_EVALUATED = frozenset({"config", "env", "when", "matrix", "cache", "targets"})


def expressions_are_sound(draft: Draft) -> Findings:
    """Every expression can be read and names what there is; no variable has a name that Windlass sets."""
    if not _to_compile(draft.json):
        return
    parameters = draft.canonical.get("parameters")
    edges = StepOrder({step["name"]: step.get("dependsOn", ()) for step in draft.steps if "name" in step})
    for number, step in enumerate(draft.steps):
        parts = {part: step[part] for part in ("config", "env", "when") if part in step}
        json = orjson.dumps(parts)
        aside = "matrix" in step or "cache" in step
        if not (aside or _to_compile(json)):
            continue
        matrix = frozenset(step["matrix"]) if "matrix" in step else None
        scope = Scope(
            parameters=parameters, steps=edges, step=step.get("name"), matrix=matrix, has_target="targets" in step
        )
        checker = draft.catalog.checker_or_none(step.get("type", "")) or _PLAIN
        compiled = checker.compiled(json)
        for path, level, message, within in check_compiled(compiled, scope):
            yield Found(("steps", number, *path), message, level, within=within)
        if "cache" in step:
            yield from _never_found(compiled, ("steps", number))
        if aside:
            yield from _aside(step, ("steps", number), scope)
    concurrency: Mapping[str, Any] = draft.canonical.get("concurrency", {})
    if "key" in concurrency:
        yield from _plain(concurrency["key"], ("concurrency", "key"), Scope(parameters=parameters, steps=StepOrder({})))


def _never_found(compiled: CompiledStep, path: Path) -> Findings:
    """Warn of a step with `cache` that names what is different in each run."""
    for named in compiled.names:
        if named.path != ("when",) and named.use.path.keys[:2] in _OF_ONE_RUN:
            name = ".".join(map(str, named.use.path.keys[:2]))
            message = f"no result of the step is ever found again: it names {name}, which is different in each run"
            yield Found((*path, "cache"), message, "warning", "key")
            return


def _to_compile(json: bytes) -> bool:
    return _MARK in json or any(begin in json for begin in _RESERVED)


def _aside(step: Mapping[str, Any], path: Path, scope: Scope) -> Findings:
    """Check the expressions of a step that stand outside of `config`, `env` and `when`."""
    for name, values in step.get("matrix", {}).items():
        if isinstance(values, str):
            yield from _plain(values, (*path, "matrix", name), Scope(parameters=scope.parameters, steps=StepOrder({})))
    for index, text in enumerate(step.get("cache", {}).get("key", ())):
        yield from _plain(text, (*path, "cache", "key", index), scope)


def _plain(text: str, path: Path, scope: Scope) -> Iterator[Found]:
    """Check one text that nothing interprets."""
    if "${{" in text:
        compiled = _PLAIN.compiled(orjson.dumps({"config": {"text": text}}))
        for _, level, message, within in check_compiled(compiled, scope):
            yield Found(path, message, level, within=within)


def expressions_stand_where_they_count(draft: Draft) -> Findings:
    """Warn of expressions in places that are taken as they are written."""
    if _MARK not in draft.json:
        return
    elsewhere = {name: value for name, value in draft.canonical.items() if name not in ("steps", "concurrency")}
    yield from _taken_as_written(elsewhere, ())
    for number, step in enumerate(draft.steps):
        rest = {name: value for name, value in step.items() if name not in _EVALUATED}
        yield from _taken_as_written(rest, ("steps", number))


def _taken_as_written(value: Mapping[str, Any], path: Path) -> Findings:
    """Warn of every expression in `value`."""
    if _MARK in orjson.dumps(value):
        for place, text in texts(value):
            at = text.find("${{")
            if at >= 0:
                message = "an expression is not evaluated here; the text is taken as it is"
                within = Within(1 + text.count("\n", 0, at), at)
                yield Found((*path, *place), message, "warning", within=within)


RULES = (expressions_are_sound, expressions_stand_where_they_count)
