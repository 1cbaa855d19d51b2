"""From a step as written to its canonical form: every short form becomes `type` and `config`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.definition import when_lost
from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.config import SHORT, ConfigChecker
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.retry_fields import take_retry, without_defaults
from windlass.model.manifest.volumes import Volumes
from windlass.model.steptypes.control import NEVER_CACHED

#: Fields of which a step needs one.
_DOING = ("run", "command", "image", "engine", "uses", "type")
#: Fields that only a step type can make sense of.
_OF_TYPE = (*SHORT, "config", "uses", "engine", "volumeMounts")
_WRITTEN_TYPES = ("task", "branch")
#: Fields that `defaults` may give, and fields that canonical content has only where they say something.
_DEFAULTED = ("timeout", "logQuota", "cache", "onWorkerLost")
_RETRY = frozenset({"retry", "retries", "retryDelay", "retryBackoff"})
_FAILURE = ("allowFailure", "onFailure", "continueOnError")
_SPELLINGS_OF_FAILURE = frozenset(_FAILURE)
_NEVER_EMPTY = ("env", "artifacts", "matrix", "targets", "rateLimits")


@dataclass(frozen=True, slots=True)
class StepContext:
    """What shaping a step needs to know of its job."""

    catalog: StepCatalog
    #: The steps as written.
    raw: Any
    #: Canonical values of `defaults`.
    defaults: Mapping[str, Any]
    volumes: Volumes


def shape_step(fields: dict[str, Any], context: StepContext, notes: Notes, path: Path) -> dict[str, Any]:
    """Return the canonical step, without its edges, of the fields that were read; uses up `fields`."""
    step = {"name": fields.pop("name")} if "name" in fields else {}
    _type_and_config(step, fields, context, notes, path)
    _failure(fields, notes, path)
    _say_uncached(fields, step.get("type"), notes, path)
    _policies(fields, step.get("type"), context, notes, path)
    step.update(fields)
    return step


def _type_and_config(
    step: dict[str, Any], fields: dict[str, Any], context: StepContext, notes: Notes, path: Path
) -> None:
    """Settle `type` and `config`, and check the config against the type."""
    name = _settled_type(fields, context, notes, path)
    fields.pop("type", None)
    checker = context.catalog.checker_or_none(name) if name is not None else None
    if checker is None:
        _keep_unshaped(step, fields)
        return
    step["type"] = name
    engine = fields.pop("engine", None)
    is_complete = "job" in fields.get("uses", ("job",))
    config = _gathered(fields, checker, notes, path)
    if "volumeMounts" in fields:
        config = context.volumes.mounted(config, fields.pop("volumeMounts"), checker.spec.name, engine, notes, path)
    checker.normalise(config, notes, (*path, "config"))
    if is_complete:
        for place, message, about in checker.check(config):
            notes.error((*path, "config", *place), message, about)
    if config:
        step["config"] = config


def _keep_unshaped(step: dict[str, Any], fields: dict[str, Any]) -> None:
    """Keep what is config of a step without a type: what else is wrong in it is told all the same."""
    config = {**fields.pop("config", {}), **fields.pop("uses", {})}
    for short in _OF_TYPE:
        if short in fields:
            config.setdefault(short, fields.pop(short))
    if config:
        step["config"] = config


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the suggestion for an unknown step type: `docker` is `container.docker`."""
    for one in known:
        if one.endswith(f".{name}"):
            return f'; did you mean "{one}"?'
    return suggestion(name, known)


def _settled_type(fields: dict[str, Any], context: StepContext, notes: Notes, path: Path) -> str | None:
    """Return the step type that is meant, or None after noting why there is none.

    Of an unknown type beside a short form, the rest is checked as that. A field of the step as written that was
    refused has been noted already.
    """
    raw: Mapping[str, Any] = context.raw[path[-1]]
    written = fields.get("type")
    meant = _meant(fields, written)
    if written == "branch" and meant is not None:
        fields["branch"] = True
    if written == "task" or (written == "branch" and meant is not None):
        written = None
    if written is not None and context.catalog.checker_or_none(written) is None:
        notes.error((*path, "type"), f'unknown step type "{written}"{_nearest(written, context.catalog)}')
        return meant
    if written is not None and meant is not None and not _agree(written, meant):
        notes.error((*path, "type"), f"type {written} does not go with the short form of {meant}; keep one of them")
        return None
    if written is None and meant is None:
        if "engine" in fields and raw.get("image") is None:
            notes.error((*path, "engine"), 'missing key "image" beside engine', "key")
        elif all(raw.get(field) is None or field in fields for field in _DOING):
            notes.error(path, "the step does nothing: it needs run, command, image, uses, or type", "key")
    name: str | None = written or meant
    return name


def _gathered(fields: dict[str, Any], checker: ConfigChecker, notes: Notes, path: Path) -> dict[str, Any]:
    """Take `config` and the short forms, and return them as one new mapping."""
    config: dict[str, Any] = dict(fields.pop("config", ()))
    if "uses" in fields:
        config.update(fields.pop("uses"))
    for short in SHORT:
        if short not in fields:
            continue
        value = fields.pop(short)
        target = checker.short[short]
        if target is None:
            notes.error((*path, short), f"{short} does not belong to a step of type {checker.spec.name}", "key")
        elif target in config:
            notes.error((*path, short), f"{short} stands beside config and inside of it; keep one", "key")
        else:
            config[target] = value
    return config


def _meant(fields: Mapping[str, Any], written: str | None) -> str | None:
    """Return the type that the short form stands for, or None without any."""
    if "uses" in fields:
        return "job"
    if "image" in fields:
        return f"container.{fields.get('engine', 'docker')}"
    if "engine" not in fields:
        if "run" in fields:
            return "shell"
        if "command" in fields and written in (None, *_WRITTEN_TYPES):
            return "process" if type(fields["command"]) is list else "shell"
    return None


def _agree(written: str, meant: str) -> bool:
    """Say whether a type goes with the type that a short form stands for."""
    return written == meant or (meant == "container.docker" and written.startswith("container."))


def _failure(fields: dict[str, Any], notes: Notes, path: Path) -> None:
    """Settle the three spellings of `allowFailure`."""
    if _SPELLINGS_OF_FAILURE.isdisjoint(fields):
        return
    said = {name: fields.pop(name) in (True, "continue") for name in _FAILURE if name in fields}
    if len(set(said.values())) > 1:
        names = " and ".join(said)
        notes.error((*path, list(said)[-1]), f"{names} say the same thing differently; keep one", "key")
    elif any(said.values()):
        fields["allowFailure"] = True


def _say_uncached(fields: Mapping[str, Any], step_type: str | None, notes: Notes, path: Path) -> None:
    """Warn of `cache` that is written on a step which has no result of its own."""
    if step_type in NEVER_CACHED and fields.get("cache", False) is not False:
        notes.warning((*path, "cache"), f"the result of a step of type {step_type} is never cached", "key")


def _policies(fields: dict[str, Any], step_type: str | None, context: StepContext, notes: Notes, path: Path) -> None:
    """Merge the job's defaults in and leave out what is meant anyway."""
    defaults = context.defaults
    own = take_retry(fields, notes, path) if not _RETRY.isdisjoint(fields) else None
    if own is not None or "retry" in defaults:
        retry = without_defaults({**defaults.get("retry", {}), **(own or {})})
        if retry:
            fields["retry"] = retry
    if "env" in defaults:
        fields["env"] = {**defaults["env"], **fields.get("env", {})}
    for name in _DEFAULTED:
        if name in defaults:
            fields.setdefault(name, defaults[name])
    if fields.get("cache") is False:
        del fields["cache"]
    if fields.get("onWorkerLost") == when_lost(step_type):
        del fields["onWorkerLost"]
    for name in _NEVER_EMPTY:
        if name in fields and not fields[name]:
            del fields[name]
