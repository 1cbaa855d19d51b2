"""A class or function as the job that it is: the same manifest that a person would write."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from windlass.errors import UserError
from windlass.sdk.job import FunctionJob, Isolation, Job, JobOptions
from windlass.sdk.naming import importable_name
from windlass.sdk.retry import RetryPolicy, seconds
from windlass.sdk.schema import arguments_of, fields_of, schema_of
from windlass.sdk.values import Taking

#: Name of the one step of a job in Python.
STEP: Final = "execute"
_ALIAS: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Digits of the digest that stands for the source of a job.
_DIGITS: Final = 16
_ISOLATIONS: Final = ("process", "thread", "inline")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Definition:
    """A job in Python as it is submitted and run; each stands for itself."""

    alias: str
    #: What `function` of its step says: `module:name`. Code that cannot be imported has a name of its own there.
    path: str
    #: The class or the function itself.
    target: Any
    options: JobOptions
    description: str | None
    taking: Taking
    #: Annotation of the result; `Any` where there is none.
    result: Any
    asynchronous: bool
    #: True where another process finds it under `path`.
    importable: bool

    def requires(self, app: str | None) -> dict[str, Any]:
        """Return which workers may take it: those that have the code of the application called `app`, unless it says.

        None stands for a process that has it not: what it runs, it imports.
        """
        return {
            name: value for name, value in ({"app": app} | dict(self.options.requires)).items() if value is not None
        }

    def isolation(self, *, here: bool) -> Isolation:
        """Return where an attempt runs; `here` says that it is a worker that has the code.

        Raises UserError where the code cannot run there.
        """
        said = self.options.isolation
        if not here and said in {"thread", "inline"} and self._anybody:
            raise UserError(
                f'Job "{self.alias}" asks for isolation `{said}`, but any worker may take it: '
                "use `process`, or leave `app` out of its `requires`."
            )
        if not here and said in {"thread", "inline"}:
            use = "use `process`, or" if self.importable else f"{self._move} and use `process`, or"
            raise UserError(
                f'Job "{self.alias}" asks for isolation `{said}`, but another process owns the store and does the '
                f"work; {use} stop that process, so that this one does it."
            )
        chosen = said or ("process" if not here else "inline" if self.asynchronous else "thread")
        if chosen == "inline" and not self.asynchronous:
            raise UserError(
                f'Job "{self.alias}" is not asynchronous, so it would hold the event loop; '
                "use isolation `thread` or `process`."
            )
        if chosen == "process" and not self.importable:
            instead = (
                "use isolation `thread` or `inline`"
                if here
                else "leave `app` out of its `requires`"
                if self._anybody
                else "stop the process that owns the store, so that this one does the work"
            )
            raise UserError(
                f'Job "{self.alias}" is to run in a process of its own, which cannot import {self.path}: '
                f"{self._move}, or {instead}."
            )
        return chosen

    def _config(self, *, here: bool) -> dict[str, Any]:
        """Return how its code is called; see `isolation`."""
        isolation = self.isolation(here=here)
        config: dict[str, Any] = {"function": self.path, "isolation": isolation}
        if isolation == "process":
            root = _root_of(self.target)
            if root is not None:
                config["environment"] = {"PYTHONPATH": str(root)}
            if not here and not self._anybody:
                config["python"] = sys.executable
        return config

    @property
    def _anybody(self) -> bool:
        """Say whether it was said that no worker needs to have the application."""
        return self.options.requires.get("app", "") is None

    def _cache(self) -> dict[str, Any]:
        """Return `cache` of the step; where it names no version, the job's own source is one."""
        said = dict(self.options.cache) if isinstance(self.options.cache, Mapping) else {}
        try:
            source = inspect.getsource(self.target)
        except (OSError, TypeError):
            return said  # typed at a prompt
        return {"version": hashlib.sha256(source.encode()).hexdigest()[:_DIGITS], **said}

    @property
    def _move(self) -> str:
        """Advice for code that cannot be imported."""
        if getattr(self.target, "__module__", None) == "__main__":
            return "move it from the script into a module that the script imports"
        return "move it to the top level of a module"

    def manifest(self, *, app: str | None) -> dict[str, Any]:
        """Return the manifest of the job; see `requires` and `isolation`."""
        options = self.options
        requires = self.requires(app)
        config = self._config(here="app" in requires)
        step: dict[str, Any] = {"name": STEP, "type": "python", "config": config, "retry": options.retry.to_json()}
        if options.timeout is not None:
            step["timeout"] = seconds(options.timeout, f'Job "{self.alias}": timeout')
        if options.on_worker_lost != "fail":
            step["onWorkerLost"] = options.on_worker_lost
        if options.cache is not False:
            step["cache"] = self._cache()
        manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Job",
            "metadata": {"alias": self.alias, "labels": dict(options.labels or {})},
            "queue": options.queue,
            "priority": options.priority,
            "steps": [step],
        }
        if requires:
            manifest["requires"] = requires
        if options.sla is not None:
            manifest["sla"] = dict(options.sla)
        if self.description:
            manifest["description"] = self.description
        if self.taking.parameters is not None:
            manifest["parameters"] = self.taking.parameters
        return manifest


def define(job: Any) -> Definition:
    """Return the definition of a Job class, a function made a job by `@job`, or a plain function.

    Raises UserError where `job` is none of these, or has no fit name.
    """
    if isinstance(job, type) and issubclass(job, Job):
        return _of_class(job)
    if isinstance(job, FunctionJob):
        return _of_function(job, job.windlass_function, job.options)
    if inspect.isfunction(job):
        return _of_function(job, job, JobOptions())
    raise UserError(f"A job is a subclass of Job, a function or the alias of a job; this is a {type(job).__name__}.")


def _of_class(job: type[Job[Any, Any]]) -> Definition:
    if job.execute is Job.execute:
        raise UserError(f"{job.__qualname__} has no method `execute`: write one that does the work.")
    options = JobOptions(
        name=job.name,
        retry=job.retry,
        timeout=job.timeout,
        queue=job.queue,
        requires=job.requires,
        priority=job.priority,
        isolation=job.isolation,
        on_worker_lost=job.on_worker_lost,
        cache=job.cache,
        sla=job.sla,
        labels=job.labels,
    )
    hints = _hints(job.execute)
    names = [one for one in list(_parameters(job.execute))[1:] if one != "progress"]
    if len(names) > 1:
        raise UserError(f"{job.__qualname__}.execute takes {', '.join(names)}: let it take one context and `progress`.")
    return _definition(job, job.execute, options, _taking_one(job.execute, names, hints), hints)


def _of_function(job: Any, function: Any, options: JobOptions) -> Definition:
    hints = _hints(function)
    names = [name for name in _parameters(function) if name != "progress"]
    taking = _taking_one(function, names, hints) if len(names) == 1 else _taking_several(function, names, hints)
    return _definition(job, function, options, taking, hints)


def _definition(job: Any, code: Any, options: JobOptions, taking: Taking, hints: Mapping[str, Any]) -> Definition:
    if options.isolation is not None and options.isolation not in _ISOLATIONS:
        raise UserError(f"{job.__qualname__}: isolation is process, thread or inline, not {options.isolation!r}.")
    if not isinstance(options.retry, RetryPolicy):
        raise UserError(f"{job.__qualname__}: retry is a RetryPolicy, not {options.retry!r}; one start is attempts=1.")
    if not isinstance(options.cache, bool | Mapping):
        raise UserError(f"{job.__qualname__}: cache is True, False or a mapping with ttl, not {options.cache!r}.")
    if not isinstance(options.requires, Mapping):
        raise UserError(
            f"{job.__qualname__}: requires is a mapping with pool, labels or app, not {options.requires!r}."
        )
    alias, usual = _alias(job, options.name)
    path, importable = _path(job, None if alias == usual else alias)
    text = inspect.getdoc(job)
    return Definition(
        alias=alias,
        path=path,
        target=job.windlass_function if isinstance(job, FunctionJob) else job,
        options=options,
        description=None if not text or job.__doc__ is None or text == inspect.getdoc(Job) else text.split("\n\n")[0],
        taking=taking,
        result=hints.get("return", Any),
        asynchronous=inspect.iscoroutinefunction(code),
        importable=importable,
    )


def _taking_one(code: Any, names: list[str], hints: Mapping[str, Any]) -> Taking:
    """Return what code with at most one parameter takes."""
    if not names:
        return Taking(None, {}, {}, spread=False)
    (name,) = names
    one = _parameters(code)[name]
    if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
        return Taking(None, {}, None, spread=False)
    kind = hints.get(name, Any)
    optional = one.default is not one.empty
    fields = fields_of(kind)
    if fields is not None and not {name, "progress"} & set(fields):
        return Taking(name, kind, fields, spread=True, optional=optional)
    schema = schema_of(kind) or {"type": "object"}
    parameters = {name: schema if optional or _takes_none(kind) else {**schema, "required": True}}
    return Taking(name, kind, parameters, spread=False, optional=optional)


def _taking_several(code: Any, names: list[str], hints: Mapping[str, Any]) -> Taking:
    if not names:
        return Taking(None, {}, {}, spread=False)
    return Taking(None, dict(hints), arguments_of(code, hints), spread=False)


def _takes_none(kind: Any) -> bool:
    return kind is Any or type(None) in typing.get_args(kind)


def _parameters(code: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(code).parameters


def _hints(code: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(code)
    except Exception:  # noqa: BLE001 - names that only a type checker knows: then nothing is converted
        return {}


def _alias(job: Any, said: str | None) -> tuple[str, str]:
    """Return the alias of a job, and the one that its code's name alone would give."""
    name: str = job.__name__
    usual = _HUMPS.sub("-", name).lower().strip("_") if isinstance(job, type) else name.lower().strip("_")
    alias = usual if said is None else said
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        raise UserError(
            f"{job.__qualname__} cannot be called {alias!r} as a job: "
            "give it a `name` of up to 63 small letters, digits, - or _."
        )
    return alias, usual


def _path(job: Any, alias: str | None) -> tuple[str, bool]:
    """Return the path of a job, and whether it can be imported by that in another process."""
    module, name = job.__module__, job.__qualname__
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is job and module != "__main__":
        return f"{module}:{name}", True
    parts = [part for part in name.split(".") if part.isidentifier()]
    if alias is not None and found is not job:
        parts.append("_" + re.sub(r"\W", "_", alias))
    return f"{importable_name(module)}:{'.'.join(parts)}", False


def _root_of(job: Any) -> Path | None:
    """Return the folder that must be on the import path for a job's module; None where it is there anyway."""
    module = sys.modules[job.__module__]
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    path = Path(file).resolve()
    depth = job.__module__.count(".") + (1 if path.name == "__init__.py" else 0)
    root = path.parents[depth]
    installed = {"site-packages", "dist-packages", "lib-dynload"} & set(path.parts)
    return None if installed or root == Path(inspect.__file__).resolve().parent else root
