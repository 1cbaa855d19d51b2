"""The environment of a step: what is set for it, and what is left out because a process could not take it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.template import MAX_CARRIED, MAX_ENVIRONMENT, as_text

_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*\Z", re.ASCII)
_PLAIN: Final = str.maketrans("-.", "__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Which attempt it is, as texts: they stand in `WINDLASS_*` variables."""

    project: str
    job: str
    revision: str
    run_id: str
    task_id: str
    step: str
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnvironment:
    """What a step finds around it."""

    variables: dict[str, str]
    #: One sentence for each value that is in no variable: for the step's log.
    left_out: tuple[str, ...]
    #: What belongs into the file that `WINDLASS_CONTEXT` names: all values, those left out too, but no secrets.
    context: dict[str, Any]


def build_environment(
    *,
    base: Mapping[str, str],
    facts: Facts,
    env: Mapping[str, str],
    carried: Mapping[str, str],
    parameters: Mapping[str, Any],
    secret: frozenset[str] = frozenset(),
    outputs: Mapping[str, Mapping[str, Any]],
    traceparent: str | None = None,
) -> StepEnvironment:
    """Return the environment of an attempt.

    `base` is what the worker sets for every step (PATH, HOME, LANG, TZ, TMPDIR and the paths of `WINDLASS_OUTPUT`,
    `WINDLASS_ARTIFACTS`, `WINDLASS_CONTEXT`), `env` the step's own variables, which override PATH and the like,
    `carried` the values that its scripts refer to, `outputs` those of its direct predecessors. Parameters named in
    `secret` are neither exported nor written into the context. A value of more than 96 KiB is left out, and so is what
    would bring the whole above 1 MiB.
    """
    own = _own(facts) if traceparent is None else {**_own(facts), "TRACEPARENT": traceparent}
    variables = {**base, **env, **own, **carried}
    shown = {name: value for name, value in parameters.items() if name not in secret}
    room = MAX_ENVIRONMENT - sum(_size(name, value) for name, value in variables.items())
    left_out: list[str] = []
    seen: dict[str, str] = {}
    for what, suffix, value in _exported(shown, outputs):
        if value is None:
            continue
        reason = _unfit(suffix, value)
        if reason is None and suffix in seen:
            reason = f"its variable would be that of {seen[suffix]} too"
        if reason is None:
            text = as_text(value)
            pair = {f"WINDLASS_{suffix}": text, f"CAESIUM_{suffix}": text}
            size = sum(_size(name, text) for name in pair)
            if size <= room:
                room -= size
                variables.update(pair)
                seen[suffix] = what
                continue
            reason = f"all variables together would have more than {MAX_ENVIRONMENT:,} bytes"
        left_out.append(f"{what} is in no variable: {reason}; it stands in the file $WINDLASS_CONTEXT")
    return StepEnvironment(variables=variables, left_out=tuple(left_out), context=_context(facts, shown, outputs))


def _own(facts: Facts) -> dict[str, str]:
    """Return the variables that say which attempt it is."""
    return {
        "WINDLASS_PROJECT": facts.project,
        "WINDLASS_JOB": facts.job,
        "WINDLASS_REVISION": facts.revision,
        "WINDLASS_RUN_ID": facts.run_id,
        "WINDLASS_TASK_ID": facts.task_id,
        "WINDLASS_STEP": facts.step,
        "WINDLASS_ATTEMPT": facts.attempt,
        "CAESIUM_RUN_ID": facts.run_id,
        "CAESIUM_JOB_ALIAS": facts.job,
    }


def _exported(
    parameters: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str, Any]]:
    """Go over what is exported: its name for people, the end of its variable's name, its value."""
    for name, value in parameters.items():
        yield f'parameter "{name}"', f"PARAM_{_upper(name)}", value
    for step, values in outputs.items():
        for key, value in values.items():
            yield f'output "{key}" of step "{step}"', f"OUTPUT_{_upper(step)}_{_upper(key)}", value


def _upper(name: str) -> str:
    return name.upper().translate(_PLAIN)


def _size(name: str, value: str) -> int:
    """Return the bytes that a variable takes: `NAME=value` and the end mark."""
    return len(name) + len(value if value.isascii() else value.encode(errors="replace")) + 2


def _unfit(suffix: str, value: Any) -> str | None:
    """Return why a value cannot be a variable, or None where it can."""
    if not _NAME.match(suffix):
        return "its name has characters that the name of a variable cannot have"
    try:
        data = as_text(value).encode()
    except UnicodeEncodeError:
        return "it has half a character (a lone surrogate)"
    except ExpressionError as error:
        return f"it {error}"
    if b"\0" in data:
        return "it has a NUL character"
    if len(data) > MAX_CARRIED:
        return f"it has {len(data):,} bytes, {MAX_CARRIED:,} fit"
    return None


def _context(facts: Facts, parameters: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of the file that `WINDLASS_CONTEXT` names."""
    return {
        "project": facts.project,
        "job": facts.job,
        "revision": facts.revision,
        "runId": facts.run_id,
        "taskId": facts.task_id,
        "step": facts.step,
        "attempt": facts.attempt,
        "parameters": dict(parameters),
        "outputs": {step: dict(values) for step, values in outputs.items()},
    }
