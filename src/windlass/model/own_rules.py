"""Rules of one's own, from plug-ins: on the content of jobs, and on the parameters of their runs.

A rule is a function that yields what is wrong: a sentence, its place and a sentence, or these and `warning`. One that
fails, or says what makes no sense, is an error itself: what it should have kept out does not come in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.model.definition import Job
from windlass.model.finding import Level

#: Given the canonical content of a job; a place is the path to it, such as `("steps", 0, "name")`.
LintRule = Callable[[dict[str, Any]], Iterable[Any]]
#: Given a job and the complete parameters of a run; a place is the name of a parameter.
ParameterRule = Callable[[Job, dict[str, Any]], Iterable[Any]]

#: Sentences that one rule may say about one job.
_MOST: Final = 100
_PARTS: Final = range(1, 4)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says."""

    path: tuple[str | int, ...]
    message: str
    level: Level


@dataclass(frozen=True, slots=True)
class OwnRules:
    """The rules of plug-ins, each with its name."""

    lint: tuple[tuple[str, LintRule], ...] = ()
    parameters: tuple[tuple[str, ParameterRule], ...] = ()

    def on_job(self, canonical: Mapping[str, Any]) -> Iterator[Verdict]:
        """Yield what is wrong with a job; the rules see a copy."""
        for name, rule in self.lint:
            yield from _judged(name, rule, copy.deepcopy(dict(canonical)))

    def on_parameters(self, job: Job, values: Mapping[str, Any]) -> Iterator[Verdict]:
        """Yield what is wrong with the parameters of a run, without what is secret of them."""
        secrets = [
            value
            for name, schema in (job.parameters or {}).items()
            if schema.get("secret") is True and isinstance(value := values.get(name), str) and value
        ]
        for name, rule in self.parameters:
            for verdict in _judged(name, rule, job, copy.deepcopy(dict(values))):
                message = verdict.message
                for secret in secrets:
                    message = message.replace(secret, "***")
                yield Verdict(verdict.path, message, verdict.level)


def _judged(name: str, rule: Callable[..., Iterable[Any]], *about: Any) -> Iterator[Verdict]:
    said: list[Verdict] = []
    try:
        for one in rule(*about) or ():
            said.append(_verdict(one))
            if len(said) == _MOST:
                break
    except Exception as error:  # noqa: BLE001 - whatever a plug-in does, it is told as a finding
        text = " ".join(str(error).split())[:200]
        said.append(Verdict((), f'the rule "{name}" failed: {type(error).__name__}: {text}', "error"))
    yield from said


def _verdict(said: Any) -> Verdict:
    """Return what a rule means; raises ValueError where it means nothing."""
    parts = (said,) if isinstance(said, str) else said
    if not isinstance(parts, tuple) or len(parts) not in _PARTS:
        raise ValueError(f"it said {said!r}, which is no sentence")
    place, message, level = {1: ((), *parts, "error"), 2: (*parts, "error")}.get(len(parts), parts)
    path = (place,) if isinstance(place, str) else tuple(place)
    if not isinstance(message, str) or not message or level not in {"error", "warning"}:
        raise ValueError(f"it said {said!r}, which is no sentence")
    return Verdict(path, message, level)


def unusable(name: str, why: str) -> Callable[..., Iterable[str]]:
    """Return a rule in the place of one that cannot be loaded: it refuses everything."""

    def rule(*_: Any) -> Iterable[str]:
        yield f'the rule "{name}" cannot be loaded, and nothing is accepted without it: {why}'

    return rule
